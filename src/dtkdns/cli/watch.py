"""Looking again and again, until Ctrl-C, also while the service is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text
from twisted.internet.task import deferLater

from dtkdns.cli.client import print_json, sentence
from dtkdns.smoke.report import FaultError

T = TypeVar("T")

AGAIN_SECONDS = 1.0
"""How often it is looked."""


async def watch(look: Callable[[], Awaitable[T]], show: Callable[[T, str], None], reactor: Any) -> NoReturn:
    """Show what is seen, and what was seen last with the sentence why a later look failed.

    Raises `FaultError` where the first look fails.
    """
    seen, fault = await look(), ""
    while True:
        show(seen, fault)
        await deferLater(reactor, AGAIN_SECONDS)
        try:
            seen, fault = await look(), ""
        except FaultError as error:
            fault = sentence(error)


def draw_on(console: Console, reactor: Any) -> Callable[[RenderableType, str], None]:
    """A `show` for `watch`: as much as fits the terminal; where there is none, one after the other."""
    if not console.is_interactive:
        return lambda seen, fault: console.print(Text(f"! {fault}") if fault else seen)
    live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def draw(seen: RenderableType, fault: str) -> None:
        if not live.is_started:
            live.start()
            reactor.addSystemEventTrigger("before", "shutdown", live.stop)
        warning = [Text(f"! {fault}", "bold red"), Text()] if fault else []
        live.update(Group(*warning, seen), refresh=True)

    return draw


def print_lines(seen: object, fault: str) -> None:
    """A `show` for `watch`: an object for programs, and on standard error why there is none."""
    if fault:
        click.echo(f"dtkdns: {fault}", err=True)
    else:
        print_json(seen)
