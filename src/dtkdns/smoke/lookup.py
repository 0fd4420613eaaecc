"""Where a name of this machine leads: in the hosts file, and through the system's resolver."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from dtkdns.hosts.text import names_of
from dtkdns.smoke.report import FaultError

LOOKUP_SECONDS = 5.0
"""How long one look may take: a nameserver that does not answer takes longer."""
NSSWITCH = Path("/etc/nsswitch.conf")


def in_hosts_file(path: Path, name: str) -> list[str]:
    """The addresses that the lines of the file give the name. Raises `FaultError` when it cannot be read."""
    advice = "Give the --hosts-file that dtkdns keeps."
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            raise FaultError(f"{path} is no file.", advice)
        return sorted(names_of(path.read_bytes()).get(name, ()))
    except OSError as error:
        raise FaultError(
            f"{path} cannot be read: {error.strerror}.", "Give the --hosts-file that dtkdns keeps."
        ) from error


async def resolved(name: str) -> list[str]:
    """The addresses that getaddrinfo(3) gives."""
    looked_up = deferToThread(_getaddrinfo, name)
    looked_up.addTimeout(LOOKUP_SECONDS, reactor, onTimeoutCancel=lambda _late, _seconds: [])
    return await looked_up


def _getaddrinfo(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(address[0]) for *_, address in found})


def advice_for_the_resolver(nsswitch: Path = NSSWITCH) -> str:
    """What to try when the hosts file has a name that does not resolve (nsswitch.conf(5))."""
    try:
        text = nsswitch.read_text("utf-8", "replace")
    except OSError:
        text = ""
    found = re.search(r"^\s*hosts:([^#\n]*)", text, re.MULTILINE)
    if found is None:
        return f"There is no line 'hosts:' in {nsswitch}: add 'hosts: files dns'."
    sources = found[1].split()
    if "files" not in sources:
        return f"{nsswitch} says 'hosts:{found[1].rstrip()}': put 'files' in front."
    if sources[0] != "files":
        return (
            f"{nsswitch} asks {sources[0]!r} before 'files': put 'files' in front, or look at what"
            " it answers with getent ahosts NAME."
        )
    return "'files' comes first in nsswitch.conf: does nscd or another cache stand between (sudo nscd -i hosts)?"
