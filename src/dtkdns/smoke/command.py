"""The command: does it all work, and if not, what to do."""

from __future__ import annotations

import io
import math
import secrets
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import click
import msgspec
from attrs import frozen
from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from dtkdns.cluster import CLUSTER_NAME
from dtkdns.local import local_url
from dtkdns.names import DomainError, parse_domain
from dtkdns.smoke.ingress import IngressLife
from dtkdns.smoke.record import RecordLife
from dtkdns.smoke.report import NOT_TRIED, Check, Report, Summary
from dtkdns.smoke.webhook import CALL_SECONDS, Webhook

INTERRUPTED = 130
"""The exit status after Ctrl-C, a termination or a hang-up, when what was created is removed."""


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


def check_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        fit = parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
        fit = fit and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        raise click.BadParameter("give a URL such as http://192.168.0.12:5000.")
    return value.rstrip("/")


def _check_option(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else check_url(context, parameter, value)


def check_cluster(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and CLUSTER_NAME.fullmatch(value) is None:
        raise click.BadParameter("a cluster's name is 1 to 63 of a-z, 0-9 and hyphen.")
    return value


def _check_domain(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    try:
        return parse_domain(value) if value else ""
    except DomainError as error:
        raise click.BadParameter(str(error)) from error


def _check_seconds(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("give a number of seconds.")
    return value


def read_credentials(
    _context: click.Context, _parameter: click.Parameter, value: Path | None
) -> tuple[str, str] | None:
    if value is None:
        return None
    try:
        lines = value.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(str(error)) from error
    first = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
    user, colon, secret = first.partition(":")
    if not colon:
        raise click.BadParameter(f"{value} has no line user:secret.")
    return user, secret


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="Make every call of external-dns and say what does not hold.",
)
@click.argument("url", callback=check_url, envvar="DTKDNS_URL", default=local_url)
@click.option(
    "--url", "option", callback=_check_option, metavar="URL", help="The same, as other commands take it."
)
@click.option("--cluster", callback=check_cluster, metavar="NAME", help="Try the base /clusters/NAME.")
@click.option(
    "--domain", callback=_check_domain, metavar="NAME", help="The managed domain to use  [default: the first]"
)
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    callback=read_credentials,
    metavar="FILE",
    help="A file with a line user:secret.",
)
@click.option(
    "--hosts-file",
    type=click.Path(path_type=Path, readable=False),
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
    callback=_check_seconds,
    default=75.0,
    metavar="SECONDS",
    show_default=True,
    help="How long to wait for anything; external-dns may look once a minute only.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def smoke(
    url: str,
    option: str | None,
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

    Without URL it is the one that runs on this machine.

    A record is created in a managed domain, looked for, and removed again. Exit status: 0 when every check holds,
    1 when one does not, 2 for a wrong command line, 130 when it was interrupted. What was created is removed in
    every case; what could not be removed is named, with exit status 1.
    """
    parts = urlsplit(option or url)
    if parts.username is not None and credentials is None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
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

    def interrupt(_number: int, _frame: object) -> None:
        report.interrupted = True

    handlers: dict[int, Any] = {}

    def handle() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handlers[number] = signal.signal(number, interrupt)

    reactor.callWhenRunning(handle)
    try:
        await _check_all(reactor, options, report)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    held = report.held and not report.interrupted and not report.deaf
    try:
        _say_at_the_end(options, report, held=held)
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        report.deaf = True
    if report.deaf:
        sys.stdout = io.StringIO()  # the interpreter flushes it at its end
    if report.interrupted and not report.left_behind:
        raise SystemExit(INTERRUPTED)
    raise SystemExit(0 if held and not report.deaf else 1)


def _say_at_the_end(options: Options, report: Report, *, held: bool) -> None:
    if options.as_json:
        checks = [
            structs.replace(one, detail=_plain(one.detail), advice=_plain(one.advice)) for one in report.checks
        ]
        summary = Summary(_plain(options.url), held, report.interrupted, checks)
        click.echo(msgspec.json.format(msgspec.json.encode(summary)))
        return
    left = sum(check.detail == NOT_TRIED for check in report.checks)
    if left:
        click.echo(f"- {left} further checks were not tried{': interrupted' if report.interrupted else ''}.")


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
    encoding = sys.stdout.encoding or "ascii"
    ticks = "\u2713\u2717" if "utf" in encoding.lower() else "+x"
    mark = {True: ticks[0], False: ticks[1], None: "-"}[check.ok]
    took = f" ({check.milliseconds} ms)" if check.ok else ""
    detail = f": {check.detail}" if check.detail else ""
    advice = f" {check.advice}" if check.advice else ""
    line = f"{mark} {check.check}{_plain(detail)}{took}{_plain(advice)}"
    click.echo(line.encode(encoding, "backslashreplace"))


def _plain(text: str) -> str:
    """Without what a terminal or JSON would not take for text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
