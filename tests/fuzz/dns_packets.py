"""Fuzzes the DNS server's way from bytes to bytes, with another library reading what comes back.

    python tests/fuzz/dns_packets.py CORPUS_DIRECTORY -dict=tests/fuzz/dns_packets.dict -max_total_time=60

An input is a message. One that starts with `!` says instead how a message is to be put together.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import atheris
import dns.flags
import dns.message
import dns.opcode
import dns.rcode

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["dtkdns"]):
    from dtkdns.dns.replies import DATAGRAM, PLAIN_DATAGRAM, Replies

from dns_questions import replies_for
from test_projection import cluster, endpoint, project

HEADER = struct.Struct("!6H")
WORDS = [
    *(b"foo", b"FOO", b"*", b"dtk", b"DTK", b"io", b"dev", b"sub", b"ns", b"alias", b"gone", b"wild", b"text"),
    *(b"large", b"huge", b"_tcp", b"_ldap", b"example", b"com", b"foo.dtk", b"\0", b"\xff", b"a" * 63),
]
TYPES = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 41, 43, 65, 249, 250, 251, 252, 255, 257, 0, 999, 65535]
PROJECTION = project(
    cluster(
        endpoint("dtk.io", "A", "10.0.0.9"),
        endpoint("dtk.io", "MX", "10 mail.dtk.io", "20 mail.example.com"),
        endpoint("foo.dtk.io", "A", "10.0.0.1", "10.0.0.2", ttl=60),
        endpoint("foo.dtk.io", "AAAA", "fd00::1"),
        endpoint("foo.dtk.io", "TXT", '"of foo"'),
        endpoint("*.wild.dtk.io", "A", "10.0.0.3"),
        endpoint("*.alias.dtk.io", "CNAME", "x.wild.dtk.io"),
        endpoint("alias.dtk.io", "CNAME", "x.y.wild.dtk.io"),
        endpoint("gone.dtk.io", "CNAME", "nothing.dev.dtk.io"),
        endpoint("away.dtk.io", "CNAME", "www.example.com"),
        endpoint("*.loop.dtk.io", "CNAME", "x.loop.dtk.io"),
        endpoint("sub.dtk.io", "NS", "ns.sub.dtk.io", "ns.dtk.io", "ns.example.com"),
        endpoint("ns.sub.dtk.io", "A", "10.0.0.4"),
        endpoint("ns.sub.dtk.io", "AAAA", "fd00::4"),
        endpoint("ns.dtk.io", "A", "10.0.0.5"),
        endpoint("_ldap._tcp.dtk.io", "SRV", "0 5 389 foo.dtk.io"),
        endpoint("phone.dtk.io", "NAPTR", '100 10 "U" "E2U+sip" "!^.*$!sip:info@dtk.io!" .'),
        endpoint("ca.dtk.io", "CAA", '0 issue "ca.example.net"'),
        endpoint("ptr.dtk.io", "PTR", "foo.dtk.io"),
        endpoint("text.dtk.io", "TXT", " ".join(['"' + "x" * 250 + '"'] * 3)),
        endpoint("large.dtk.io", "TXT", *(" ".join(['"' + "x" * 250 + '"'] * at) for at in range(1, 20))),
        endpoint("huge.dtk.io", "TXT", *(" ".join(['"' + "x" * 250 + '"'] * at) for at in range(150, 155))),
        domains=("dtk.io", "dev.dtk.io", "a.b.dtk.io", "example"),
    )
)
MAKERS = {held: replies_for(PROJECTION, held=held) for held in (False, True)}


def some_name(fdp: atheris.FuzzedDataProvider) -> bytes:
    labels = [fdp.PickValueInList(WORDS) for _ in range(fdp.ConsumeIntInRange(0, 5))]
    labels += fdp.PickValueInList([[b"dtk", b"io"], [b"DTK", b"IO"], [b"example"], []])
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def some_record(fdp: atheris.FuzzedDataProvider) -> bytes:
    pointer = struct.pack("!H", 0xC000 | fdp.ConsumeIntInRange(0, 100))
    name = fdp.PickValueInList([b"\0", b"\0", b"\xc0\x0c", pointer, some_name(fdp)])
    data = fdp.ConsumeBytes(fdp.ConsumeIntInRange(0, 8))
    record_type = fdp.PickValueInList([41, 41, 41, *TYPES])
    size = fdp.PickValueInList([0, 1, 511, 512, 513, 1231, 1232, 1233, 4096, 65535])
    ttl = fdp.PickValueInList([0, 0, 0x8000, 0x00010000, 0xFFFFFFFF])
    length = fdp.PickValueInList([len(data), len(data), len(data), 0, 1, 65535])
    return name + struct.pack("!HHIH", record_type, size, ttl, length) + data


def some_message(fdp: atheris.FuzzedDataProvider) -> bytes:
    flags = fdp.PickValueInList([0, 0x100, 0x110, fdp.ConsumeIntInRange(0, 0xFFFF)])
    name = some_name(fdp)
    question = name + struct.pack("!HH", fdp.PickValueInList(TYPES), fdp.PickValueInList([1, 1, 1, 255, 3, 0]))
    records = [some_record(fdp) for _ in range(fdp.ConsumeIntInRange(0, 2))]
    counts = [0, 0, 0]
    for _ in records:
        counts[fdp.PickValueInList([2, 2, 2, 1, 0])] += 1
    asks = fdp.PickValueInList([1, 1, 1, 1, 0, 2])
    whole = HEADER.pack(fdp.ConsumeIntInRange(0, 0xFFFF), flags, asks, *counts) + question + b"".join(records)
    return whole[
        : fdp.PickValueInList([len(whole)] * 4 + [fdp.ConsumeIntInRange(0, len(whole))])
    ] + fdp.PickValueInList([b"", b"", b"", b"\0"])


def check_reply(asked: bytes, found: bytes, most: int) -> dns.message.Message:
    """What holds for every reply."""
    assert not asked[2] & 0x80
    assert len(found) <= most
    assert found[:2] == asked[:2]
    flags, questions, answers, authority, additional = HEADER.unpack_from(found)[1:]
    assert flags & dns.flags.QR
    opcode = flags >> 11 & 0xF
    assert opcode == asked[2] >> 3 & 0xF
    assert bool(flags & dns.flags.RD) == asked[2] & 1
    assert not flags & (dns.flags.RA | dns.flags.AD | 0x40)
    # The body of an update has other sections than records; a reply to one is never more than a header.
    if opcode != dns.opcode.QUERY:
        assert found[2:] == struct.pack("!5H", flags, 0, 0, 0, 0)
        assert flags & 0xF == dns.rcode.NOTIMP
    if not questions:
        assert len(found) == HEADER.size
        assert flags & 0xF in {dns.rcode.FORMERR, dns.rcode.NOTIMP}
        assert not answers + authority + additional
        return dns.message.from_wire(found)
    assert questions == 1
    parsed = dns.message.from_wire(found)
    end = HEADER.size + len(parsed.question[0].name.to_wire()) + 4
    assert found[HEADER.size : end] == asked[HEADER.size : end]
    if parsed.answer:
        assert parsed.answer[0].name.labels == parsed.question[0].name.labels
    if flags & dns.flags.TC:
        assert not answers + authority
        assert additional == (parsed.edns >= 0)
    if parsed.edns >= 0:
        assert (parsed.edns, parsed.payload, parsed.options) == (0, DATAGRAM, ())
    assert (parsed.edns >= 0) or len(found) <= PLAIN_DATAGRAM or most > DATAGRAM
    return parsed


def check(replies: Replies, message: bytes) -> None:
    by_datagram, by_stream = replies.by_datagram(message), replies.by_stream(message)
    assert replies.by_datagram(message) == by_datagram
    if by_datagram is None or by_stream is None:
        assert by_datagram is by_stream is None
        assert len(message) < HEADER.size or message[2] & 0x80
        return
    short, whole = check_reply(message, by_datagram, DATAGRAM), check_reply(message, by_stream, 65535)
    if not short.flags & dns.flags.TC:
        assert by_datagram == by_stream
    assert not whole.flags & dns.flags.TC
    for found in (by_datagram, by_stream):
        assert replies.by_datagram(found) is replies.by_stream(found) is None


@atheris.instrument_func
def test_one_input(data: bytes) -> None:
    message = some_message(atheris.FuzzedDataProvider(data[1:])) if data.startswith(b"!") else data
    for replies in MAKERS.values():
        check(replies, message)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
