"""Bytes in, bytes out: what is echoed, how much fits, and that a kept reply is the one that would be made anew."""

from __future__ import annotations

import struct
from collections import Counter
from itertools import pairwise

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.task import Clock

from dns_model import Model, Record, in_order, name_of, names_in, projection_of, said_by
from dns_questions import ID, ask, packet, replies_for, reply, zone
from dtkdns.cluster import Cluster
from dtkdns.dns import replies as replies_module
from dtkdns.dns.replies import Replies
from dtkdns.endpoint import Changes
from dtkdns.names import inside
from dtkdns.projection import Projection
from test_projection import endpoint

HEADER = struct.Struct("!6H")
QR, AA, TC, RD, RA, AD, CD = (getattr(dns.flags, name) for name in ("QR", "AA", "TC", "RD", "RA", "AD", "CD"))
FOO = ("foo.dtk.io", "A", "10.0.0.1")
SOME = zone(
    FOO,
    ("Foo.dtk.io".lower(), "AAAA", "fd00::1"),
    ("alias.dtk.io", "CNAME", "foo.dtk.io"),
    ("*.wild.dtk.io", "A", "10.0.0.2"),
    ("sub.dtk.io", "NS", "ns.sub.dtk.io"),
    ("ns.sub.dtk.io", "A", "10.0.0.3"),
)


def some() -> Replies:
    return replies_for(SOME)


def head(found: bytes | None) -> tuple[int, ...]:
    """Id, flags and the four counts."""
    assert found is not None
    return HEADER.unpack_from(found)


def text(length: int) -> str:
    """The target of a TXT record whose data have so many octets."""
    strings = []
    while length:
        size = min(length, 256)
        strings.append('"' + "x" * (size - 1) + '"')
        length -= size
    return " ".join(strings)


def length_of(replies: Replies, message: bytes) -> int:
    found = replies.by_stream(message)
    assert found is not None
    return len(found)


# Headers


@pytest.mark.parametrize("flags", [0, RD, CD, RD | CD])
@pytest.mark.parametrize(
    ("name", "more", "rcode"),
    [("foo.dtk.io", AA, 0), ("bar.dtk.io", AA, 3), ("x.sub.dtk.io", 0, 0), ("example.com", 0, 5)],
)
def test_the_flags_of_a_reply(flags: int, name: str, more: int, rcode: int) -> None:
    """RD and CD come back as they were (RFC 1035, section 4.1.1; RFC 4035, section 3.1.6), and no other bit."""
    found = some().by_datagram(packet(name, flags=flags | AA | TC | RA | AD | 0x40))
    assert head(found)[:2] == (ID, QR | flags | more | rcode)


def test_the_id_comes_back_also_with_a_kept_reply() -> None:
    replies = some()
    for message_id in (0, 1, 0xFFFF, ID):
        assert head(replies.by_datagram(packet("foo.dtk.io", message_id=message_id)))[0] == message_id
    assert [(tally.fresh, tally.kept) for tally in replies.tallies.values()] == [(1, 3)]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_no_question_gets_a_header_alone_with_its_operation_and_wish_for_recursion(stream: bool) -> None:
    replies = some()
    answer = replies.by_stream if stream else replies.by_datagram
    whole = packet("foo.dtk.io")
    assert answer(whole[:-1]) == HEADER.pack(ID, QR | RD | 1, 0, 0, 0, 0)
    assert answer(HEADER.pack(ID, 0x7F | 0x700, 0, 0, 0, 0)) == HEADER.pack(ID, QR | RD | 1, 0, 0, 0, 0)
    for opcode in range(1, 16):
        for flags in (0, RD):
            asked = whole[:2] + struct.pack("!H", opcode << 11 | flags | CD | TC) + whole[4:]
            assert answer(asked) == HEADER.pack(ID, QR | opcode << 11 | flags | 4, 0, 0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_and_what_has_no_header_get_none(stream: bool) -> None:
    replies = some()
    answer = replies.by_stream if stream else replies.by_datagram
    known = packet("foo.dtk.io")
    own = answer(known)
    assert own is not None
    assert answer(own) is None
    for length in range(12):
        assert answer(known[:length]) is None
    assert sum(tally.fresh for tally in replies.tallies.values()) == 1


# The question comes back as it was


@pytest.mark.parametrize(
    "name",
    [
        "FOO.dtk.io",
        "fOo.DtK.iO",
        "ALIAS.dtk.IO",
        "X.Wild.dtk.io",
        "Bar.DTK.io",
        "X.SUB.dtk.io",
        "Example.COM",
        ".",
    ],
)
@pytest.mark.parametrize("edns", [None, 1232])
def test_the_question_comes_back_byte_for_byte(name: str, edns: int | None) -> None:
    asked = packet(name, edns=edns)
    end = len(packet(name))
    for found in (some().by_datagram(asked), some().by_stream(asked)):
        assert found is not None
        assert found[12:end] == asked[12:end]


def test_the_owner_of_an_answer_is_spelled_as_asked_and_what_an_alias_leads_to_is_not() -> None:
    replies = some()
    for name in ("FOO.dtk.io", "fOO.dtk.io", "ANY.thing.WILD.dtk.io"):
        assert ask(replies, name).answer[0].name.to_text() == f"{name}."
    chain = ask(replies, "ALIAS.DTK.io").answer
    assert [one.name.to_text() for one in chain] == ["ALIAS.DTK.io.", "foo.dtk.io."]


def test_a_name_of_any_bytes_comes_back_as_owner_of_its_answer() -> None:
    replies = some()
    for labels in ([b"a.b"], [b"a\0b"], [b"\xff\0.", b"**"], [b"."], [bytes(range(63))], [b"\xc0\x0c"]):
        name = dns.name.Name([*labels, b"wild", b"dtk", b"io", b""])
        found = reply(replies, packet(name))
        assert found.question[0].name.labels == name.labels
        assert [(one.name.labels, one[0].to_text()) for one in found.answer] == [(name.labels, "10.0.0.2")]


def test_a_name_as_long_as_a_name_can_be_is_answered() -> None:
    name = dns.name.Name([b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 49, b"wild", b"dtk", b"io", b""])
    assert len(name.to_wire()) == 255
    assert reply(some(), packet(name, edns=1232)).answer[0].name == name


# EDNS


@pytest.mark.parametrize("name", ["foo.dtk.io", "bar.dtk.io", "x.sub.dtk.io", "example.com"])
@pytest.mark.parametrize("dnssec", [False, True])
@pytest.mark.parametrize("size", [0, 512, 4096, 65535])
def test_who_sends_an_opt_record_gets_one(name: str, dnssec: bool, size: int) -> None:
    """Without options, with the octets that we take, and with DO as it was (RFC 6891, section 6.1)."""
    asked = packet(name, edns=size, dnssec=dnssec)
    found = some().by_datagram(asked)
    assert found is not None
    assert found.endswith(b"\0\0\x29\x04\xd0\0\0" + (b"\x80\0" if dnssec else b"\0\0") + b"\0\0")
    plain = some().by_datagram(packet(name))
    assert plain is not None
    assert found[12:-11] == plain[12:]
    assert head(plain)[5] + 1 == head(found)[5]
    assert dns.message.from_wire(plain).edns == -1


@pytest.mark.parametrize("version", [1, 255])
@pytest.mark.parametrize("name", ["foo.dtk.io", "example.com"])
def test_another_version_of_edns_is_answered_with_ours_and_nothing_else(version: int, name: str) -> None:
    asked = dns.message.make_query(name, "A")
    asked.use_edns(version, dns.flags.DO)
    asked.ednsflags |= version << 16
    for stream in (False, True):
        found = reply(some(), asked.to_wire(), stream=stream)
        assert found.rcode() == dns.rcode.BADVERS
        assert (found.edns, found.payload, found.ednsflags & dns.flags.DO) == (0, 1232, dns.flags.DO)
        assert not found.flags & AA
        assert not found.answer
        assert not found.authority
        assert found.question == asked.question


def test_before_anything_is_known_another_version_of_edns_is_told_so() -> None:
    asked = dns.message.make_query("foo.dtk.io", "A")
    asked.use_edns(1)
    asked.ednsflags |= 1 << 16
    replies = Replies(Clock())
    assert reply(replies, asked.to_wire()).rcode() == dns.rcode.BADVERS
    assert reply(replies, packet("foo.dtk.io", edns=512)).rcode() == dns.rcode.SERVFAIL


def test_options_are_not_answered_and_make_no_difference() -> None:
    replies = some()
    asked = dns.message.make_query("foo.dtk.io", "A", id=ID)
    asked.use_edns(0, options=[dns.edns.GenericOption(10, b"cookie12"), dns.edns.GenericOption(12, bytes(300))])
    assert replies.by_datagram(asked.to_wire()) == replies.by_datagram(packet("foo.dtk.io", edns=1232))


# How much fits


@pytest.mark.parametrize(
    ("edns", "most"),
    [
        *((None, 512), (0, 512), (100, 512), (511, 512), (512, 512), (513, 513), (1000, 1000), (1231, 1231)),
        *((1232, 1232), (1233, 1232), (4096, 1232), (65535, 1232)),
    ],
)
def test_a_datagram_has_as_many_octets_as_the_client_takes_and_1232_at_most(edns: int | None, most: int) -> None:
    asked = packet("foo.dtk.io", "TXT", edns=edns)
    other = length_of(replies_for(zone(("foo.dtk.io", "TXT", text(100)))), asked) - 100
    fits = replies_for(zone(("foo.dtk.io", "TXT", text(most - other))))
    whole = fits.by_datagram(asked)
    assert whole is not None
    assert len(whole) == most
    assert whole == fits.by_stream(asked)
    above = replies_for(zone(("foo.dtk.io", "TXT", text(most - other + 1))))
    cut = above.by_datagram(asked)
    assert head(cut) == (ID, QR | AA | TC | RD, 1, 0, 0, edns is not None)
    assert cut == above.by_datagram(asked)
    assert len(reply(above, asked, stream=True).answer) == 1


def test_what_does_not_fit_in_a_datagram_keeps_its_response_code_and_its_authority() -> None:
    """A client that looks at these before it asks again is not misled."""
    servers = [("sub.dtk.io", "NS", f"a-long-name-of-a-server-{at}.example.com") for at in range(30)]
    hops = [f"a{at}-{'x' * 50}.dtk.io" for at in range(12)]
    chain = [(owner, "CNAME", target) for owner, target in pairwise(hops)]
    glue = [("sub.dtk.io", "NS", "ns.sub.dtk.io"), ("ns.sub.dtk.io", "A", "10.0.0.1")]
    replies = replies_for(zone(*servers, *glue, *chain))
    referral = reply(replies, packet("x.sub.dtk.io"))
    assert dns.flags.to_text(referral.flags) == "QR TC RD"
    gone = reply(replies, packet(hops[0]))
    assert dns.flags.to_text(gone.flags) == "QR AA TC RD"
    assert gone.rcode() == dns.rcode.NXDOMAIN
    for found in (referral, gone):
        assert [*found.answer, *found.authority, *found.additional] == []
    assert reply(replies, packet(hops[0]), stream=True).rcode() == dns.rcode.NXDOMAIN


def test_over_a_connection_a_reply_has_65535_octets_at_most_and_fails_beyond() -> None:
    asked = packet("foo.dtk.io", "TXT")
    first = text(60_000)
    other = (
        length_of(replies_for(zone(("foo.dtk.io", "TXT", first), ("foo.dtk.io", "TXT", text(100)))), asked) - 100
    )
    fits = replies_for(zone(("foo.dtk.io", "TXT", first), ("foo.dtk.io", "TXT", text(65535 - other))))
    assert length_of(fits, asked) == 65535
    assert len(reply(fits, asked, stream=True).answer[0]) == 2
    above = replies_for(zone(("foo.dtk.io", "TXT", first), ("foo.dtk.io", "TXT", text(65536 - other))))
    assert head(above.by_stream(asked)) == (ID, QR | RD | 2, 1, 0, 0, 0)
    assert head(above.by_datagram(asked)) == (ID, QR | AA | TC | RD, 1, 0, 0, 0)
    with_opt = packet("foo.dtk.io", "TXT", edns=1232)
    assert head(fits.by_stream(with_opt)) == (ID, QR | RD | 2, 1, 0, 0, 1)


def test_names_further_back_than_pointers_reach_are_written_out() -> None:
    """A pointer has 14 bits (RFC 1035, section 4.1.4)."""
    servers = [Record("sub.dtk.io", "NS", f"server-{at}-{'x' * 40}.sub.dtk.io.") for at in range(500)]
    glue = [
        Record(one.data.removesuffix("."), "A", f"10.0.{at >> 8}.{at & 255}") for at, one in enumerate(servers)
    ]
    replies = replies_for(projection_of(["dtk.io"], [*servers, *glue]))
    assert 2**15 < length_of(replies, packet("x.sub.dtk.io")) < 2**16
    found = reply(replies, packet("x.sub.dtk.io"), stream=True)
    model = Model(frozenset(["dtk.io"]), (*servers, *glue), serial=1000)
    assert in_order(said_by(found)) == in_order(model.ask(name_of("x.sub.dtk.io"), "A"))


@pytest.mark.parametrize("count", [2_000, 66_000])
def test_more_records_than_a_message_can_hold_or_count_fail_and_raise_nothing(count: int) -> None:
    addresses = tuple(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}" for at in range(count))
    projection = zone(FOO, *(("mx.dtk.io", "MX", f"{at} a{at}-{'x' * 50}.dtk.io") for at in range(2_000)))
    shown = {"foo.dtk.io": evolve(projection.shown["foo.dtk.io"], addresses=addresses)}
    replies = replies_for(evolve(projection, shown=shown))
    for name, record_type in (("foo.dtk.io", "A"), ("mx.dtk.io", "MX")):
        asked = packet(name, record_type)
        by_stream = reply(replies, asked, stream=True)
        if (name, count) == ("foo.dtk.io", 2_000):
            assert len(by_stream.answer[0]) == 2_000
        else:
            assert by_stream.rcode() == dns.rcode.SERVFAIL
        assert reply(replies, asked).flags & TC


# Tallies


def test_replies_are_counted_by_type_and_response_code() -> None:
    replies = some()
    for name, record_type in (
        ("foo.dtk.io", "A"),
        ("FOO.dtk.io", "A"),
        ("foo.dtk.io", "A"),
        ("x.dtk.io", "HTTPS"),
    ):
        replies.by_datagram(packet(name, record_type))
    replies.by_stream(packet("foo.dtk.io", "A"))
    replies.by_datagram(packet("foo.dtk.io")[:-1])
    replies.by_datagram(packet("foo.dtk.io", flags=5 << 11))
    replies.by_datagram(packet("foo.dtk.io", "TYPE4711"))
    replies.by_datagram(packet("example.com", "ANY"))
    found = {(one.type_name, one.rcode_name): (one.fresh, one.kept) for one in replies.tallies.values()}
    assert found == {
        ("A", "NOERROR"): (3, 1),
        ("HTTPS", "NXDOMAIN"): (1, 0),
        ("other", "FORMERR"): (1, 0),
        ("other", "NOTIMP"): (1, 0),
        ("other", "NOERROR"): (1, 0),
        ("ANY", "REFUSED"): (1, 0),
    }


def test_whatever_types_are_asked_for_there_are_only_so_many_tallies() -> None:
    replies = some()
    for number in range(65536):
        for name in (b"\x03foo\x03dtk\x02io\0", b"\0"):
            replies.by_datagram(b"\0\0\1\0\0\1\0\0\0\0\0\0" + name + struct.pack("!HH", number, 1))
    assert len(replies.tallies) <= 4 * (len(replies_module.TYPES) + 1)
    assert {one.type_name for one in replies.tallies.values()} >= {
        "A",
        "AAAA",
        "CAA",
        "DS",
        "ANY",
        "SVCB",
        "other",
    }
    assert all(one.rcode_name for one in replies.tallies.values())


# What is kept


def kept(replies: Replies) -> int:
    return sum(one.kept for one in replies.tallies.values())


def fresh(replies: Replies) -> int:
    return sum(one.fresh for one in replies.tallies.values())


def test_a_reply_stays_kept_until_its_name_changes_whatever_else_does() -> None:
    """The second question is answered from what is kept, after as many changes of other names as there are."""
    replies = some()
    mine = [packet("foo.dtk.io"), packet("foo.dtk.io", "AAAA", edns=1232), packet("alias.dtk.io", "CNAME")]
    answers = [replies.by_datagram(message) for message in mine]
    projection = SOME
    for at in range(10):
        projection = evolve(projection, shown={**projection.shown, f"n{at}.dtk.io": SOME.shown["foo.dtk.io"]})
        replies.update(projection, [f"n{at}.dtk.io"], held=False)
        assert [replies.by_datagram(message) for message in mine] == answers
    assert (fresh(replies), kept(replies)) == (3, 30)
    replies.update(projection, ["foo.dtk.io"], held=False)
    assert [replies.by_datagram(message) for message in mine] == answers
    assert (fresh(replies), kept(replies)) == (5, 31)


@pytest.mark.parametrize(
    ("name", "record_type"),
    [
        ("bar.dtk.io", "A"),
        ("foo.dtk.io", "MX"),
        ("dtk.io", "SOA"),
        ("alias.dtk.io", "A"),
        ("x.wild.dtk.io", "A"),
        ("x.sub.dtk.io", "A"),
        ("dtk.io", "NS"),
        ("example.com", "A"),
    ],
)
def test_a_reply_that_other_names_can_change_is_kept_until_something_does(name: str, record_type: str) -> None:
    replies = some()
    asked = packet(name, record_type)
    for _ in range(3):
        replies.by_datagram(asked)
    assert (fresh(replies), kept(replies)) == (1, 2)
    replies.update(SOME, ["other.dtk.io"], held=False)
    replies.by_datagram(asked)
    assert (fresh(replies), kept(replies)) == (2, 2)


def test_every_no_and_every_soa_record_has_the_current_serial() -> None:
    replies = some()
    for serial in range(1000, 1005):
        for name, record_type in (("bar.dtk.io", "A"), ("foo.dtk.io", "MX"), ("dtk.io", "SOA")):
            found = reply(replies, packet(name, record_type))
            (soa,) = (*found.answer, *found.authority)
            assert soa[0].serial == replies.zone.serial == serial
        replies.update(SOME, [], held=False)


@pytest.mark.parametrize(
    "changed",
    [
        zone(FOO, domains=["dtk.io", "foo.dtk.io"]),
        zone(FOO, domains=["example"]),
        zone(FOO, ("foo.dtk.io", "NS", "ns.example.com")),
    ],
    ids=["a domain", "another domain", "a cut"],
)
def test_with_another_domain_or_cut_nothing_stays_kept(changed: Projection) -> None:
    replies = replies_for(zone(FOO))
    replies.by_datagram(packet("foo.dtk.io"))
    replies.update(changed, ["foo.dtk.io"] if changed.records else [], held=False)
    assert replies._kept == {}
    assert replies._size == 0


def test_a_cut_above_a_kept_name_takes_it_away() -> None:
    replies = replies_for(zone(("a.b.dtk.io", "A", "10.0.0.1")))
    assert ask(replies, "a.b.dtk.io").answer
    changed = zone(("a.b.dtk.io", "A", "10.0.0.1"), ("b.dtk.io", "NS", "ns.example.com"))
    replies.update(changed, ["b.dtk.io"], held=False)
    assert not ask(replies, "a.b.dtk.io").answer


def test_what_is_said_while_records_are_lost_is_not_kept_beyond() -> None:
    replies = some()
    asked = packet("bar.dtk.io")
    said = []
    for held in (True, True, False):
        replies.update(SOME, [], held=held)
        said.append(reply(replies, asked).rcode())
    assert said == [dns.rcode.SERVFAIL, dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN]


def test_what_came_over_a_connection_or_with_options_is_not_kept() -> None:
    replies = some()
    replies.by_stream(packet("foo.dtk.io"))
    asked = dns.message.make_query("foo.dtk.io", "A")
    asked.use_edns(0, options=[dns.edns.GenericOption(10, b"cookie12")])
    replies.by_datagram(asked.to_wire())
    replies.by_datagram(packet("foo.dtk.io")[:-1])
    assert replies._kept == {}


def entries(replies: Replies) -> int:
    """Bytes that are really kept, and that everything kept is found again when a name changes."""
    known = Counter([*replies._of_moment, *(one for found in replies._of_name.values() for one in found)])
    assert known == Counter(list(replies._kept))
    return sum(len(asked) + len(found) + replies_module._ENTRY for asked, (found, _) in replies._kept.items())


def test_as_much_is_kept_as_may_be_and_then_it_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies_module, "MOST_KEPT", 4000)
    replies = some()
    most = 0
    for at in range(100):
        replies.by_datagram(packet(f"x{at}.example.com"))
        replies.by_datagram(packet(f"{'fFoOoO'[at % 2 :: 2]}.dtk.io"))
        assert entries(replies) == replies._size <= 4000
        assert replies._kept
        most = max(most, replies._size)
    assert most > 3000
    replies.update(SOME, ["foo.dtk.io"], held=False)
    assert entries(replies) == replies._size == 0


def test_a_very_large_change_forgets_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies_module, "MANY_CHANGED", 3)
    replies = some()
    for names in (["a.dtk.io"] * 3, [f"{at}.dtk.io" for at in range(4)]):
        replies.by_datagram(packet("foo.dtk.io"))
        assert replies._kept
        replies.update(SOME, names, held=False)
    assert replies._kept == {}


def test_while_a_change_is_worked_on_the_answers_are_those_from_before() -> None:
    replies = some()
    many = zone(*((f"n{at}.dtk.io", "A", "10.0.0.1") for at in range(500)))
    steps = replies.updating(many, sorted(names_in(SOME) | names_in(many)), held=False)
    for _ in steps:
        assert ask(replies, "foo.dtk.io").answer
        assert ask(replies, "n1.dtk.io").rcode() == dns.rcode.NXDOMAIN
    assert ask(replies, "foo.dtk.io").rcode() == dns.rcode.NXDOMAIN
    assert ask(replies, "n1.dtk.io").answer
    assert entries(replies) == replies._size


# Any changes, with any questions in between

OWNERS = [
    "dtk.io",
    "a.dtk.io",
    "b.dtk.io",
    "*.dtk.io",
    "x.a.dtk.io",
    "*.a.dtk.io",
    "x.b.dtk.io",
    "dev.dtk.io",
    "a.dev.dtk.io",
]
TARGETS = {
    "A": ["10.0.0.1", "10.0.0.2"],
    "AAAA": ["fd00::1"],
    "TXT": ["hello", text(600)],
    "NS": ["x.a.dtk.io", "ns.example.com"],
    "CNAME": ["www.example.com", "z.dtk.io", "y.a.dtk.io", "a.dtk.io"],
}
ASKED = [*OWNERS, "z.dtk.io", "A.dtk.io", "y.a.dtk.io", "y.x.b.dtk.io", "b.dev.dtk.io", "example.com"]


class AnyChanges(RuleBasedStateMachine):
    """Replies that live through changes, beside some that are made for each state anew."""

    @initialize(most=st.sampled_from([1500, 4000, 10**6]))
    def begin(self, most: int) -> None:
        self.cluster = Cluster("default", ("dtk.io",))
        self.projection = Projection()
        self.held = False
        self.clock = Clock()
        self.clock.advance(1000)
        self.living = Replies(self.clock)
        self.ours = pytest.MonkeyPatch()
        self.ours.setattr(replies_module, "MOST_KEPT", most)

    def teardown(self) -> None:
        if hasattr(self, "ours"):
            self.ours.undo()

    def show(self, cluster: Cluster, owners: tuple[str, ...] | list[str]) -> None:
        self.cluster = cluster
        self.projection, touched = self.projection.after({"default": cluster}, owners)
        self.living.update(self.projection, touched, held=self.held)

    @rule(
        owner=st.sampled_from(OWNERS),
        kind=st.sampled_from(sorted(TARGETS)),
        data=st.data(),
        ttl=st.sampled_from([0, 60]),
    )
    def put(self, owner: str, kind: str, data: st.DataObject, ttl: int) -> None:
        targets = data.draw(st.lists(st.sampled_from(TARGETS[kind]), max_size=2, unique=True))
        cluster, delta = self.cluster.apply(Changes(create=(endpoint(owner, kind, *targets, ttl=ttl),)), 1.0)
        self.show(cluster, delta.owners)

    @rule(owner=st.sampled_from(OWNERS))
    def drop(self, owner: str) -> None:
        cluster, delta = self.cluster.apply(Changes(delete=self.cluster.endpoints.get(owner, ())), 1.0)
        self.show(cluster, delta.owners)

    @rule(domains=st.lists(st.sampled_from(["dtk.io", "dev.dtk.io", "x.b.dtk.io"]), max_size=3, unique=True))
    def manage(self, domains: list[str]) -> None:
        cluster = evolve(self.cluster, domains=tuple(domains))
        changed = set(domains) ^ set(self.cluster.domains)
        self.show(cluster, [owner for owner in cluster.endpoints if inside(owner, changed)])

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.held = held
        self.show(self.cluster, [])

    @rule(seconds=st.integers(0, 3))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(
        names=st.lists(st.sampled_from(ASKED), min_size=1, max_size=4),
        kind=st.sampled_from(["A", "A", "TXT", "NS", "SOA", "ANY", "CNAME", "DS", "AAAA"]),
        edns=st.sampled_from([None, 512, 1232]),
    )
    def question(self, names: list[str], kind: str, edns: int | None) -> None:
        anew = Replies(self.clock)
        anew.update(self.projection, names_in(self.projection), held=self.held)
        anew.zone._version = self.living.zone._version
        anew.zone.held = self.held
        for name in names:
            asked = packet(name, kind, edns=edns)
            assert self.living.by_datagram(asked) == anew.by_datagram(asked)
            assert self.living.by_stream(asked) == anew.by_stream(asked)

    @precondition(lambda self: hasattr(self, "living"))
    @invariant()
    def what_is_kept_is_counted(self) -> None:
        assert entries(self.living) == self.living._size <= replies_module.MOST_KEPT


AnyChanges.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAnyChanges = AnyChanges.TestCase


# Any bytes


EVERY = some()


@given(st.binary(max_size=300))
def test_any_bytes_get_a_reply_with_their_id_or_none(message: bytes) -> None:
    for found in (EVERY.by_datagram(message), EVERY.by_stream(message)):
        if found is None:
            assert len(message) < 12 or message[2] & 0x80
        else:
            assert found[:2] == message[:2]
            assert dns.message.from_wire(found).flags & QR
