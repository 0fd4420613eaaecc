"""Which service is meant, and calls to it."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import click
import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from dtkdns.local import local_url
from dtkdns.smoke.command import INTERRUPTED, check_url, read_credentials
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import CALL_SECONDS, Webhook, decoded, require
from dtkdns.status import ServiceStatus

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def for_a_service(command: F) -> F:
    """The options by which a service is found."""
    command = click.option(
        "--credentials",
        type=click.Path(path_type=Path),
        callback=read_credentials,
        metavar="FILE",
        help="A file with a line user:secret.",
    )(command)
    return click.option(
        "--url",
        envvar="DTKDNS_URL",
        default=local_url,
        callback=check_url,
        metavar="URL",
        help="Where dtkdns is called  [default: as the one on this machine says]",
    )(command)


@frozen
class Service:
    """The service that is meant."""

    url: str
    """Without credentials and without a slash at the end."""
    credentials: tuple[str, str] | None = None


def find_service(url: str, credentials: tuple[str, str] | None) -> Service:
    """The one at a URL, in which credentials may stand."""
    parts = urlsplit(url)
    if parts.username is not None and credentials is None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    return Service(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/"), credentials)


async def fetch_status(webhook: Webhook) -> ServiceStatus:
    """Everything that the service knows of itself, in letters that a terminal can show. Raises `FaultError`."""
    reply = await webhook.call("GET", "/status")
    require(reply, 200, b"application/json")
    try:
        return msgspec.convert(_shown(decoded(reply, dict[str, Any])), ServiceStatus, strict=False)
    except msgspec.ValidationError as error:
        raise FaultError(
            f"What dtkdns says of itself is not understood: {error}.",
            "Is it of another version than this command? After an update, restart it.",
        ) from error


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return {key: _shown(one) for key, one in value.items()} if isinstance(value, dict) else value


def plain(text: str) -> str:
    """A text of anybody's, without what a terminal would not take for text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def run(service: Service, work: Callable[[Webhook, Any], Awaitable[int]], seconds: float = CALL_SECONDS) -> None:
    """Do the work with the service and a reactor, and end with the exit status that it comes to.

    What does not work is one line on standard error, with what to do, and exit status 1; so is a fault of ours.
    Ctrl-C ends it with `INTERRUPTED`.
    """
    ended = False

    async def whole(reactor: Any) -> None:
        nonlocal ended
        webhook = Webhook(service.url, service.credentials, seconds, reactor)
        try:
            status = await work(webhook, reactor)
        except Exception as error:
            status = _say(error)
        finally:
            await webhook.close()
        ended = True
        raise SystemExit(status)

    try:
        react(lambda reactor: Deferred.fromCoroutine(whole(reactor)))
    except SystemExit as end:
        raise SystemExit(end.code if end.code or ended else INTERRUPTED) from None


def run_alone(work: Callable[[], int]) -> None:
    """Do work that needs neither the service nor a reactor, and end as `run` does."""
    try:
        status = work()
    except Exception as error:
        status = _say(error)
    except KeyboardInterrupt:
        click.echo("\nInterrupted: what was begun may be done in part. Run it again.", err=True)
        status = INTERRUPTED
    raise SystemExit(status)


def _say(error: Exception) -> int:
    """Say why a command has ended; the exit status."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, FaultError):
        click.echo(f"dtkdns: {sentence(error)}", err=True)
    elif isinstance(error, click.Abort):
        click.echo("\nNothing was done.", err=True)
        return INTERRUPTED if isinstance(error.__context__, KeyboardInterrupt) else 1
    elif isinstance(error, BrokenPipeError):
        sys.stdout = io.StringIO()  # the interpreter flushes it at its end
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}, line {place.lineno}"
        kind = type(error).__name__
        click.echo(plain(f"dtkdns: a fault of dtkdns itself ({kind}: {error}; {where}). Report it."), err=True)
    return 1


def sentence(fault: FaultError) -> str:
    """What is wrong and what to do, as one line."""
    return plain(f"{fault.wrong} {fault.advice}")


def confirm(question: str) -> bool:
    """Ask the person; Ctrl-C is an answer too, which the reactor would not hear meanwhile.

    Raises `click.Abort`.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question)
    finally:
        signal.signal(signal.SIGINT, before)


def print_json(value: object) -> None:
    """One object for programs."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)))
