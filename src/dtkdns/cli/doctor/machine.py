"""This machine as it is asked: files, commands, addresses. Nothing here changes anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from attrs import frozen

from dtkdns.access import Interface, attached
from dtkdns.cli.plan import run


@frozen
class Machine:
    """This machine, or what stands for it."""

    root: Path = Path("/")
    """Where its files are; a path that lies there already is taken as it is."""
    run: Callable[[Sequence[str]], CompletedProcess[str]] = run
    """Runs a command."""
    attached: Callable[[], list[tuple[str, Interface]]] = attached
    """The addresses of its interfaces, each with the interface's name."""

    def at(self, path: str) -> Path:
        """Where a file of the machine is."""
        return Path(path) if Path(path).is_relative_to(self.root) else self.root / path.lstrip("/")

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

    def same(self, path: str, other: str) -> bool:
        """Whether both lead to one place."""
        return os.path.realpath(self.at(path)) == os.path.realpath(self.at(other))

    def has(self, path: str) -> bool:
        """Whether there is a file or directory."""
        return os.path.exists(self.at(path))
