"""Tries, inside the service's sandbox, what a dtkdns that somebody has taken over would try; prints what works."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
INIT = 1


def write(path: str) -> None:
    Path(path).write_text("x")
    os.unlink(path)


def call(name: str, *arguments: int | bytes | None) -> None:
    """A function of the C library that fails with -1."""
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def attach() -> None:
    """Look into another process of root (ptrace(2), PTRACE_ATTACH)."""
    call("ptrace", 16, INIT, None, None)


def make_code() -> None:
    """Memory that can be written and executed (mmap(2))."""
    LIBC.mmap.restype = ctypes.c_void_p
    if LIBC.mmap(None, 4096, 7, 0x22, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")


def make_setuid() -> None:
    path = Path("/etc/dtkdns-probe")
    try:
        path.touch()
        path.chmod(0o4755)
    finally:
        path.unlink()


ATTEMPTS: dict[str, Callable[[], object]] = {
    "read /root": lambda: Path("/root/secret").read_text(),
    "read /home": lambda: Path("/home/somebody/secret").read_text(),
    "read /etc/shadow": lambda: Path("/etc/shadow").read_text(),
    "write /usr": lambda: write("/usr/local/bin/dtkdns-probe"),
    "write /var": lambda: write("/var/lib/dtkdns-probe"),
    "write /boot": lambda: write("/boot/dtkdns-probe"),
    "write a unit": lambda: write("/etc/systemd/system/dtkdns-probe.service"),
    "write a kernel setting": lambda: Path("/proc/sys/kernel/hostname").write_text("x"),
    "ptrace": attach,
    "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "port below 1024": lambda: socket.create_server(("127.0.0.1", 999)),
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "new namespace": lambda: call("unshare", 0x04000000),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "become another user": lambda: os.setuid(1000),
    "give a file away": lambda: os.chown("/var/lib/dtkdns/probe.py", 1000, 1000),
    "set-user-ID file": make_setuid,
    "code in memory": make_code,
    "disk": lambda: Path("/dev/vda").read_bytes(),
}
"""None of these may work."""
NEEDED: dict[str, Callable[[], object]] = {
    "write in /etc": lambda: write("/etc/dtkdns-probe"),
    "write in its state": lambda: write("/var/lib/dtkdns/probe"),
    "port above 1023": lambda: socket.create_server(("127.0.0.1", 9999)),
    "addresses of the machine": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
}
"""All of these must."""


def works(attempt: Callable[[], object]) -> bool:
    """Whether an attempt succeeds, in a process of its own: what it changes of itself ends with it."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    for what, attempt in {**ATTEMPTS, **NEEDED}.items():
        print(f"{'works' if works(attempt) else 'fails'}: {what}", flush=True)
