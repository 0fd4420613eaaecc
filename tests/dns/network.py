"""A network of one's own, with name resolution of its own: what happens in it nobody else on this machine sees."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

NAMESERVER = "127.0.0.53"
"""Where the programs in it ask, as on a desktop with systemd-resolved."""
SECONDS = 60

_LINKS = """
ip link set lo up
ip link add lan0 type veth peer name lan1  # glibc looks for IPv4 only where an interface beside lo has it
ip address add 192.0.2.10/24 dev lan0
ip link set lan0 up
ip link set lan1 up
"""


@frozen
class Network:
    """A network namespace, and a mount namespace with an /etc of its own."""

    holder: int

    @property
    def prefix(self) -> list[str]:
        """What brings a program into it."""
        return ["nsenter", f"--target={self.holder}", "--mount", "--net"]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *command], capture_output=True, text=True, check=False, timeout=SECONDS
        )

    def do(self, *command: str) -> str:
        """What a program says that has to end well."""
        done = self.run(*command)
        assert done.returncode == 0, done
        return done.stdout


@contextmanager
def network(directory: Path) -> Iterator[Network]:
    """A network that leads nowhere; glibc and musl ask DNS, and nothing else, at `NAMESERVER`."""
    etc = directory / "etc"
    etc.mkdir()
    subprocess.run(["cp", "--archive", "/etc/.", str(etc)], check=True)
    for name, text in {
        "resolv.conf": f"nameserver {NAMESERVER}\noptions timeout:5 attempts:1\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: dns\n",
        "hosts": "127.0.0.1 localhost\n",
    }.items():
        (etc / name).unlink(missing_ok=True)
        (etc / name).write_text(text)
    with _held(f"mount --bind {etc} /etc\n{_LINKS}") as holder:
        yield Network(holder)


@contextmanager
def neighbour(other: Network, *addresses: tuple[str, str]) -> Iterator[Network]:
    """A network at the other end of a cable.

    The addresses are pairs, with their lengths: one of the other network, and one of this.
    """
    with _held("ip link set lo up") as holder:
        one = Network(holder)
        one.do("ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(other.holder))
        for at, link, own in ((other, "cable1", 0), (one, "cable0", 1)):
            for pair in addresses:
                at.do("ip", "address", "add", pair[own], "dev", link)
            at.do("ip", "link", "set", link, "up")
        yield one


@contextmanager
def _held(script: str) -> Iterator[int]:
    """The process that has made the namespaces, and keeps them."""
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", f"{script}\necho made\nexec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if process.stdout.readline() != "made\n":
            pytest.fail(f"These tests need root, for network namespaces of their own: {process.stderr.read()}")
        yield process.pid
    finally:
        process.communicate()
