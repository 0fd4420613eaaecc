"""Where and with what it was measured."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from attrs import frozen

from benchmarks.server import VERSION

MOST_BY_OTHERS = 0.05
"""Share of the cores' time that the rest of the machine may take before the results are in doubt."""
PACKAGES = ("dtkdns", "Twisted", "msgspec", "attrs", "python-hosts", "hostctl-cli")


def described(scratch: Path) -> list[str]:
    """A line for each thing that the results depend on."""
    processor = _first(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(_first(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())) / 1024 / 1024
    release = ".".join(platform.release().split(".")[:2])
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}; {os.cpu_count()} cores of {processor}, {memory:.0f} GB,"
        f" Linux {release}, {_file_system(scratch)}",
        f"{platform.python_implementation()} {platform.python_version()}, {packages}",
        f"external-dns {VERSION}, dnsmasq {_said(['dnsmasq', '--version'])}, dnsperf {_said(['dnsperf', '-h'])}",
    ]


@frozen
class Processors:
    """What the cores have done up to a moment, in seconds."""

    at: float
    busy: float
    """For everybody."""
    own: float
    """For this process and those that it has started and that have ended."""

    @classmethod
    def now(cls) -> Processors:
        # user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)); guests are in user
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        times = os.times()
        return cls(times.elapsed, busy, sum(times[:4]))


def by_others(since: Processors) -> str:
    """How much of the cores the rest of the machine has had, in a line for the results."""
    now = Processors.now()
    others = (now.busy - since.busy) - (now.own - since.own)
    share = max(others / (now.at - since.at) / (os.cpu_count() or 1), 0.0)
    doubt = " **It was busy with other work: measure again.**" if share > MOST_BY_OTHERS else ""
    return f"The rest of the machine took {share:.0%} of the cores' time meanwhile.{doubt}"


def _file_system(path: Path) -> str:
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return _first(r"[Vv]ersion (\d[\w.]*)", done.stdout + done.stderr)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1].strip() if found else "of an unknown kind"
