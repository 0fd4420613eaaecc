"""What systemd is told of the service's life (sd_notify(3)): ready, alive, how it does, stopping."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

PINGS = 3.0
"""Signs of life in each watchdog interval: sd_watchdog_enabled(3) asks for two."""
LONGEST_STATUS = 400
"""Characters of the status line."""


@define
class Notifier:
    """Speaks to the service manager at `NOTIFY_SOCKET`; without one it does nothing."""

    _address: str
    _watchdog: float
    """Seconds within which a sign of life is wanted; 0 for never."""
    _clock: IReactorTime
    _told: str = field(default="", init=False)
    _pinging: LoopingCall | None = field(default=None, init=False)

    _log = Logger()

    def ready(self, status: Callable[[], str]) -> None:
        """The service does its work now; from here on signs of life are sent, with how it does."""
        self._tell("READY=1")
        self._tell_status(status)
        if self._watchdog > 0 and self._address:
            self._pinging = LoopingCall(self._ping, status)
            self._pinging.clock = self._clock
            self._pinging.start(self._watchdog / PINGS)

    def stopping(self) -> None:
        """The service ends what it does; no sign of life is wanted any more."""
        if self._pinging is not None and self._pinging.running:
            self._pinging.stop()
        self._tell("STOPPING=1")

    def _ping(self, status: Callable[[], str]) -> None:
        self._tell("WATCHDOG=1")
        self._tell_status(status)

    def _tell_status(self, status: Callable[[], str]) -> None:
        try:
            line = " ".join(status().split())[:LONGEST_STATUS]
        except Exception:
            self._log.failure("How the service does could not be said.")
            return
        if line != self._told:
            self._told = line
            self._tell(f"STATUS={line}")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
                there.sendto(message.encode("utf-8", "replace"), address)
        except OSError as error:
            self._log.warn("systemd was not told {message!r}: {error}.", message=message, error=error)


def notifier(environment: Mapping[str, str], clock: IReactorTime) -> Notifier:
    """The one for this process, as its service manager has set its environment."""
    address = environment.get("NOTIFY_SOCKET", "")
    return Notifier(address if address[:1] in {"/", "@"} else "", _watchdog_seconds(environment), clock)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """`WATCHDOG_USEC`, where it is meant for this process (sd_watchdog_enabled(3))."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0
