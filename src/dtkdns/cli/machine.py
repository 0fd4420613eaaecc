"""What this machine has: its files, and the services that its systemd runs."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from dtkdns.cli.plan import run


@frozen
class Unit:
    """A service of systemd, as systemctl(1) shows it."""

    active: bool
    enabled: bool
    process: int
    """The number of its main process; 0 where there is none."""
    since: int | None
    """When it became active (POSIX seconds); None where that cannot be told."""
    invocation: str = ""
    """Which start of it this is; nothing where it was never started."""


@frozen
class Machine:
    """A system's files, below a root directory."""

    root: str = ""
    """What stands before every path: nothing on the machine that this runs on."""

    def at(self, path: str) -> str:
        return f"{self.root}{path}"

    def has(self, path: str) -> bool:
        return os.path.lexists(self.at(path))

    def text(self, path: str) -> str:
        """What stands in a file; nothing where it cannot be read."""
        try:
            return Path(self.at(path)).read_text("utf-8", "replace")
        except OSError:
            return ""

    def files(self, directory: str, suffix: str) -> list[str]:
        """The paths of the files of a directory whose names end so, sorted."""
        try:
            names = os.listdir(self.at(directory))
        except OSError:
            return []
        return sorted(f"{directory}/{name}" for name in names if name.endswith(suffix))

    def changed(self, path: str) -> int:
        """When a file was last written (POSIX seconds); 0 where there is none."""
        try:
            return int(os.stat(self.at(path)).st_mtime)
        except OSError:
            return 0

    def unit(self, name: str) -> Unit:
        """A service; where systemd does not know it, or does not run here, it is neither active nor enabled."""
        wanted = ["ActiveState", "UnitFileState", "MainPID", "ActiveEnterTimestamp", "InvocationID"]
        said = run(["systemctl", "show", "--timestamp=unix", f"--property={','.join(wanted)}", name]).stdout
        shown = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        since = shown.get("ActiveEnterTimestamp", "").removeprefix("@")
        return Unit(
            shown.get("ActiveState") == "active",
            shown.get("UnitFileState") == "enabled",
            int(shown.get("MainPID") or 0),
            int(since) if since.isdecimal() else None,
            shown.get("InvocationID", ""),
        )

    def arguments(self, process: int) -> list[str]:
        """The command line of a process (proc(5)); none where it has ended."""
        return self.text(f"/proc/{process}/cmdline").split("\0")[:-1]


def last_words(unit: str) -> str:
    """The last two lines that a service itself has written into the journal, of this start if there are any."""
    command = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=2", f"_SYSTEMD_UNIT={unit}.service"]
    invocation = f"_SYSTEMD_INVOCATION_ID={Machine().unit(unit).invocation}"
    # One that is started again and again may not have said anything yet.
    said = run([*command, invocation]).stdout or run(command).stdout
    return "; ".join(dict.fromkeys(line.strip() for line in said.splitlines()))
