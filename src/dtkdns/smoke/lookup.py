"""Where a name of this machine leads: in the hosts file, and through the system's resolver."""

from __future__ import annotations

import re
import socket
import stat
from itertools import pairwise
from pathlib import Path

from attrs import frozen
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from dtkdns.hosts.text import names_of
from dtkdns.smoke.report import FaultError

LOOKUP_SECONDS = 5.0
"""How long one look may take: a nameserver that does not answer takes longer."""
NSSWITCH = Path("/etc/nsswitch.conf")
LOCAL_SOURCES = frozenset({"myhostname", "mymachines", "mdns_minimal", "mdns4_minimal", "mdns6_minimal"})
"""Sources of nsswitch.conf(5) that know only this machine, its containers, and names in `local`."""
RESOLVE = "resolve"
"""The source that asks systemd-resolved (nss-resolve(8))."""


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


@frozen
class Suspicion:
    """Why the C library may not see what the hosts file has."""

    wrong: str
    advice: str
    unread: bool
    """Whether the file is not looked at, rather than late."""


def sources_of(nsswitch: str) -> list[str] | None:
    """Where hosts are looked up, with the actions in brackets (nsswitch.conf(5)); None where that is not said."""
    found = re.search(r"^\s*hosts:([^#\n]*)", nsswitch, re.MULTILINE)
    return None if found is None else re.findall(r"\[[^\]]*\]|[^\s\[]+", found[1])


def suspicion(nsswitch: str, path: Path = NSSWITCH, *, resolved_reads: bool = False) -> Suspicion | None:
    """What in the text of nsswitch.conf(5) keeps the hosts file from being read first; None where nothing does.

    With `resolved_reads` systemd-resolved is known to read the file itself, so that it may be asked first.
    """
    sources = sources_of(nsswitch)
    if sources is None:
        return Suspicion(f"There is no line 'hosts:' in {path}.", "Add 'hosts: files dns'.", unread=False)
    harmless = LOCAL_SOURCES | ({RESOLVE} if resolved_reads else set())
    there = "files" in sources
    first = sources[: sources.index("files")] if there else sources
    others = [source for source in first if not source.startswith("[") and source not in harmless]
    if there and others:
        ends = any(_ends_search(action) for source, action in pairwise(first) if source in others)
        return Suspicion(
            f"{path} asks {others[0]!r} before 'files'.",
            "Put 'files' in front, or look at what it answers with getent ahosts NAME.",
            unread=ends,
        )
    if not there and not (resolved_reads and RESOLVE in sources):
        return Suspicion(f"{path} says 'hosts: {' '.join(sources)}'.", "Put 'files' in front.", unread=True)
    return None


def _ends_search(action: str) -> bool:
    """Whether nothing else is asked for a name that a source does not have."""
    return re.match(r"\[.*(NOTFOUND|!(?!NOTFOUND)\w+)\s*=\s*return", action, re.IGNORECASE) is not None


def advice_for_the_resolver(nsswitch: Path = NSSWITCH) -> str:
    """What to try when the hosts file has a name that does not resolve."""
    try:
        text = nsswitch.read_text("utf-8", "replace")
    except OSError:
        text = ""
    found = suspicion(text, nsswitch)
    if found is not None:
        return f"{found.wrong} {found.advice}"
    return "'files' comes first in nsswitch.conf: does nscd or another cache stand between (sudo nscd -i hosts)?"


def first_nameserver(resolv_conf: Path) -> str | None:
    """The first that resolv.conf(5) names; None where there is none."""
    try:
        text = resolv_conf.read_text("utf-8", "replace")
    except OSError:
        return None
    found = re.search(r"^nameserver\s+(\S+)", text, re.MULTILINE)
    return found[1] if found is not None else None
