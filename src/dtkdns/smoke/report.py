"""What each check came to, for people and for programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

T = TypeVar("T")

LOOK_SECONDS = 0.05
"""How often it is looked whether something has come about."""

REMOVE_SECONDS = 15.0
"""How long it is tried to remove what was created."""
AGAIN_SECONDS = 0.5

NOT_TRIED = "not tried"

Step = tuple[str, Callable[[], Awaitable[str]]]
"""What is checked, and the check: its result is a detail worth reading, or empty."""


class FaultError(Exception):
    """A check does not hold: what is wrong, and what to try, a sentence each."""

    def __init__(self, wrong: str, advice: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.advice = advice


class NothingToSayError(Exception):
    """A check neither holds nor fails; the message says why."""


class Check(msgspec.Struct, frozen=True):
    """One check and what it came to."""

    check: str
    ok: bool | None
    """None where nothing can be said: it was not tried, or what it looks at was removed by external-dns."""
    milliseconds: int
    detail: str = ""
    advice: str = ""


class Summary(msgspec.Struct, frozen=True):
    """All of them, as `--json` prints them."""

    url: str
    ok: bool
    interrupted: bool
    checks: list[Check]


def _nobody(_check: Check) -> None:
    pass


class Report:
    """Goes through checks, and tells each one when it is done."""

    def __init__(self, tell: Callable[[Check], None], clock: IReactorTime, seconds: float) -> None:
        self._tell = tell
        self._clock = clock
        self.seconds = seconds
        """How long anything may take that is waited for."""
        self.checks: list[Check] = []
        self.interrupted = False
        """Whether the person wants to end it: what was created is removed, and nothing else is begun."""
        self.left_behind = False
        """Whether something that was created could not be removed."""
        self.deaf = False
        """Whether what is told can no longer be heard."""

    @property
    def held(self) -> bool:
        """Whether no check has failed."""
        return not any(check.ok is False for check in self.checks)

    async def go(self, steps: list[Step], *, always: bool = False) -> bool:
        """Try these steps in order, each for as long as those before it held; whether all did.

        With `always` also after an interruption.
        """
        held = True
        for what, step in steps:
            if not held or (self.interrupted and not always):
                self._add(Check(what, None, 0, NOT_TRIED))
                continue
            begun = self._clock.seconds()
            ok: bool | None = True
            advice = ""
            try:
                detail = await step()
            except FaultError as fault:
                ok, detail, advice = False, fault.wrong, fault.advice
            except NothingToSayError as nothing:
                ok, detail = None, str(nothing)
            except Exception as error:
                ok, detail, advice = (
                    False,
                    f"{type(error).__name__}: {error}",
                    "A fault of this script: report it.",
                )
            held = ok is not False
            self._add(Check(what, ok, round((self._clock.seconds() - begun) * 1000), detail, advice))
        return held and not self.interrupted

    async def until(self, look: Callable[[], Awaitable[T | None]], late: Callable[[], Awaitable[FaultError]]) -> T:
        """Look until there is something to see; raises what `late` gives when there is nothing in time."""
        end = self._clock.seconds() + self.seconds
        while True:
            seen = await look()
            if seen is not None:
                return seen
            if self.interrupted:
                raise NothingToSayError("interrupted")
            if self._clock.seconds() > end:
                raise await late()
            await deferLater(self._clock, LOOK_SECONDS)

    async def remove(self, work: Callable[[], Awaitable[object]], by_hand: str) -> None:
        """Do this until it succeeds, or time is up; the `FaultError` then says how to do it by hand."""
        end = self._clock.seconds() + min(self.seconds, REMOVE_SECONDS)
        while True:
            try:
                await work()
            except FaultError as fault:
                if self._clock.seconds() > end:
                    self.left_behind = True
                    raise FaultError(fault.wrong, f"It is left behind: {by_hand}") from fault
                await deferLater(self._clock, AGAIN_SECONDS)
            else:
                return

    def _add(self, check: Check) -> None:
        self.checks.append(check)
        try:
            self._tell(check)
        except (OSError, ValueError, AttributeError):  # nobody listens any more: go on, and clean up
            self.deaf = True
            self._tell = _nobody
