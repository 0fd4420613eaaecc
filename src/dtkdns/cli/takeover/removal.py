"""Lines taken out of the hosts file beside a service that may keep it."""

from __future__ import annotations

import os

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from dtkdns.cli.takeover.oldserver import SCRIPT
from dtkdns.hosts.faults import said
from dtkdns.hosts.inplace import Journal, Overwriting
from dtkdns.hosts.oldserver import without
from dtkdns.hosts.replace import HostsFile, read_text
from dtkdns.hosts.text import remove
from dtkdns.hosts.versions import REMEMBERED
from dtkdns.smoke.report import FaultError
from dtkdns.state import default_path

QUIET_SECONDS = 2 * REMEMBERED
"""A service puts back what goes so soon after a write of its own: it remembers lines from that write, and again
from a look at the file that comes while it does.
"""
PATIENCE_SECONDS = 30.0
"""How long lines that come back are removed again."""
LOOK_SECONDS = 0.1


@define
class _Journal(Journal):
    """A journal whose directory is made when it is needed: a rename needs none."""

    def begin(self, overwriting: Overwriting) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o711, exist_ok=True)
        super().begin(overwriting)


def hosts_file_beside_a_service(path: str) -> HostsFile:
    """The file at `path`, with a journal that is not the one of a service: both may write."""
    return HostsFile(path, _Journal(os.path.join(default_path(os.environ, os.geteuid()), "import.journal")))


def mend(file: HostsFile) -> list[str]:
    """Finish a removal that was cut while it wrote in place; a sentence for each thing that was found.

    Raises `HostsFileError`.
    """
    if not os.access(file.journal.path, os.R_OK | os.W_OK):
        return []
    with said(file.journal.path):
        if file.journal.read() is None:
            return []
    found = file.recover()
    file.edit(lambda text: text, lambda text: remove(text, file.ours))
    return found


async def take_out(file: HostsFile, lines: frozenset[bytes], clock: IReactorTime) -> None:
    """Remove exactly these lines, each given with its LF, and see that they stay out.

    A service that wrote the file a moment ago takes a line that goes for one that was lost, and puts it back. So
    nothing is removed until nobody has written for a while, and what comes back is removed again. Raises
    `HostsFileError`, and `FaultError` when they come back for too long.
    """

    def out(text: bytes) -> bytes:
        return without(text, lines)

    end = clock.seconds() + PATIENCE_SECONDS
    while True:
        while abs(clock.seconds() - _written(file)) < QUIET_SECONDS and clock.seconds() < end:
            await deferLater(clock, LOOK_SECONDS)
        edited = file.edit(out, lambda text: out(remove(text)))
        if edited.settled and await _stay_out(file, lines, clock):
            return
        if clock.seconds() >= end:
            raise FaultError(
                f"Lines that were removed from {file.path} come back.",
                f"Does {SCRIPT} run somewhere, or does dtkdns write all the time? Stop it, and run this again with"
                " --domains.",
            )


def _written(file: HostsFile) -> float:
    """When the file was last written (POSIX seconds)."""
    signature = file.signature()
    return signature.modified / 1e9 if signature is not None else 0.0


async def _stay_out(file: HostsFile, lines: frozenset[bytes], clock: IReactorTime) -> bool:
    """Whether none comes back for as long as a service remembers them."""
    end = clock.seconds() + REMEMBERED
    while clock.seconds() < end:
        await deferLater(clock, LOOK_SECONDS)
        text = read_text(file.target)
        if without(text, lines) != text:
            return False
    return True
