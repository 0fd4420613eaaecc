"""Only one dtkdns keeps a hosts file: two with different records would overwrite each other's block for ever.

What is claimed is a name in the kernel's abstract socket namespace (unix(7)): it leaves no file behind, and goes
with the process however that ends. Nobody can keep us out who could not write the file anyway: a name that another
user's process has is not a claim. Processes in another network namespace are not seen.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from hashlib import sha256
from pathlib import Path

from attrs import define, field

_CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as `SO_PEERCRED` gives them (unix(7))."""


class ClaimError(Exception):
    """Another dtkdns keeps the hosts file; the message is a sentence."""


@define
class HostsClaim:
    """The right to keep the hosts file at `path`, once it is taken."""

    path: str
    _held: int | None = field(default=None, init=False)
    """The socket's descriptor."""

    def take(self) -> None:
        """Take it for this process, until `release` or its end. Raises `ClaimError`.

        Where there is no such namespace, nothing is claimed.
        """
        if self._held is not None or sys.platform != "linux":
            return
        try:
            name = b"\0dtkdns-hosts-" + sha256(os.fsencode(_identity(self.path))).digest()[:16]
            held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:
            return
        try:
            held.bind(name)
            held.listen(1)
        except OSError as error:
            held.close()
            if error.errno == errno.EADDRINUSE:
                self._refuse_if_kept(name)
        else:
            self._held = held.detach()

    def _refuse_if_kept(self, name: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.setblocking(False)
                probe.connect(name)
                found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            except OSError:
                return
        process, user, _group = _CREDENTIALS.unpack(found)
        if user in {0, os.geteuid()}:
            raise ClaimError(
                f"Another dtkdns (process {process}) keeps {self.path}: stop it first, or give this one another"
                " --hosts-file."
            )

    def release(self) -> None:
        """Let another process have it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _identity(path: str) -> str:
    """What is the same for two processes that would write the same file.

    A file is replaced again and again, so it is its directory and name; but a file that is mounted over another
    stays what it is.
    """
    target = os.path.realpath(path)
    if _is_mount_point(target):
        status = os.stat(target)
        return f"{status.st_dev}:{status.st_ino}"
    directory = os.stat(os.path.dirname(target))
    return f"{directory.st_dev}:{directory.st_ino}/{os.path.basename(target)}"


def _is_mount_point(target: str) -> bool:
    """Whether the file is mounted over another (proc_pid_mountinfo(5))."""
    escaped = target.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    return any(line.split(" ")[4] == escaped for line in mounts.splitlines())
