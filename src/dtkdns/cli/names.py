"""What `dtkdns wait` and `dtkdns forget` do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from dtkdns import names
from dtkdns.cli.client import fetch_status, plain
from dtkdns.cluster import DEFAULT
from dtkdns.smoke.lookup import resolved
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Document, Webhook, decoded, require

LOOK_SECONDS = 0.1
"""How often it is looked whether a name resolves: nothing tells of it."""
MANY = 20
"""Records that are shown each."""


async def wait(name: str, *, gone: bool, seconds: float, clock: IReactorTime) -> list[str]:
    """Wait until the system's resolver has addresses for a name, or with `gone` until it has none.

    Returns them. Raises `FaultError` after so many seconds.
    """
    end = clock.seconds() + seconds
    while True:
        found = await resolved(name)
        if bool(found) is not gone:
            return found
        if clock.seconds() >= end:
            state = f"still resolves to {', '.join(found)}" if gone else "does not resolve"
            raise FaultError(f"{name} {state} after {seconds:g} s.", "dtkdns status says what is wrong.")
        await deferLater(clock, LOOK_SECONDS)


@frozen
class Forgotten:
    """What would go, or has gone."""

    cluster: str
    path: str
    """What is to be deleted."""
    records: tuple[str, ...]
    """Each as name and type."""


async def find_name(webhook: Webhook, name: str, cluster: str) -> Forgotten:
    """What belongs to a name: its records; external-dns' own notes go with them. Raises `FaultError`."""
    base = "" if cluster == DEFAULT else f"/clusters/{cluster}"
    reply = await webhook.call("GET", f"{base}/records")
    require(reply, 200)
    owner = names.to_ascii(name)
    found = [
        f"{one.get('dnsName', '')} ({one.get('recordType', '')})"
        for one in decoded(reply, list[Document])
        if names.to_ascii(one.get("dnsName") or "") == owner
    ]
    if not found:
        raise FaultError(f"Cluster {cluster} has no record of {name}.", "dtkdns status lists the names.")
    return Forgotten(cluster, f"{base}/names/{owner}", tuple(found))


async def find_cluster(webhook: Webhook, cluster: str) -> Forgotten:
    """What belongs to a cluster. Raises `FaultError`."""
    status = await fetch_status(webhook)
    if cluster not in {one.name for one in status.clusters}:
        known = ", ".join(one.name for one in status.clusters)
        raise FaultError(f"There is no cluster {cluster}.", f"These are known: {known or 'none'}.")
    reply = await webhook.call("GET", f"/clusters/{cluster}/records")
    require(reply, 200)
    found = [f"{one.get('dnsName', '')} ({one.get('recordType', '')})" for one in decoded(reply, list[Document])]
    return Forgotten(cluster, f"/clusters/{cluster}", tuple(found))


async def forget(webhook: Webhook, found: Forgotten, confirm: Callable[[str], bool]) -> bool:
    """Show what would go, ask, and delete it; whether it was. Raises `FaultError`."""
    number = len(found.records)
    for record in found.records[:MANY]:
        say(f"  {record}")
    if number > MANY:
        say(f"  and {number - MANY} more")
    if not confirm(f"Forget {number} record{'' if number == 1 else 's'} of cluster {found.cluster}?"):
        say("Nothing was forgotten.")
        return False
    reply = await webhook.call("DELETE", found.path)
    require(reply, 200, b"application/json")
    warning = decoded(reply, dict[str, Any]).get("warning")
    say(f"Forgotten. {warning}" if warning else "Forgotten.")
    return True


def say(text: str) -> None:
    """One line for the person."""
    click.echo(plain(text))
