"""Every change is in the very next answer, whoever asks; and what is not known is not denied."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import frozen

from .dig import dig
from .network import NAMESERVER, Network, neighbour, network
from .serving import Server, endpoint, need, serving

NAME = "foo.dtk.io"
FOO = endpoint(NAME, "A", "10.0.0.1")
BAR = endpoint("bar.dtk.io", "A", "10.0.0.1")
WILDCARD = endpoint("*.dtk.io", "A", "10.0.0.1")
FIRST, SECOND = "127.0.0.9", "127.0.1.8"
"""Addresses of the cluster; they refuse connections, so that nobody waits for them."""

PYTHON = """
import socket, sys
print(*sorted({found[4][0] for found in socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)}))
"""
DNSPYTHON = """
import sys
import dns.resolver
print(*(found.to_text() for found in dns.resolver.resolve(sys.argv[1], tcp="tcp" in sys.argv)))
"""


@frozen
class Client:
    """What is typed at the desktop."""

    command: tuple[str, ...]
    status: int
    """With which it ends where there is no such name."""
    said: str
    """What it says then."""


CLIENTS = {
    "dig": Client(("dig", NAME), 0, "status: NXDOMAIN"),
    "dig by TCP": Client(("dig", "+tcp", NAME), 0, "status: NXDOMAIN"),
    "dig without EDNS": Client(("dig", "+noedns", NAME), 0, "status: NXDOMAIN"),
    "nslookup": Client(("nslookup", "-port=53", NAME, NAMESERVER), 1, f"** server can't find {NAME}: NXDOMAIN"),
    "host": Client(("host", "-p", "53", NAME, NAMESERVER), 1, f"Host {NAME} not found: 3(NXDOMAIN)"),
    "delv": Client(("delv", "-i", NAME), 0, "resolution failed: ncache nxdomain"),
    "getent ahosts": Client(("getent", "ahosts", NAME), 2, ""),
    "getent hosts": Client(("getent", "hosts", NAME), 2, ""),
    "musl": Client(("musl", NAME), 2, "Name does not resolve"),
    "curl": Client(("curl", "--verbose", f"http://{NAME}"), 6, f"Could not resolve host: {NAME}"),
    "Python": Client((sys.executable, "-c", PYTHON, NAME), 1, "Name or service not known"),
    "dnspython": Client((sys.executable, "-c", DNSPYTHON, NAME), 1, "NXDOMAIN"),
    "dnspython by TCP": Client((sys.executable, "-c", DNSPYTHON, NAME, "tcp"), 1, "NXDOMAIN"),
}


@frozen
class Desktop:
    """A network whose name server is dtkdns."""

    network: Network
    server: Server
    programs: dict[str, str]

    def says(self, command: tuple[str, ...]) -> tuple[int, str]:
        """Exit status, and all that a program says."""
        program, *words = command
        done = self.network.run(self.programs.get(program, program), *words)
        return done.returncode, done.stdout + done.stderr

    def found(self, command: tuple[str, ...]) -> set[str]:
        """Which of the cluster's addresses a program speaks of."""
        return {FIRST, SECOND} & set(re.findall(r"[\d.]+\d", self.says(command)[1]))


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory, musl: str) -> Iterator[Desktop]:
    need("curl", "delv", "dig", "getent", "host", "ip", "nslookup")
    directory = tmp_path_factory.mktemp("changes")
    with (
        network(directory) as private,
        serving(directory, dns=f"{NAMESERVER}:53", addresses=FIRST, prefix=private.prefix) as running,
    ):
        yield Desktop(private, running, {"musl": musl})


@pytest.mark.parametrize("record", [FOO, WILDCARD], ids=["name", "wildcard"])
@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_a_client_sees_each_change_in_the_very_next_answer(
    desktop: Desktop, client: Client, record: dict[str, object]
) -> None:
    def not_there() -> None:
        status, said = desktop.says(client.command)
        assert status == client.status
        assert client.said in said
        assert desktop.found(client.command) == set()

    not_there()
    desktop.server.change(create=[record])
    assert desktop.found(client.command) == {FIRST}
    desktop.server.call("POST", "/clusterip", SECOND)
    assert desktop.found(client.command) == {SECOND}
    desktop.server.call("POST", "/clusterip", FIRST)
    assert desktop.found(client.command) == {FIRST}
    desktop.server.change(delete=[record])
    not_there()


def test_a_name_is_gone_with_its_domain_and_there_again_with_it(tmp_path: Path) -> None:
    with serving(tmp_path, addresses=FIRST) as server:
        port = server.service.dns_port
        server.call("POST", "/domains", "dtk.test")
        server.change(create=[endpoint("foo.dtk.test", "A", "10.0.0.1")])
        for _ in range(2):
            assert dig("127.0.0.1", port, "foo.dtk.test").answers == (f"foo.dtk.test. 5 IN A {FIRST}",)
            server.call("DELETE", "/domains/dtk.test")
            assert dig("127.0.0.1", port, "foo.dtk.test").status == "REFUSED"
            server.call("POST", "/domains", "dtk.test")


@pytest.mark.parametrize("option", ["+notcp", "+tcp"])
def test_after_a_kill_the_first_answers_are_those_from_before(tmp_path: Path, option: str) -> None:
    with serving(tmp_path, addresses=FIRST) as server:
        port = server.service.dns_port
        server.change(create=[FOO, BAR])
        server.call("POST", "/clusterip", SECOND)
        server.change(delete=[BAR])
        before = [dig("127.0.0.1", port, NAME, option), dig("127.0.0.1", port, "bar.dtk.io", option)]
        assert [reply.status for reply in before] == ["NOERROR", "NXDOMAIN"]
        server.service.kill()
    with serving(tmp_path, dns=f"127.0.0.1:{port}", addresses=FIRST):
        name, nothing = (dig("127.0.0.1", port, question, option) for question in (NAME, "bar.dtk.io"))
        assert name == before[0]
        assert name.answers == (f"{NAME}. 5 IN A {SECOND}",)
        assert nothing.status == "NXDOMAIN"


@pytest.mark.parametrize("damage", ["one record", "whole file"])
def test_after_damage_no_name_is_denied_until_records_have_come_again(tmp_path: Path, damage: str) -> None:
    need("nslookup")
    with serving(tmp_path, addresses=FIRST) as server:
        server.change(create=[FOO, BAR])
        server.service.stop()
    database = tmp_path / "state" / "records.sqlite"
    if damage == "one record":
        with closing(sqlite3.connect(database)) as connection, connection:
            damaging = "UPDATE endpoint SET digest = digest + 1 WHERE CAST(document AS TEXT) LIKE '%bar.dtk.io%'"
            changed = connection.execute(damaging)
            assert changed.rowcount == 1
    else:
        database.write_bytes(b"no database " * 1000)
    lost = {"bar.dtk.io", "nope.dtk.io"} | ({NAME} if damage == "whole file" else set())
    with serving(tmp_path, addresses=FIRST) as server:
        port = server.service.dns_port
        for name in (NAME, "bar.dtk.io", "nope.dtk.io"):
            for option in ("+notcp", "+tcp"):
                reply = dig("127.0.0.1", port, name, option)
                assert reply.status == ("SERVFAIL" if name in lost else "NOERROR")
        assert dig("127.0.0.1", port, NAME, "TXT").status == "SERVFAIL"
        said = subprocess.run(
            ["nslookup", f"-port={port}", "bar.dtk.io", "127.0.0.1"], capture_output=True, text=True, check=False
        )
        assert (said.returncode, "** server can't find bar.dtk.io: SERVFAIL" in said.stdout) == (1, True)
        server.change(create=[FOO])
        assert dig("127.0.0.1", port, NAME).answers == (f"{NAME}. 5 IN A {FIRST}",)
        assert dig("127.0.0.1", port, NAME, "TXT").status == "NOERROR"
        for name in ("bar.dtk.io", "nope.dtk.io"):
            assert dig("127.0.0.1", port, name).status == "NXDOMAIN"


@pytest.mark.parametrize(
    ("options", "allowed", "refused"),
    [
        (("--allow", "198.51.100.0/24"), "198.51.100.2", "203.0.113.2"),
        (("--allow", "203.0.113.2/32"), "203.0.113.2", "198.51.100.2"),
        ((), "203.0.113.2", "198.18.0.2"),
    ],
    ids=["a network", "an address", "as it is by itself"],
)
def test_a_peer_that_may_not_ask_gets_nothing_by_udp_and_a_closed_connection_by_tcp(
    tmp_path: Path, options: tuple[str, ...], allowed: str, refused: str
) -> None:
    """By itself dtkdns answers the networks that it is attached to, and none beyond a router."""
    need("dig", "ip")
    here = "203.0.113.1"
    cable = [
        (f"{here}/24", "203.0.113.2/24"),
        ("198.51.100.1/24", "198.51.100.2/24"),
        (f"{here}/32", "198.18.0.2/32"),
    ]
    with (
        network(tmp_path) as private,
        neighbour(private, *cable) as peer,
        serving(tmp_path, *options, dns=f"{here}:5053", addresses=FIRST, prefix=private.prefix) as server,
    ):
        private.do("ip", "route", "add", "198.18.0.2/32", "dev", "cable1")
        server.change(create=[FOO])
        for option in ("+notcp", "+tcp"):
            reply = dig(here, 5053, NAME, option, "-b", allowed, prefix=peer.prefix)
            assert reply.answers == (f"{NAME}. 5 IN A {FIRST}",)
        assert server.refused() == 0
        command = ["dig", "+tries=1", "+timeout=1", f"@{here}", "-p", "5053", "-b", refused, NAME]
        silence = peer.run(*command)
        assert (silence.returncode, "timed out" in silence.stdout) == (9, True), silence
        assert server.refused() == 1
        closed = peer.run(*command, "+tcp")
        assert closed.returncode == 9
        assert re.search(r"connection reset|end of file", closed.stdout), closed
        assert server.refused() == 2
