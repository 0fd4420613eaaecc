"""The log as journald reads it from a service's standard output: each line behind its priority (sd-daemon(3))."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from attrs import frozen
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

PRIORITIES: Mapping[str, int] = {"critical": 2, "error": 3, "warn": 4, "info": 6, "debug": 7}
"""Those of syslog(3), by the names of twisted.logger's levels."""


@implementer(ILogObserver)
@frozen
class JournalObserver:
    """Writes each event, without a time: the journal has one."""

    _out: TextIO

    def __call__(self, event: LogEvent) -> None:
        priority = PRIORITIES[event.get("log_level", LogLevel.info).name]
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}\n{failure.getTraceback()}"
        lines = [line for line in text.splitlines() if line.strip()]
        self._out.write("".join(f"<{priority}>{line}\n" for line in lines))
        self._out.flush()


def for_stderr(sentence: str) -> str:
    """The last words of a process, with the priority of an error where the journal reads them."""
    try:
        status = os.fstat(2)
    except OSError:
        return sentence
    read = os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return f"<{PRIORITIES['error']}>{sentence}" if read else sentence


def observer() -> JournalObserver:
    """What `twistd --logger=dtkdns.journal.observer` asks for."""
    return JournalObserver(sys.stdout)
