"""Whether DTK's `hostsfile-server.py` is still there, and how it is stopped."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from dtkdns.cli.plan import run

UNIT = "hostsfile-server"
"""Of systemd, as DTK installs it."""
SCRIPT = "hostsfile-server.py"
PROCESSES = Path("/proc")


def how_to_stop(processes: Path = PROCESSES) -> str:
    """The command that stops it for good; empty where it neither runs nor will be started.

    `processes` is a directory as in proc(5).
    """
    verbs = ("is-active", "is-enabled")
    if any(run(("systemctl", "--quiet", verb, UNIT)).returncode == 0 for verb in verbs):
        return f"sudo systemctl disable --now {UNIT}"
    running = _by_hand(processes)
    # On SIGTERM it waits for itself, for ever.
    return shlex.join(["sudo", "kill", "-KILL", *running]) if running else ""


def _by_hand(processes: Path) -> list[str]:
    """The processes in which Python runs the script."""
    return [
        entry.name
        for entry in sorted(processes.glob("[0-9]*"), key=lambda entry: entry.name)
        if _is_script(_command_line(entry))
    ]


def _command_line(process: Path) -> list[str]:
    try:
        return os.fsdecode((process / "cmdline").read_bytes()).split("\0")
    except OSError:  # it has ended
        return []


def _is_script(words: list[str]) -> bool:
    if not words or not os.path.basename(words[0]).startswith("python"):
        return False
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    return os.path.basename(script) == SCRIPT
