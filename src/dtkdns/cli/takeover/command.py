"""`dtkdns import`: what DTK's `hostsfile-server.py` left in the hosts file is shown, and removed when asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import click
from attrs import frozen
from rich.console import Console
from twisted.internet.interfaces import IReactorTime

from dtkdns.cli.client import confirm, fetch_status, find_service, for_a_service, plain, print_json, run
from dtkdns.cli.plan import require_root
from dtkdns.cli.takeover.oldlines import Takeover, describe, screen, what_is_left
from dtkdns.cli.takeover.oldserver import SCRIPT, how_to_stop
from dtkdns.cli.takeover.removal import hosts_file_beside_a_service, mend, take_out
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.oldserver import OldLine, find
from dtkdns.hosts.replace import HostsFile, read_text, why_no_right
from dtkdns.settings import SettingError, parse_domains
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from dtkdns.status import ServiceStatus

HOSTS_FILE = "/etc/hosts"


@frozen
class Wanted:
    """What was typed."""

    hosts_file: str | None = None
    """None: the one that the service keeps."""
    domains: tuple[str, ...] = ()
    """None given: those that the service manages."""
    yes: bool = False
    as_json: bool = False


def _check_domains(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    try:
        return parse_domains([value]) if value is not None else ()
    except SettingError as error:
        raise click.BadParameter(str(error)) from error


@click.command("import", short_help="Remove what DTK's hostsfile-server.py left.")
@for_a_service
@click.option(
    "--hosts-file", metavar="FILE", help="The file to look through  [default: the one that dtkdns keeps]"
)
@click.option(
    "--domains",
    callback=_check_domains,
    metavar="A[,B]",
    help="Of the names that are looked for  [default: those that dtkdns manages]",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs; removes only with --yes.")
def take_over(
    url: str,
    credentials: tuple[str, str] | None,
    hosts_file: str | None,
    domains: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Take over from DTK's hostsfile-server.py: remove the lines that it left in the hosts file.

    Shows them with what dtkdns has for each name, asks, and removes them. Where dtkdns does not run, give
    --domains.

    Only lines like "192.168.122.167 foo.dtk.io" are meant, with one space, one name of a managed domain and no
    comment. One like these that is yours stays when you put a comment behind it.
    """
    wanted = Wanted(hosts_file, domains, yes, as_json)
    run(find_service(url, credentials), lambda webhook, reactor: look_and_remove(webhook, wanted, reactor))


async def look_and_remove(webhook: Webhook, wanted: Wanted, clock: IReactorTime) -> int:
    """The whole command; the exit status. Raises `FaultError`."""
    status = await _ask(webhook, needed=not wanted.domains)
    domains = wanted.domains or _managed(status)
    path = wanted.hosts_file or (
        status.hosts.path if status is not None and status.hosts is not None else HOSTS_FILE
    )
    file = hosts_file_beside_a_service(path)
    with _spoken():
        for sentence in mend(file):
            click.echo(plain(sentence), err=True)
        lines = find(read_text(file.target), domains)
    found = [describe(line, status) for line in lines]
    stop = how_to_stop()
    if not wanted.as_json:
        Console(highlight=False).print(screen(path, found))
    removed = False
    if not stop and lines and (wanted.yes or not wanted.as_json):
        removed = await _ask_and_remove(file, lines, clock, yes=wanted.yes)
    to_do = what_is_left(domains[0], lines[-1].address, status, webhook.url) if removed else []
    if wanted.as_json:
        print_json(Takeover(plain(path), stop, found, removed, to_do))
    elif removed:
        click.echo("\n".join(["Removed. What is left to do:", *(f"  {one}" for one in to_do)]))
    if stop:
        raise FaultError(f"{SCRIPT} is still there and would write again.", f"Stop it first: {stop}")
    return int(bool(lines) and not removed)


async def _ask(webhook: Webhook, *, needed: bool) -> ServiceStatus | None:
    """What the service knows; None where it does not answer, and that is not `needed`. Raises `FaultError`."""
    try:
        return await fetch_status(webhook)
    except FaultError as fault:
        if needed:
            raise FaultError(fault.wrong, f"{fault.advice} Without it, give --domains.") from fault
        return None


def _managed(status: ServiceStatus | None) -> tuple[str, ...]:
    found = (
        tuple(domain for cluster in status.clusters for domain in cluster.domains) if status is not None else ()
    )
    if not found:
        raise FaultError("No domain is managed.", "Give --domains, or start dtkdns with it.")
    return found


async def _ask_and_remove(file: HostsFile, lines: Sequence[OldLine], clock: IReactorTime, *, yes: bool) -> bool:
    if why_no_right(file.path) is not None:
        require_root()
    many = f"these {len(lines)} lines" if len(lines) > 1 else "this line"
    if not yes and not confirm(f"Remove {many}?"):
        click.echo("Nothing was done.")
        return False
    with _spoken():
        await take_out(file, frozenset(line.text for line in lines), clock)
    return True


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    try:
        yield
    except HostsFileError as error:
        raise FaultError(str(error), "Then run this again.") from error
