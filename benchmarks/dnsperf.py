"""Questions over UDP on the loopback interface, asked by dnsperf."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

from benchmarks import sent

ASKED = 200_000
STEADY = 1_000
"""Questions a second, far more than any desktop asks, for how long answers take."""


class UnreadableError(Exception):
    """dnsperf said something else than usual; the message is a sentence."""


def questions(size: int, into: Path) -> Path:
    """A file of names to ask for, the same in each run."""
    chosen = random.Random(1).choices(range(size), k=ASKED)
    into.write_text("".join(f"{sent.name_of(number)} A\n" for number in chosen))
    return into


def answers_a_second(port: int, asked: Path, seconds: float) -> float:
    """With as many questions under way as it has by default, 100. Every answer must be one."""
    said = _dnsperf(port, asked, seconds)
    completed, right = _number(r"Queries completed: +(\d+)", said), _number(r"NOERROR (\d+)", said)
    assert completed == right, said
    return _number(r"Queries per second: +([\d.]+)", said)


def late_milliseconds(port: int, asked: Path, seconds: float) -> float:
    """Within this time 99 of 100 answers come, at a steady rate of questions."""
    said = _dnsperf(port, asked, seconds, "-v", "-Q", str(STEADY), "-q", "1000000", "-T", "1")
    times = sorted(float(time) * 1000 for time in re.findall(r"^> NOERROR \S+ A ([\d.]+)$", said, re.MULTILINE))
    if not times:
        raise UnreadableError(f"dnsperf had no answers: {said}")
    return times[len(times) * 99 // 100]


def _dnsperf(port: int, asked: Path, seconds: float, *options: str) -> str:
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(asked), "-l", f"{seconds:.0f}", *options]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise UnreadableError(f"dnsperf said nothing like {pattern!r}: {said}")
    return float(found[1])
