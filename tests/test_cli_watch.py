"""Looking again and again, also while nobody answers."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

import pytest
from pytest_twisted import ensureDeferred
from rich.console import Console
from rich.text import Text
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dtkdns.cli.watch import AGAIN_SECONDS, draw_on, print_lines, watch
from dtkdns.smoke.report import FaultError


class Ending:
    """A reactor that only keeps what is to be done at its end."""

    def __init__(self) -> None:
        self.last: list[Callable[[], object]] = []

    def addSystemEventTrigger(self, _phase: str, _event: str, what: Callable[[], object]) -> None:  # noqa: N802
        self.last.append(what)


def looking(*seen: str | FaultError) -> Callable[[], Awaitable[str]]:
    """What each look gives."""
    left = list(seen)

    async def look() -> str:
        found = left.pop(0)
        if isinstance(found, FaultError):
            raise found
        return found

    return look


def test_it_is_looked_again_after_a_fault_which_is_said_beside_what_was_seen_last() -> None:
    clock, shown = Clock(), list[tuple[str, str]]()
    look = looking("one", FaultError("No answer.", "Is\x1b it running?"), "two")
    watching = Deferred.fromCoroutine(watch(look, lambda *what: shown.append(what), clock))
    watching.addErrback(lambda _cancelled: None)
    clock.advance(AGAIN_SECONDS)
    clock.advance(AGAIN_SECONDS)
    assert shown == [("one", ""), ("one", r"No answer. Is\x1b it running?"), ("two", "")]
    watching.cancel()


@ensureDeferred
async def test_a_first_look_that_fails_ends_it() -> None:
    with pytest.raises(FaultError, match="No answer"):
        await watch(looking(FaultError("No answer.", "Is it running?")), print_lines, Clock())


def test_a_terminal_is_drawn_whole_and_given_back_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out, reactor = io.StringIO(), Ending()
    draw = draw_on(Console(file=out, width=20, height=3, force_terminal=True), reactor)
    draw(Text("one\ntwo\nthree\nfour"), "")
    drawn = out.getvalue()
    assert "\x1b[?1049h" in drawn
    assert "three" in drawn
    assert "four" not in drawn
    draw(Text("one"), "No answer.")
    assert "! No answer." in out.getvalue()
    assert len(reactor.last) == 1
    reactor.last[0]()
    assert "\x1b[?25h" in out.getvalue()
    assert out.getvalue().endswith("\x1b[?1049l")


def test_without_a_terminal_each_look_is_printed_without_escape_sequences() -> None:
    out = io.StringIO()
    draw = draw_on(Console(file=out, width=20), Clock())
    draw(Text("one"), "")
    draw(Text("one"), "No answer.")
    assert out.getvalue() == "one\n! No answer.\n"


def test_programs_get_an_object_for_each_look_and_faults_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines({"a": 1}, "")
    print_lines({"a": 1}, "No answer.")
    assert capsys.readouterr() == ('{\n  "a": 1\n}\n', "dtkdns: No answer.\n")
