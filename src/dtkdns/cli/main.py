"""The commands, as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from twisted.internet.task import deferLater

from dtkdns.cli import resolver, why
from dtkdns.cli import status as status_screen
from dtkdns.cli.client import fetch_status, find_service, for_a_service, run
from dtkdns.cli.names import find_cluster, find_name, forget, say, wait
from dtkdns.cluster import DEFAULT
from dtkdns.local import local_url
from dtkdns.smoke.command import check_cluster, smoke
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook

AGAIN_SECONDS = 1.0
"""How often `status --watch` looks."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dtkdns", message="dtkdns %(version)s")
def main() -> None:
    """Names of a desktop's Kubernetes clusters: ask the dtkdns that runs here how it does.

    The service itself is started with twistd dtkdns. Exit status of every command: 0 when all is well or done, 1
    when something is wrong, 2 for a wrong command line.
    """


main.add_command(smoke)


@main.command()
@for_a_service
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="The whole state as one JSON object, for programs.")
def status(url: str, credentials: tuple[str, str] | None, watch: bool, as_json: bool) -> None:
    """How dtkdns does: what is wrong, clusters, the hosts file and DNS, names.

    Exit status 1 when something is wrong, and when dtkdns does not answer.
    """
    service = find_service(url, credentials)
    console = Console(highlight=False)

    async def look(webhook: Webhook, reactor: Any) -> int:
        while True:
            found = await fetch_status(webhook)
            if as_json:
                click.echo(msgspec.json.format(msgspec.json.encode(found)))
            else:
                if watch:
                    console.clear()
                status_screen.show(console, found, service.url, datetime.now(UTC))
            if not watch:
                return int(any(True for _ in status_screen.faults(found)))
            await deferLater(reactor, AGAIN_SECONDS)

    run(service, look)


@main.command("why")
@for_a_service
@click.argument("name")
def explain(url: str, credentials: tuple[str, str] | None, name: str) -> None:
    """The whole way of NAME, who answers what for it, and what to do if that is wrong.

    Exit status 1 when something is wrong with it.
    """
    console = Console(highlight=False)

    async def look(webhook: Webhook, reactor: Any) -> int:
        facts = await why.find_out(webhook, name, reactor)
        console.print(why.screen(facts))
        well, _ = why.conclusion(facts)
        return int(not well)

    run(find_service(url, credentials), look)


@main.command("resolver")
@for_a_service
@click.option(
    "--for",
    "name",
    type=click.Choice(list(resolver.RESOLVERS)),
    help="The resolver that answers on this machine  [default: the one that is found]",
)
def set_up_resolver(url: str, credentials: tuple[str, str] | None, name: str | None) -> None:
    """How this machine's resolver asks dtkdns for the managed domains, and for these only.

    Prints the lines to write and to type, and the way back.
    """

    async def look(webhook: Webhook, _reactor: Any) -> int:
        found = await fetch_status(webhook)
        domains = list(dict.fromkeys(domain for cluster in found.clusters for domain in cluster.domains))
        if found.dns is None or not found.dns.addresses:
            raise FaultError("dtkdns answers no DNS.", "Start it with --dns.")
        if not domains:
            raise FaultError("No domain is managed.", "Start dtkdns with --domains, or POST /domains.")
        chosen = name or resolver.find_here()
        if chosen is None:
            known = ", ".join(resolver.RESOLVERS)
            raise FaultError("It cannot be told which resolver answers here.", f"Give --for with one of: {known}.")
        host, _, port = found.dns.addresses[0].rpartition(":")
        click.echo(resolver.text(resolver.recipe_for(chosen, domains, host.strip("[]"), int(port))))
        return 0

    run(find_service(url, credentials), look)


@main.command("wait")
@click.argument("name")
@click.option("--gone", is_flag=True, help="Wait until it no longer resolves.")
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(0),
    default=75.0,
    metavar="SECONDS",
    show_default=True,
    help="How long to wait; external-dns may look once a minute only.",
)
def wait_for(name: str, gone: bool, seconds: float) -> None:
    """Wait until the system's resolver has an address for NAME; for scripts.

    Exit status 1 when it has none in time.
    """

    async def look(_webhook: Webhook, reactor: Any) -> int:
        found = await wait(name, gone=gone, seconds=seconds, clock=reactor)
        say(f"{name} is gone." if gone else f"{name} is {', '.join(found)}.")
        return 0

    run(find_service(local_url(), None), look)


@main.command("forget")
@for_a_service
@click.argument("name", required=False)
@click.option(
    "--cluster",
    callback=check_cluster,
    metavar="CLUSTER",
    help="Whose name it is; without a NAME all that it has.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget_it(
    url: str,
    credentials: tuple[str, str] | None,
    name: str | None,
    cluster: str | None,
    yes: bool,
) -> None:
    """Forget NAME, or with --cluster alone a whole cluster: what one that is gone, or upsert-only, left behind.

    Shows what would go, asks, and removes it.
    """
    if name is None and cluster is None:
        raise click.UsageError("Give a NAME, or --cluster CLUSTER for all that a cluster has.")

    async def work(webhook: Webhook, _reactor: Any) -> int:
        if name is None:
            found = await find_cluster(webhook, cluster or DEFAULT)
        else:
            found = await find_name(webhook, name, cluster or DEFAULT)
        return int(not await forget(webhook, found, (lambda _question: True) if yes else click.confirm))

    run(find_service(url, credentials), work)
