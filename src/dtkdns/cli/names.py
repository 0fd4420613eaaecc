"""What `dtkdns wait` and `dtkdns forget` do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec
from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from dtkdns import names
from dtkdns.cli.client import fetch_status, plain
from dtkdns.cluster import DEFAULT, Cluster
from dtkdns.endpoint import Changes
from dtkdns.smoke.lookup import resolved
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Document, Webhook, decoded, require
from dtkdns.wire import WireError, decode_endpoints

LOOK_SECONDS = 0.1
"""How often it is looked whether a name resolves: nothing tells of it."""
MANY = 20
"""Records that are shown each."""


class LateError(FaultError):
    """A name did not come or go in time."""


class Waited(msgspec.Struct, frozen=True):
    """What `dtkdns wait --json` prints."""

    name: str
    gone: bool
    """Whether it no longer resolves."""
    addresses: list[str]


async def wait(name: str, *, gone: bool, seconds: float, clock: IReactorTime) -> Waited:
    """Wait until the system's resolver has addresses for a name, or with `gone` until it has none.

    Raises `LateError` after so many seconds, and `FaultError` for what is no name.
    """
    owner = names.to_ascii(name)
    if not names.is_owner(owner):
        raise FaultError(f"{name} is no host name.", "It has letters, digits and hyphens, with dots between.")
    end = clock.seconds() + seconds
    while True:
        found = await resolved(owner)
        if bool(found) is not gone:
            return Waited(owner, gone, found)
        if clock.seconds() >= end:
            state = f"still resolves to {', '.join(found)}" if gone else "does not resolve"
            raise LateError(f"{owner} {state} after {seconds:g} s.", "dtkdns why says where it stops.")
        await deferLater(clock, LOOK_SECONDS)


@frozen
class Owned:
    """A record, by its name and its type."""

    name: str
    type: str


@frozen
class Forgettable:
    """What would go."""

    cluster: str
    path: str
    """What is to be deleted."""
    records: tuple[Owned, ...]


class Forgotten(msgspec.Struct, frozen=True):
    """What has gone, as `dtkdns forget --json` prints it."""

    forgotten: bool
    """Whether it has; else it would."""
    cluster: str
    records: tuple[Owned, ...]
    warning: str = ""


async def find_name(webhook: Webhook, name: str, cluster: str) -> Forgettable:
    """What belongs to a name: its records, and external-dns' own notes of them. Raises `FaultError`."""
    base = "" if cluster == DEFAULT else f"/clusters/{cluster}"
    owner = names.to_ascii(name)
    reply = await webhook.call("GET", f"{base}/records")
    require(reply, 200)
    try:
        there, _ = Cluster(cluster).apply(Changes(create=tuple(decode_endpoints(reply.body))), 0.0)
    except WireError as error:
        raise FaultError(f"The records do not decode: {error}.", "Is it dtkdns that listens there?") from error
    _, delta = there.forget(name)
    found = tuple(Owned(plain(dns_name), plain(kind)) for dns_name, kind, _ in sorted(delta.removed))
    if not found:
        raise FaultError(f"Cluster {cluster} has no record of {name}.", "dtkdns status lists the names.")
    return Forgettable(cluster, f"{base}/names/{owner}", found)


async def find_cluster(webhook: Webhook, cluster: str) -> Forgettable:
    """What belongs to a cluster. Raises `FaultError`."""
    status = await fetch_status(webhook)
    if cluster not in {one.name for one in status.clusters}:
        known = ", ".join(one.name for one in status.clusters)
        raise FaultError(f"There is no cluster {cluster}.", f"These are known: {known or 'none'}.")
    base = f"/clusters/{cluster}"
    return Forgettable(cluster, base, await _records(webhook, base))


async def _records(webhook: Webhook, base: str) -> tuple[Owned, ...]:
    reply = await webhook.call("GET", f"{base}/records")
    require(reply, 200)
    return tuple(
        Owned(plain(one.get("dnsName") or ""), plain(one.get("recordType") or ""))
        for one in decoded(reply, list[Document])
    )


async def forget(
    webhook: Webhook, found: Forgettable, confirm: Callable[[str], bool], tell: Callable[[str], object]
) -> Forgotten:
    """Show what would go, ask, and delete it. Raises `FaultError`."""
    number = len(found.records)
    for record in found.records[:MANY]:
        tell(f"  {record.name} ({record.type})")
    if number > MANY:
        tell(f"  and {number - MANY} more")
    if not confirm(f"Forget {number} record{'' if number == 1 else 's'} of cluster {found.cluster}?"):
        tell("Nothing was forgotten.")
        return Forgotten(False, found.cluster, found.records)
    reply = await webhook.call("DELETE", found.path)
    require(reply, 200, b"application/json")
    warning = plain(decoded(reply, dict[str, Any]).get("warning") or "")
    tell(f"Forgotten. {warning}".rstrip())
    return Forgotten(True, found.cluster, found.records, warning)


def say(text: str) -> None:
    """One line for the person."""
    click.echo(plain(text))
