"""A flood of random packets: the DNS server stays as large as it is, and right."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from dns_questions import packet, replies_for
from dtkdns.dns import replies as replies_module
from dtkdns.dns.replies import Replies
from process import Dtkdns, call, dtkdns
from test_projection import cluster, endpoint, project

PACKETS = int(os.environ.get("DTKDNS_TEST_PACKETS", "1000000"))
OVER_A_SOCKET = PACKETS // 20
SEED = 4592
GROWTH = 8 * 1024 * 1024
"""Bytes that the process may have more at the most in the last quarter than at the most in the second."""
AT_A_TIME = 50
"""Packets after which an answer is waited for, so that none is lost for lack of room."""
BOUND = 30
"""Seconds for one answer."""

TYPES = [*range(70), 99, *range(249, 260), 32769, 65535]
LABELS = [
    b"foo",
    b"FOO",
    b"*",
    b"dtk",
    b"io",
    b"sub",
    b"wild",
    b"alias",
    b"text",
    b"example",
    b"a.b",
    b"\0\xff",
    b"a" * 63,
]
PROJECTION = project(
    cluster(
        endpoint("foo.dtk.io", "A", "10.0.0.1", "10.0.0.2"),
        endpoint("foo.dtk.io", "AAAA", "fd00::1"),
        endpoint("*.wild.dtk.io", "A", "10.0.0.3"),
        endpoint("alias.dtk.io", "CNAME", "x.wild.dtk.io"),
        endpoint("sub.dtk.io", "NS", "ns.sub.dtk.io", "ns.example.com"),
        endpoint("ns.sub.dtk.io", "A", "10.0.0.4"),
        endpoint("text.dtk.io", "TXT", *(" ".join(['"' + "x" * 250 + '"'] * at) for at in range(1, 8))),
        endpoint("_ldap._tcp.dtk.io", "SRV", "0 5 389 foo.dtk.io"),
        domains=("dtk.io", "dev.dtk.io", "example"),
    )
)


class Packets:
    """The same packets in every run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def noise(self) -> bytes:
        return self.random.randbytes(self.random.choice([0, 1, 11, 12, 13, 20, 40, 100, 512]))

    def name(self) -> bytes:
        chosen = self.random.choices(LABELS, k=self.random.randrange(3))
        if self.random.random() < 0.5:
            chosen.insert(0, self.random.randbytes(self.random.randint(1, 12)))
        chosen += self.random.choice([[b"dtk", b"io"], [b"dtk", b"io"], [b"DTK", b"io"], [b"example"], []])
        return b"".join(bytes([len(label)]) + label for label in chosen) + b"\0"

    def question(self) -> bytes:
        """Of any name and any type, with EDNS or without."""
        opt = self.random.random() < 0.5
        flags = self.random.choice([0, 0x100, 0x110])
        head = struct.pack("!6H", self.random.getrandbits(16), flags, 1, 0, 0, opt)
        asked = self.name() + struct.pack(
            "!HH", self.random.choice(TYPES), self.random.choice([1, 1, 1, 1, 255, 3])
        )
        size, version, dnssec = (
            self.random.getrandbits(16),
            self.random.random() < 0.02,
            self.random.getrandbits(1),
        )
        behind = b"\0" + struct.pack("!HHIH", 41, size, version << 16 | dnssec << 15, 0) if opt else b""
        return head + asked + behind

    def spoilt(self) -> bytes:
        """A question in which some bytes are others, missing, or doubled."""
        message = bytearray(self.question())
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randrange(len(message) + 1)
            match self.random.randrange(4):
                case 0:
                    message[at : at + 1] = self.random.randbytes(1)
                case 1:
                    del message[at : at + self.random.randint(1, 4)]
                case 2:
                    message[at:at] = self.random.randbytes(self.random.randint(1, 4))
                case _:
                    message[at:at] = message[max(at - 8, 0) : at]
        return bytes(message)

    def some(self, count: int) -> Iterator[bytes]:
        kinds: list[Callable[[], bytes]] = [self.noise, self.spoilt, self.question, self.question]
        for _ in range(count):
            yield self.random.choice(kinds)()


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def flood(replies: Replies, packets: Iterator[bytes]) -> tuple[int, Counter[int]]:
    """The most memory there was, and how often there was which response code; -1 is silence."""
    most, seen = 0, Counter[int]()
    for number, message in enumerate(packets):
        found = replies.by_datagram(message)
        if found is None:
            seen[-1] += 1
        else:
            seen[found[3] & 0xF] += 1
            assert found[:2] == message[:2]
            assert len(found) <= 1232
        if number % 1000 == 0:
            assert 0 <= replies._size <= replies_module.MOST_KEPT
            most = max(most, resident())
    return most, seen


@pytest.mark.timeout(600)
def test_a_million_random_packets_raise_nothing_and_leave_nothing_behind() -> None:
    replies = replies_for(PROJECTION)
    packets = Packets(SEED)
    expected = replies.by_datagram(packet("foo.dtk.io"))
    began, most, seen = time.monotonic(), [], Counter[int]()
    for _ in range(4):
        quarter_most, quarter_seen = flood(replies, packets.some(PACKETS // 4))
        most.append(quarter_most)
        seen += quarter_seen
    seconds = time.monotonic() - began
    assert most[3] - most[1] < GROWTH, most
    assert len(replies.tallies) <= len(replies_module._RCODES) * (len(replies_module.TYPES) + 1)
    assert sum(tally.fresh + tally.kept for tally in replies.tallies.values()) == seen.total() - seen[-1] + 1
    assert set(seen) == {
        -1,
        *(getattr(dns.rcode, name) for name in ("NOERROR", "FORMERR", "NXDOMAIN", "NOTIMP", "REFUSED")),
    }
    assert replies.by_datagram(packet("foo.dtk.io")) == expected
    print(f"{PACKETS} packets in {seconds:.0f} s: {dict(seen)}; MiB at the most: {[one >> 20 for one in most]}")


def answered(client: socket.socket, message_id: int) -> dns.message.Message:
    """The answer to one question, whatever comes before it."""
    asked = packet("foo.dtk.io", message_id=message_id)
    client.send(asked)
    while True:
        found = client.recv(65535)
        if found[:2] == asked[:2] and found[12 : len(asked)] == asked[12:]:
            return dns.message.from_wire(found)


def memory_of(service: Dtkdns) -> int:
    """Bytes of memory that the service has."""
    pages = int(Path(f"/proc/{service.process.pid}/statm").read_bytes().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(600)
def test_after_random_packets_over_a_real_socket_the_service_answers_as_before(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"127.0.0.1 localhost\n")
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io"]
    options += ["--hosts-file", str(tmp_path / "hosts"), "--state", str(tmp_path / "state")]
    record = {"dnsName": "foo.dtk.io", "recordType": "A", "targets": ["10.0.0.1"]}
    with dtkdns(*options) as service, service.connection() as connection:
        assert call(connection, "POST", "/records", json.dumps({"create": [record]})) == (204, b"")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", service.dns_port))
            client.settimeout(BOUND)
            expected = answered(client, 1)
            assert expected.answer[0].to_text() == "foo.dtk.io. 5 IN A 10.0.0.1"
            packets, sizes = Packets(SEED + 1), []
            for _quarter in range(4):
                for number, message in enumerate(packets.some(OVER_A_SOCKET // 4)):
                    client.send(message)
                    if number % AT_A_TIME == 0:
                        assert answered(client, number & 0xFFFF).answer == expected.answer
                sizes.append(memory_of(service))
            assert answered(client, 1) == expected
        assert call(connection, "GET", "/healthz")[0] == 200
        service.stop()
    log = "".join(service.log)
    assert "Traceback" not in log
    assert "Unhandled" not in log
    assert sizes[3] - sizes[1] < GROWTH + replies_module.MOST_KEPT, sizes
    print(f"{OVER_A_SOCKET} packets; MiB: {[one >> 20 for one in sizes]}")
