"""What this machine has: its files, its addresses, and the services that its systemd runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from attrs import frozen

from dtkdns.access import Interface, attached
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
    load: str = ""
    """Its `LoadState` (org.freedesktop.systemd1(5)), `loaded` or `not-found`; empty where systemd does not run."""
    state: str = ""
    """Its `ActiveState`."""


@frozen
class Machine:
    """This machine, or what stands for it; nothing here changes anything."""

    root: Path = Path("/")
    """Where its files are; a path that lies there already is taken as it is."""
    run: Callable[[Sequence[str]], CompletedProcess[str]] = run
    """Runs a command."""
    attached: Callable[[], list[tuple[str, Interface]]] = attached
    """The addresses of its interfaces, each with the interface's name."""

    def at(self, path: str) -> Path:
        """Where a file of the machine is."""
        return Path(path) if Path(path).is_relative_to(self.root) else self.root / path.lstrip("/")

    def has(self, path: str) -> bool:
        """Whether there is a file, a directory, or a link, wherever it leads."""
        return os.path.lexists(self.at(path))

    def same(self, path: str, other: str) -> bool:
        """Whether both lead to one place."""
        return os.path.realpath(self.at(path)) == os.path.realpath(self.at(other))

    def data(self, path: str) -> bytes | None:
        """What a file holds; None where it is not there or may not be read."""
        try:
            return self.at(path).read_bytes()
        except OSError:
            return None

    def text(self, path: str) -> str:
        """`data` as text; empty where there is none."""
        return (self.data(path) or b"").decode("utf-8", "replace")

    def texts(self, directory: str, pattern: str) -> dict[str, str]:
        """The texts of the files of a directory that match, by their paths and in the order of their names."""
        found = sorted(path for path in self.at(directory).glob(pattern) if os.path.isfile(path))
        paths = [f"/{path.relative_to(self.root)}" for path in found]
        return {path: self.text(path) for path in paths}

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
        wanted = ["ActiveState", "UnitFileState", "MainPID", "ActiveEnterTimestamp", "InvocationID", "LoadState"]
        said = self.run(["systemctl", "show", "--timestamp=unix", f"--property={','.join(wanted)}", name]).stdout
        shown = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        since = shown.get("ActiveEnterTimestamp", "").removeprefix("@")
        return Unit(
            shown.get("ActiveState") == "active",
            shown.get("UnitFileState") == "enabled",
            int(shown.get("MainPID") or 0),
            int(since) if since.isdecimal() else None,
            shown.get("InvocationID", ""),
            shown.get("LoadState", ""),
            shown.get("ActiveState", ""),
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
