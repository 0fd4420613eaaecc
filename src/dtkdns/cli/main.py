"""The commands, as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, RenderableType

from dtkdns.cli import status as status_screen
from dtkdns.cli import why
from dtkdns.cli.client import confirm, fetch_status, find_service, for_a_service, print_json, run
from dtkdns.cli.completion import complete_cluster, complete_name, completion
from dtkdns.cli.conclusion import conclusion
from dtkdns.cli.doctor.command import doctor
from dtkdns.cli.helm.command import helm_values
from dtkdns.cli.names import LateError, find_cluster, find_name, forget, say, wait
from dtkdns.cli.resolver.command import set_up_resolver
from dtkdns.cli.service.install import install
from dtkdns.cli.service.uninstall import uninstall
from dtkdns.cli.takeover.command import take_over
from dtkdns.cli.watch import draw_on, print_lines, watch
from dtkdns.cli.way import find_out
from dtkdns.cluster import DEFAULT
from dtkdns.smoke.command import check_cluster, smoke
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from dtkdns.status import ServiceStatus


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dtkdns", message="dtkdns %(version)s")
def main() -> None:
    """Names of a desktop's Kubernetes clusters: ask the dtkdns that runs here how it does.

    The service itself is started with twistd dtkdns. Exit status of every command: 0 when all is well or done, 1
    when something is wrong, 2 for a wrong command line.
    """


main.add_command(smoke)
main.add_command(set_up_resolver)
main.add_command(doctor)
main.add_command(install)
main.add_command(uninstall)
main.add_command(helm_values)
main.add_command(completion)
main.add_command(take_over)


@main.command(short_help="How dtkdns does and what is wrong.")
@for_a_service
@click.option("--watch", "again", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option("--all", "every", is_flag=True, help="List every name, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="The whole state as one JSON object, for programs.")
def status(url: str, credentials: tuple[str, str] | None, again: bool, every: bool, as_json: bool) -> None:
    """How dtkdns does: what is wrong, clusters, the hosts file and DNS, names.

    Exit status 1 when something is wrong, and when dtkdns does not answer.
    """
    service = find_service(url, credentials)
    console = Console(highlight=False)
    most = None if every else status_screen.MOST_NAMES

    def screen(found: ServiceStatus) -> RenderableType:
        return status_screen.screen(found, service.url, datetime.now(UTC), most)

    async def look(webhook: Webhook, reactor: Any) -> int:
        if again:
            draw = draw_on(console, reactor)
            show = print_lines if as_json else lambda found, fault: draw(screen(found), fault)
            await watch(lambda: fetch_status(webhook), show, reactor)
        found = await fetch_status(webhook)
        if as_json:
            print_json(found)
        else:
            console.print(screen(found))
        return int(any(True for _ in status_screen.faults(found, datetime.now(UTC))))

    run(service, look)


@main.command("why", short_help="The whole way of one name and what to do.")
@for_a_service
@click.argument("name", shell_complete=complete_name)
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object, for programs.")
def explain(url: str, credentials: tuple[str, str] | None, name: str, as_json: bool) -> None:
    """The whole way of NAME, who answers what for it, and what to do if that is wrong.

    Exit status 1 when something is wrong with it.

    \b
    The object of --json:
      name          as it was looked for
      well          whether all is well with it
      conclusion    the sentence that says so, or what to do
      managed       cluster and domain, for each cluster that manages the name
      records       what was sent: cluster, record_type, targets, resource
      external_dns  who sends: cluster, peer, last_pass, last_change, interval
      shown         name (its own, or a wildcard), addresses, cluster, resource,
                    ttl, since; or null
      hidden        records that are not shown: reason, sentence, faces, ...
      lines         of the hosts file: number, text, own (not written by dtkdns)
      answers       who (system, dtkdns, systemd-resolved, nameserver), at,
                    addresses, fault (why there are none)
      listening     address, and which of the ports 80 and 443 take connections
    """
    console = Console(highlight=False)

    async def look(webhook: Webhook, reactor: Any) -> int:
        facts = await find_out(webhook, name, reactor)
        found = why.explanation(facts)
        if as_json:
            print_json(found)
        else:
            console.print(why.screen(facts))
        return int(not found.well)

    run(find_service(url, credentials), look)


async def _why(webhook: Webhook, name: str, reactor: Any) -> str:
    """What is wrong with a name, as far as that can be found out; empty where nothing is."""
    try:
        well, sentence = conclusion(await find_out(webhook, name, reactor))
    except FaultError as fault:
        return f"{fault.wrong} {fault.advice}"
    return "" if well else sentence


@main.command("wait", short_help="Wait until a name resolves or no longer does.")
@for_a_service
@click.argument("name", shell_complete=complete_name)
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
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs: name, gone, addresses.")
def wait_for(
    url: str, credentials: tuple[str, str] | None, name: str, gone: bool, seconds: float, as_json: bool
) -> None:
    """Wait until the system's resolver has an address for NAME; for scripts.

    Exit status 1 when it has none in time, with the reason as dtkdns knows it.
    """

    async def look(webhook: Webhook, reactor: Any) -> int:
        try:
            found = await wait(name, gone=gone, seconds=seconds, clock=reactor)
        except LateError as late:
            if gone:
                raise
            raise FaultError(late.wrong, await _why(webhook, name, reactor) or late.advice) from late
        if as_json:
            print_json(found)
        else:
            say(f"{found.name} is gone." if gone else f"{found.name} is {', '.join(found.addresses)}.")
        return 0

    run(find_service(url, credentials), look)


@main.command("forget", short_help="Remove what belongs to a name or a cluster.")
@for_a_service
@click.argument("name", required=False, shell_complete=complete_name)
@click.option(
    "--cluster",
    callback=check_cluster,
    shell_complete=complete_cluster,
    metavar="CLUSTER",
    help="Whose name it is; without a NAME all that it has.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object, for programs: forgotten, cluster, records (name, type), warning. Nothing is asked:"
    " without --yes it says what would go, and nothing does.",
)
def forget_it(
    url: str,
    credentials: tuple[str, str] | None,
    name: str | None,
    cluster: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Forget NAME, or with --cluster alone a whole cluster: what one that is gone, or upsert-only, left behind.

    Shows what would go, asks, and removes it. Exit status 1 when nothing was removed.
    """
    if name is None and cluster is None:
        raise click.UsageError("Give a NAME, or --cluster CLUSTER for all that a cluster has.")

    async def work(webhook: Webhook, _reactor: Any) -> int:
        if name is None:
            found = await find_cluster(webhook, cluster or DEFAULT)
        else:
            found = await find_name(webhook, name, cluster or DEFAULT)
        ask = (lambda _question: yes) if yes or as_json else confirm
        outcome = await forget(webhook, found, ask, (lambda _line: None) if as_json else say)
        if as_json:
            print_json(outcome)
        return int(not outcome.forgotten)

    run(find_service(url, credentials), work)
