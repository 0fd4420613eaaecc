"""Runs a program of Twisted, and notes when its reactor came late to what was due every millisecond.

    python benchmarks/ticker.py FILE PROGRAM [ARGUMENTS]

writes to FILE, at the end, the begin and the end of each pause as JSON, in seconds of CLOCK_MONOTONIC, which is
everybody's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import monotonic

from twisted.internet import reactor
from twisted.scripts.twistd import run

INTERVAL = 0.001
"""Seconds."""
NOTED = 0.002
"""Seconds by which a tick is late that is noted."""


def watch(into: Path) -> None:
    """From the start of the reactor to its end."""
    pauses: list[tuple[float, float]] = []
    due = monotonic()

    def tick() -> None:
        nonlocal due
        now = monotonic()
        if now - due > NOTED:
            pauses.append((due, now))
        due = now + INTERVAL
        reactor.callLater(INTERVAL, tick)

    reactor.callWhenRunning(tick)
    reactor.addSystemEventTrigger("after", "shutdown", lambda: into.write_text(json.dumps(pauses)))


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    run()
