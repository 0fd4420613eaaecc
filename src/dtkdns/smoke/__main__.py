"""`python -m dtkdns.smoke http://HOST:5000`: does it all work, and if not, what to do."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from dtkdns.smoke.ingress import IngressLife
from dtkdns.smoke.record import RecordLife
from dtkdns.smoke.report import NOT_TRIED, Check, Report, Summary
from dtkdns.smoke.webhook import CALL_SECONDS, Webhook

INTERRUPTED = 130
"""The exit status after Ctrl-C or a termination, when everything was removed."""


@frozen
class Options:
    """What was asked for."""

    url: str
    credentials: tuple[str, str] | None
    domain: str
    hosts_file: Path
    ingress: bool
    ingress_port: int
    kubectl_options: tuple[str, ...]
    seconds: float
    as_json: bool


def _check_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter("give a URL such as http://192.168.0.12:5000.")
    return value.rstrip("/")


def _read_credentials(
    _context: click.Context, _parameter: click.Parameter, value: Path | None
) -> tuple[str, str] | None:
    if value is None:
        return None
    try:
        lines = value.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(str(error)) from error
    first = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
    user, colon, secret = first.partition(":")
    if not colon:
        raise click.BadParameter(f"{value} has no line user:secret.")
    return user, secret


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url", callback=_check_url)
@click.option("--cluster", metavar="NAME", help="Try the base /clusters/NAME.")
@click.option("--domain", default="", metavar="NAME", help="The managed domain to use  [default: the first]")
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    callback=_read_credentials,
    metavar="FILE",
    help="A file with a line user:secret.",
)
@click.option(
    "--hosts-file",
    type=click.Path(path_type=Path),
    default=Path("/etc/hosts"),
    metavar="FILE",
    show_default=True,
    help="The file that dtkdns keeps.",
)
@click.option("--ingress", is_flag=True, help="Try the cluster too: create an Ingress by kubectl, and delete it.")
@click.option("--kubeconfig", metavar="FILE", help="For kubectl  [default: as kubectl finds it]")
@click.option("--namespace", metavar="NAME", help="For the Ingress  [default: as kubectl has it]")
@click.option(
    "--ingress-port",
    type=click.IntRange(1, 65535),
    default=80,
    metavar="PORT",
    show_default=True,
    help="Where the ingress controller listens.",
)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(0, min_open=True),
    default=75.0,
    metavar="SECONDS",
    show_default=True,
    help="How long to wait for anything; external-dns may look once a minute only.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def smoke(
    url: str,
    cluster: str | None,
    domain: str,
    credentials: tuple[str, str] | None,
    hosts_file: Path,
    ingress: bool,
    kubeconfig: str | None,
    namespace: str | None,
    ingress_port: int,
    seconds: float,
    as_json: bool,
) -> None:
    """Try the dtkdns at URL with the calls of external-dns, and with --ingress the cluster too.

    A record is created in a managed domain, looked for, and removed again. Exit status: 0 when every check holds,
    1 when one does not, 2 for a wrong command line, 130 when it was interrupted; nothing is left behind.
    """
    parts = urlsplit(url)
    if parts.username is not None and credentials is None:
        credentials = (parts.username, parts.password or "")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    options = Options(
        url=f"{bare}/clusters/{cluster}" if cluster else bare,
        credentials=credentials,
        domain=domain,
        hosts_file=hosts_file,
        ingress=ingress,
        ingress_port=ingress_port,
        kubectl_options=(
            *((f"--kubeconfig={kubeconfig}",) if kubeconfig else ()),
            *((f"--namespace={namespace}",) if namespace else ()),
        ),
        seconds=seconds,
        as_json=as_json,
    )
    react(lambda reactor: Deferred.fromCoroutine(_run(reactor, options)))


async def _run(reactor: Any, options: Options) -> None:
    """Make the checks and say what they came to; raises `SystemExit` with the status.

    When the process is asked to end meanwhile, what was created is removed first.
    """
    report = Report((lambda _check: None) if options.as_json else _say, reactor, options.seconds)
    finished: Deferred[None] = Deferred()

    def interrupt() -> Deferred[None]:
        report.interrupted = True
        return finished

    trigger = reactor.addSystemEventTrigger("before", "shutdown", interrupt)
    try:
        await _check_all(reactor, options, report)
    finally:
        if report.interrupted:
            finished.callback(None)
        else:
            reactor.removeSystemEventTrigger(trigger)
    held = report.held and not report.interrupted
    if options.as_json:
        summary = Summary(options.url, held, report.interrupted, report.checks)
        click.echo(msgspec.json.format(msgspec.json.encode(summary)))
    else:
        left = sum(check.ok is None and check.detail == NOT_TRIED for check in report.checks)
        if left:
            click.echo(f"- {left} further checks were not tried{': interrupted' if report.interrupted else ''}.")
    raise SystemExit(INTERRUPTED if report.interrupted else 0 if held else 1)


async def _check_all(reactor: Any, options: Options, report: Report) -> None:
    webhook = Webhook(options.url, options.credentials, min(CALL_SECONDS, options.seconds), reactor)
    token = secrets.token_hex(4)
    try:
        record = RecordLife(webhook, report, options.hosts_file, f"dtkdns-smoke-{token}", options.domain)
        await record.run()
        if options.ingress and report.held and not report.interrupted:
            host = f"dtkdns-smoke-ingress-{token}.{record.domain}"
            await IngressLife(webhook, report, host, options.kubectl_options, options.ingress_port).run()
    finally:
        await webhook.close()


def _say(check: Check) -> None:
    """One line for a person; what was not tried is counted at the end."""
    if check.detail == NOT_TRIED:
        return
    ticks = "\u2713\u2717" if "utf" in (sys.stdout.encoding or "").lower() else "+x"
    mark = {True: ticks[0], False: ticks[1], None: "-"}[check.ok]
    took = f" ({check.milliseconds} ms)" if check.ok else ""
    detail = f": {check.detail}" if check.detail else ""
    advice = f" {check.advice}" if check.advice else ""
    click.echo(f"{mark} {check.check}{detail}{took}{advice}")


if __name__ == "__main__":
    smoke(prog_name="python -m dtkdns.smoke")
