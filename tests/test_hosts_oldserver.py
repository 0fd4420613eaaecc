"""The lines of DTK's hostsfile-server.py: told from everybody else's, and nothing but them is taken out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.oldserver import OldLine, find, without
from dtkdns.hosts.text import read, remove, splice

DOMAINS = ("dtk.io", "lab.example.org")
OLD = b"192.168.122.167 foo.dtk.io\n"
SHOWN = Entries([make_entry("foo.dtk.io", ("10.0.0.1", "fd00::1"), "", "ingress/a/b")])
BLOCK = splice(b"", SHOWN, "0123abcd").block
ADDED = splice(b"no newline", SHOWN, "0123abcd").block
BEGIN, *INSIDE, END = BLOCK.splitlines(keepends=True)


def split(text: bytes) -> list[bytes]:
    """The lines with their ends."""
    pieces = text.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


# What is one


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (OLD, "foo.dtk.io"),
        (b"10.0.0.1 dtk.io\n", "dtk.io"),
        (b"10.0.0.1 a.b.LAB.example.org.\n", "a.b.lab.example.org"),
        (b"10.0.0.1 *.apps.dtk.io\n", "*.apps.dtk.io"),
        (b"10.0.0.1 _x.dtk.io\n", "_x.dtk.io"),
        ("10.0.0.1 bücher.dtk.io\n".encode(), "xn--bcher-kva.dtk.io"),
    ],
)
def test_a_line_as_the_old_server_writes_it_is_found_with_its_number(line: bytes, name: str) -> None:
    address = line.split()[0].decode()
    assert find(b"127.0.0.1 localhost\r\n\n" + line, DOMAINS) == (OldLine(3, line, address, name),)


@pytest.mark.parametrize(
    "line",
    [
        b"192.168.122.167 foo.dtk.io",
        b"192.168.122.167 foo.dtk.io\r\n",
        b"192.168.122.167 foo.dtk.io \n",
        b" 192.168.122.167 foo.dtk.io\n",
        b"192.168.122.167  foo.dtk.io\n",
        b"192.168.122.167\tfoo.dtk.io\n",
        b"192.168.122.167 foo.dtk.io # mine\n",
        b"192.168.122.167 foo.dtk.io#mine\n",
        b"# 192.168.122.167 foo.dtk.io\n",
        b"192.168.122.167 foo.dtk.io bar.dtk.io\n",
        b"192.168.122.167\n",
        b"fd00::1 foo.dtk.io\n",
        b"::ffff:10.0.0.1 foo.dtk.io\n",
        b"192.168.122.300 foo.dtk.io\n",
        b"192.168.122 foo.dtk.io\n",
        b"192.168.122.010 foo.dtk.io\n",
        b"127.0.0.1 foo.dtk.io\n",
        b"127.0.1.1 foo.dtk.io\n",
        b"192.168.122.167 evildtk.io\n",
        b"192.168.122.167 dtk.io.example.com\n",
        b"192.168.122.167 localhost\n",
        b"192.168.122.167 f\xe9.dtk.io\n",
        b"192.168.122.167 f\x1b[1m.dtk.io\n",
        b"192.168.122.167 foo\0.dtk.io\n",
    ],
)
def test_a_line_that_it_cannot_have_written_is_somebody_elses(line: bytes) -> None:
    assert find(OLD + line, DOMAINS) == find(OLD, DOMAINS)
    assert find(line, DOMAINS) == ()


def test_no_line_in_our_block_is_shown_or_taken_out_even_where_somebody_has_put_it_there() -> None:
    text = OLD + BEGIN + OLD + b"".join(INSIDE) + END + OLD
    assert [one.number for one in find(text, DOMAINS)] == [1, 7]
    assert without(text, {OLD}) == BEGIN + OLD + b"".join(INSIDE) + END


def test_a_marker_that_stands_alone_hides_nothing() -> None:
    for text in (BEGIN + OLD, END + OLD, BEGIN + OLD + BLOCK):
        assert [one.number for one in find(text, DOMAINS)] == [2]


def test_a_last_line_to_which_we_added_a_newline_is_not_one_of_the_old_server() -> None:
    text = splice(b"127.0.0.1 localhost\n" + OLD.rstrip(), SHOWN, "0123abcd").text
    assert find(text, DOMAINS) == ()
    assert without(text, {OLD}) == text


# What holds for every text

fragments = st.sampled_from(
    [
        OLD,
        b"10.0.0.1 bar.dtk.io\n",
        b"10.0.0.1 evildtk.io\n",
        b"10.0.0.1 foo.dtk.io # mine\n",
        b"10.0.0.1 foo.dtk.io\r\n",
        b"127.0.0.1 localhost\n",
        b"\n",
        b"\0",
        b"\r",
        b"caf\xe9",
        BLOCK,
        ADDED,
        BEGIN,
        END,
        *INSIDE,
    ]
)
texts = st.lists(fragments | st.binary(max_size=12), max_size=12).map(b"".join)


@settings(max_examples=300)
@given(texts)
def test_nothing_but_the_lines_that_were_found_goes(text: bytes) -> None:
    found = find(text, DOMAINS)
    numbers = {one.number for one in found}
    left = [line for number, line in enumerate(split(text), 1) if number not in numbers]
    assert without(text, {one.text for one in found}) == b"".join(left)


@settings(max_examples=300)
@given(texts)
def test_what_is_left_has_none_of_them_and_is_left_as_it_is(text: bytes) -> None:
    lines = {one.text for one in find(text, DOMAINS)}
    once = without(text, lines)
    assert find(once, DOMAINS) == ()
    assert without(once, lines) == once


@settings(max_examples=300)
@given(texts)
def test_a_line_that_was_not_agreed_to_stays(text: bytes) -> None:
    assert without(text, {b"10.0.0.1 bar.dtk.io\n"}).count(OLD) == text.count(OLD)
    assert without(text, frozenset()) == text


@settings(max_examples=300)
@given(texts, texts)
def test_our_block_stays_what_it_is_wherever_it_stands(before: bytes, behind: bytes) -> None:
    spliced = splice(remove(before), SHOWN, "0123abcd")
    text = spliced.text + remove(behind)
    left = without(text, {one.text for one in find(text, DOMAINS)})
    assert spliced.block in left
    assert read(left) == read(text)
