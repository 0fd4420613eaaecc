"""What a message asks: read strictly, and never with more than a response code for what is no question."""

from __future__ import annotations

import struct
from time import process_time

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.update
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dns_questions import ID, packet
from dtkdns.dns.query import NO_DOT, Edns, Query, QueryError, SilenceError, parse_query

FORMERR, NOTIMP = dns.rcode.FORMERR, dns.rcode.NOTIMP
NAME = b"\x03foo\x03dtk\x02io\0"
A_IN = b"\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
AT_NAME = b"\xc0\x0c"
"""A pointer to the name in question."""


def message(body: bytes, *counts: int, flags: int = dns.flags.RD) -> bytes:
    """A header with these counts before a body."""
    return struct.pack("!6H", ID, flags, *(*counts, 0, 0, 0, 0)[:4]) + body


def record(name: bytes, record_type: int = 1, data: bytes = b"\0\0\0\0", length: int | None = None) -> bytes:
    return name + struct.pack("!HHIH", record_type, 1, 0, len(data) if length is None else length) + data


def outcome(data: bytes) -> Query | int | None:
    """What is asked, or the response code, or None for silence."""
    try:
        return parse_query(data)
    except QueryError as error:
        return error.rcode
    except SilenceError:
        return None


def found(data: bytes) -> Query:
    query = outcome(data)
    assert isinstance(query, Query)
    return query


# What is asked


def test_a_plain_question_is_read_whole() -> None:
    assert found(packet("Foo.DTK.io", "AAAA")) == Query(
        message_id=ID,
        recursion_desired=True,
        checking_disabled=False,
        labels=("foo", "dtk", "io"),
        spelled=b"Foo.DTK.io",
        record_type=dns.rdatatype.AAAA,
        record_class=1,
        question=b"\x03Foo\x03DTK\x02io\0\0\x1c\0\1",
        edns=None,
        has_options=False,
    )
    assert found(packet("Foo.DTK.io")).name == "foo.dtk.io"


@pytest.mark.parametrize("bit", [dns.flags.RD, dns.flags.CD])
def test_the_wish_for_recursion_and_for_no_checking_are_read_each_by_itself(bit: int) -> None:
    query = found(packet("foo.dtk.io", flags=bit))
    assert (query.recursion_desired, query.checking_disabled) == (bit == dns.flags.RD, bit == dns.flags.CD)


def test_other_flags_of_a_query_mean_nothing() -> None:
    flags = dns.flags.AA | dns.flags.TC | dns.flags.RA | dns.flags.AD | 0x40 | 0xF
    query = found(message(NAME + A_IN, 1, flags=flags))
    assert not query.recursion_desired
    assert not query.checking_disabled


def test_the_root_has_no_labels() -> None:
    query = found(packet("."))
    assert (query.labels, query.spelled, query.name) == ((), b"", "")
    assert query.question == b"\0" + A_IN


def test_only_the_letters_of_ascii_have_two_cases() -> None:
    query = found(message(b"\x04A\xc4[\xff\0" + A_IN, 1))
    assert query.labels == ("a\xc4[\xff",)
    assert query.spelled == b"A\xc4[\xff"


def test_a_dot_inside_a_label_does_not_part_it() -> None:
    query = found(packet(dns.name.Name([b"foo.dtk", b"io", b""])))
    assert query.labels == (f"foo{NO_DOT.decode()}dtk", "io")
    assert query.spelled.count(b".") == 1
    assert query.question.startswith(b"\x07foo.dtk\x02io\0")


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=8))
def test_any_name_of_labels_of_any_bytes_is_read_as_it_came(raw: list[bytes]) -> None:
    wire = b"".join(bytes([len(label)]) + label for label in raw) + b"\0"
    read = outcome(message(wire + A_IN, 1))
    if len(wire) > 255:
        assert read == FORMERR
        return
    assert isinstance(read, Query)
    assert read.question == wire + A_IN
    assert len(read.labels) == len(raw)
    assert [label.encode("latin-1") for label in read.labels] == [
        label.replace(b".", NO_DOT).lower() for label in raw
    ]
    assert len(read.spelled) == sum(map(len, raw)) + max(len(raw) - 1, 0)


def test_a_label_has_63_octets_at_most_and_a_name_255() -> None:
    longest = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"b" * 61 + b"\0"
    assert len(longest) == 255
    assert len(found(message(longest + A_IN, 1)).labels) == 4
    assert outcome(message((b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"b" * 62 + b"\0" + A_IN, 1)) == FORMERR
    assert outcome(message(b"\x01a" * 127 + b"\0" + A_IN, 1)) != FORMERR
    assert outcome(message(b"\x01a" * 128 + b"\0" + A_IN, 1)) == FORMERR


# What is no question


@pytest.mark.parametrize("length", range(12))
def test_what_is_shorter_than_a_header_gets_silence(length: int) -> None:
    assert outcome(packet("foo.dtk.io")[:length]) is None


@pytest.mark.parametrize("opcode", range(16))
def test_a_reply_gets_silence_whatever_else_it_says(opcode: int) -> None:
    assert outcome(message(NAME + A_IN, 1, flags=0x8000 | opcode << 11)) is None
    assert outcome(message(b"\xff", 7, 7, 7, 7, flags=0x8000 | opcode << 11)) is None


@pytest.mark.parametrize("opcode", range(1, 16))
def test_another_operation_than_a_query_is_not_implemented_whatever_its_body(opcode: int) -> None:
    assert outcome(message(NAME + A_IN, 1, flags=opcode << 11)) == NOTIMP
    assert outcome(message(b"", 1, 2, 3, flags=opcode << 11)) == NOTIMP


def test_a_dynamic_update_and_a_notification_are_not_implemented() -> None:
    update = dns.update.UpdateMessage("dtk.io")
    update.add("foo", 300, "A", "10.0.0.1")
    assert outcome(update.to_wire()) == NOTIMP
    notify = dns.message.make_query("dtk.io", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert outcome(notify.to_wire()) == NOTIMP


@pytest.mark.parametrize("count", [0, 2, 3, 0xFFFF])
def test_a_message_asks_one_question_no_more_and_no_less(count: int) -> None:
    assert outcome(message((NAME + A_IN) * min(count, 3), count)) == FORMERR  # RFC 9619, section 4


@pytest.mark.parametrize(
    "name",
    [
        AT_NAME,
        b"\x03foo" + AT_NAME,
        b"\x03foo\xc0\x00",
        b"\xff\xff",
        b"\x40" + b"a" * 64 + b"\0",
        b"\x41\x10",
        b"\x80" + b"a" * 128 + b"\0",
        b"\xbf" + b"a" * 191 + b"\0",
    ],
    ids=bytes.hex,
)
def test_pointers_and_labels_of_unknown_kinds_are_no_part_of_a_question(name: bytes) -> None:
    assert outcome(message(name + A_IN, 1)) == FORMERR
    assert outcome(message(name + A_IN + OPT, 1, 0, 0, 1)) == FORMERR


def test_no_part_of_a_question_is_a_question() -> None:
    whole = packet("foo.dtk.io", edns=1232, dnssec=True)
    assert isinstance(outcome(whole), Query)
    for length in range(12, len(whole)):
        assert outcome(whole[:length]) == FORMERR


def test_bytes_behind_a_question_are_no_part_of_it() -> None:
    assert outcome(packet("foo.dtk.io") + b"\0") == FORMERR
    assert outcome(packet("foo.dtk.io", edns=1232) + b"\0") == FORMERR
    assert outcome(packet("foo.dtk.io") + OPT) == FORMERR


def test_the_pseudo_type_of_edns_cannot_be_asked_for() -> None:
    assert outcome(message(NAME + b"\0\x29\0\1", 1)) == FORMERR


# What stands behind the question


@pytest.mark.parametrize(
    ("size", "dnssec"), [(0, False), (511, True), (1232, False), (4096, True), (65535, False)]
)
def test_an_opt_record_says_a_size_and_a_wish_for_dnssec(size: int, dnssec: bool) -> None:
    query = found(packet("foo.dtk.io", edns=size, dnssec=dnssec))
    assert query.edns == Edns(size, 0, dnssec)
    assert not query.has_options


@pytest.mark.parametrize("version", [1, 127, 255])
def test_an_opt_record_says_a_version(version: int) -> None:
    asked = dns.message.make_query("foo.dtk.io", "A")
    asked.use_edns(version)
    asked.ednsflags |= version << 16
    query = found(asked.to_wire())
    assert query.edns is not None
    assert (query.edns.version, query.edns.wants_dnssec) == (version, False)


def test_the_extended_response_code_and_reserved_flags_of_an_opt_record_mean_nothing() -> None:
    opt = b"\0\0\x29\x04\xd0\xff\0\x7f\xff\0\0"
    assert found(message(NAME + A_IN + opt, 1, 0, 0, 1)).edns == Edns(1232, 0, False)


def test_options_are_passed_over_and_noted() -> None:
    asked = dns.message.make_query("foo.dtk.io", "A")
    asked.use_edns(0, options=[dns.edns.GenericOption(10, b"cookie12"), dns.edns.GenericOption(12, bytes(100))])
    query = found(asked.to_wire())
    assert query.edns is not None
    assert query.has_options


def test_other_records_behind_the_question_are_passed_over() -> None:
    behind = record(AT_NAME) + record(b"\x03bar" + AT_NAME, 2, NAME) + record(NAME, 6, b"") + OPT
    query = found(message(NAME + A_IN + behind, 1, 1, 1, 2))
    assert query.edns == Edns(1232, 0, False)
    assert query.has_options
    incremental = dns.message.make_query("dtk.io", "IXFR")
    incremental.authority.append(dns.rrset.from_text("dtk.io.", 0, "IN", "SOA", "a.dtk.io. b.dtk.io. 1 2 3 4 5"))
    assert found(incremental.to_wire()).record_type == dns.rdatatype.IXFR


@pytest.mark.parametrize("before", [b"", record(AT_NAME)])
def test_two_opt_records_are_a_fault(before: bytes) -> None:
    assert outcome(message(NAME + A_IN + before + OPT + OPT, 1, 0, 0, 2 + bool(before))) == FORMERR


@pytest.mark.parametrize("counts", [(1, 1, 0, 0), (1, 0, 1, 0), (1, 1, 0, 1), (1, 0, 1, 1)])
def test_an_opt_record_stands_among_the_additional_records_alone(counts: tuple[int, ...]) -> None:
    behind = OPT + record(AT_NAME) * (sum(counts) - 2)
    assert outcome(message(NAME + A_IN + behind, *counts)) == FORMERR


@pytest.mark.parametrize("name", [b"\x01a\0", AT_NAME, b"\xc0\x17"], ids=["a.", "the question's", "a pointer"])
def test_the_name_of_an_opt_record_is_one_byte_for_the_root(name: bytes) -> None:
    assert outcome(message(NAME + A_IN + name + OPT[1:], 1, 0, 0, 1)) == FORMERR


@pytest.mark.parametrize(
    "behind",
    [
        b"",
        b"\0",
        b"\xc0",
        AT_NAME,
        b"\x03ba",
        b"\0" + b"\0" * 9,
        record(AT_NAME, length=5),
        record(AT_NAME, length=3),
        record(AT_NAME, data=b"", length=0xFFFF),
        record(AT_NAME) + b"\0",
        record(b"\x40" + b"a" * 64 + b"\0"),
        record(b"\x80" + b"a" * 128 + b"\0"),
        record(b"\x3f" + b"a" * 63 + b"\x40" + b"a" * 64 + b"\0"),
        record(b"\x01a" * 128 + b"\0"),
        record(b"\xc0\x0b"),
        record(b"\xc0\x1c"),
        record(b"\x01a\xc0\x1c"),
        record(b"\xff\xff"),
    ],
    ids=bytes.hex,
)
def test_a_record_that_is_not_whole_or_has_no_name_is_a_fault(behind: bytes) -> None:
    assert len(message(NAME + A_IN)) == 0x1C
    assert outcome(message(NAME + A_IN + behind, 1, 0, 0, 1)) == FORMERR


def test_a_record_name_has_255_octets_at_most() -> None:
    assert outcome(message(NAME + A_IN + record(b"\x01a" * 127 + b"\0"), 1, 1)) != FORMERR


def test_a_count_of_records_that_are_not_there_is_a_fault() -> None:
    for at in range(1, 4):
        counts = [1, 0, 0, 0]
        counts[at] = 0xFFFF
        assert outcome(message(NAME + A_IN, *counts)) == FORMERR


@pytest.mark.parametrize("size", [8192, 65535])
def test_the_longest_messages_are_read_in_no_time_whatever_their_pointers_lead_to(size: int) -> None:
    """Thousands of records whose names are pointers to one long name, or to pointers to pointers."""
    start = 12 + len(NAME + A_IN)
    long = record(b"\x01a" * 127 + b"\0", data=b"\x01a" * (size // 4) + b"\0")
    chain = record(AT_NAME, data=b"".join(struct.pack("!H", 0xC000 | start + 2 * at) for at in range(500)))
    for first in (long, chain):
        count = (size - start - len(first)) // 12
        leads = b"".join(struct.pack("!HHHIH", 0xC000 | start + 12 + at % 1000, 1, 1, 0, 0) for at in range(count))
        asked = message(NAME + A_IN + first + leads, 1, 0, 0, count + 1)
        began = process_time()
        outcome(asked)
        assert process_time() - began < 0.25


@given(st.binary(max_size=80), st.integers(0, 3), st.lists(st.integers(0, 3), min_size=3, max_size=3))
@example(b"", 1, [0, 0, 0])
def test_any_bytes_are_a_question_a_fault_or_silence(body: bytes, questions: int, counts: list[int]) -> None:
    outcome(body)
    outcome(message(body, questions, *counts))
    outcome(message(NAME + A_IN + body, 1, *counts))


@given(st.data())
def test_whatever_is_a_question_is_the_same_to_another_reader(data: st.DataObject) -> None:
    whole = bytearray(packet("foo.dtk.io", edns=1232))
    for _ in range(data.draw(st.integers(0, 2))):
        whole[data.draw(st.integers(2, 27))] = data.draw(st.integers(0, 255))
    ours = outcome(bytes(whole))
    if isinstance(ours, Query):
        theirs = dns.message.from_wire(bytes(whole), ignore_trailing=False)
        assert theirs.question[0].rdtype == ours.record_type
        assert theirs.question[0].name.to_wire() == ours.question[:-4]
        assert theirs.edns == (-1 if ours.edns is None else ours.edns.version)
