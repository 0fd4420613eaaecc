"""The managed block put into a hosts file, read back, taken out; and what the user's own lines do to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkdns.hosts.entries import Entries, Entry, _Page, make_entry
from dtkdns.hosts.markers import untouched
from dtkdns.hosts.text import Block, put_in, read, remove, splice

MINE = "0123abcd"
MARKER = re.compile(
    rb"# (BEGIN|END) dtkdns state=[0-9a-f]{8} lines=[0-9]+ check=[0-9a-f]{16} newline=(kept|added)"
    rb"( \(written by dtkdns: [a-z ]+\))?\r?"
)
LIKE_OURS = re.compile(rb"[0-9a-f.:]+ [a-z0-9.-]+ # (?:[a-z0-9-]+ )?[!-~]+")

Wanted: TypeAlias = dict[str, list[str]]


def entries(**wanted: str) -> Entries:
    """Entries of `foo="10.0.0.1 10.0.0.2"`: the names stand under dtk.io."""
    return Entries(
        make_entry(f"{name}.dtk.io", tuple(addresses.split()), "", f"ingress/default/{name}")
        for name, addresses in wanted.items()
    )


def block(state: str = MINE, *, before: bytes = b"", **wanted: str) -> bytes:
    """The block as it is written behind `before`."""
    return splice(before, entries(**wanted), state).block


def lines_of(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


def is_foreign(line: bytes) -> bool:
    """Whether a line is neither a marker nor, up to its spacing, of the form that ours have.

    A blank line counts as none: the newline that we add and take away again cannot be told from it.
    """
    return line != b"" and not MARKER.fullmatch(line) and not LIKE_OURS.fullmatch(b" ".join(line.split()))


def foreign_lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if is_foreign(line)]


FOO = block(foo="10.0.0.1")
TWO = block(bar="10.0.0.2", foo="10.0.0.1")
BEGIN, BAR_LINE, FOO_LINE, END = lines_of(TWO)

wanted = st.dictionaries(
    st.sampled_from(["foo", "bar", "a.b", "x"]),
    st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"]), min_size=1, unique=True),
).map(lambda found: entries(**{name: " ".join(addresses) for name, addresses in found.items()}))

blocks = st.builds(
    lambda found, state, before: splice(before, found, state).block,
    wanted,
    st.sampled_from([MINE, "ffffffff"]),
    st.sampled_from([b"", b"no newline"]),
)


def without_a_part(text: bytes, one: int, other: int) -> bytes:
    return text[: min(one, other)] + text[max(one, other) :]


anywhere = st.integers(0, 600)
fragments = st.one_of(
    blocks,
    st.builds(without_a_part, blocks, anywhere, anywhere),
    blocks.map(lambda text: text + text),
    blocks.map(lambda text: b"".join(reversed(lines_of(text)))),
    blocks.flatmap(lambda text: st.permutations(lines_of(text))).map(b"".join),
    blocks.flatmap(lambda text: st.sampled_from(lines_of(text) or [b""])),
    blocks.map(lambda text: text.replace(b"\n", b"\r\n")),
    blocks.map(lambda text: text.removesuffix(b"\n")),
    st.sampled_from(
        [
            b"127.0.0.1 localhost\n",
            b"10.0.0.1 foo.dtk.io\r\n",
            b"192.0.2.9\tbar.dtk.io BAR # mine",
            b"# BEGIN dtkdns\n",
            b"\n",
            b"\r",
            b"\0",
        ]
    ),
    st.binary(max_size=20),
)
texts = st.lists(fragments, max_size=8).map(b"".join)


# What holds for every text


@settings(max_examples=150, deadline=None)
@given(texts, wanted)
def test_removing_the_block_gives_back_what_was_there_before(text: bytes, found: Entries) -> None:
    put_in = splice(text, found, MINE).text
    assert remove(put_in) == remove(text)
    assert remove(remove(text)) == remove(text)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200).filter(lambda text: b"dtkdns" not in text), wanted)
def test_a_text_without_markers_comes_back_byte_for_byte(text: bytes, found: Entries) -> None:
    put_in = splice(text, found, MINE).text
    assert put_in.startswith(text)
    assert remove(put_in) == text


@settings(max_examples=150, deadline=None)
@given(texts, wanted)
def test_putting_the_block_in_again_changes_nothing(text: bytes, found: Entries) -> None:
    once = splice(text, found, MINE)
    again = splice(once.text, found, MINE)
    assert (again.text, again.block, again.shadowed) == (once.text, once.block, once.shadowed)
    assert again.moved_out == ()


@settings(max_examples=150, deadline=None)
@given(texts, wanted, st.none() | blocks)
def test_no_line_of_others_is_lost_or_changed_or_comes_out_of_order(
    text: bytes, found: Entries, known: bytes | None
) -> None:
    assert foreign_lines(splice(text, found, MINE, known).text) == foreign_lines(text)
    assert foreign_lines(remove(text)) == foreign_lines(text)


@settings(max_examples=150, deadline=None)
@given(texts, wanted)
def test_what_was_put_in_is_read_back_whole(text: bytes, found: Entries) -> None:
    spliced = splice(text, found, MINE)
    block = read(spliced.text)
    if block is None:
        assert spliced.block == b""
    else:
        assert (block.state, block.intact) == (MINE, True)
        assert block.lines == tuple(lines_of(spliced.block)[1:-1])
        assert set(block.lines) <= set(lines_of(found.lines({})))


@settings(max_examples=150, deadline=None)
@given(texts, wanted, wanted)
def test_knowing_our_block_makes_no_difference_while_nobody_touches_it(
    text: bytes, found: Entries, following: Entries
) -> None:
    spliced = splice(text, found, MINE)
    expected = splice(spliced.text, following, MINE)
    assert splice(spliced.text, following, MINE, spliced.block) == expected
    pieces = untouched(spliced.text, spliced.start, spliced.stop)
    assert pieces is None or put_in(pieces, following, MINE) == expected


# Where the block stands


def test_a_new_block_goes_to_the_end_sorted_by_name_with_a_line_for_each_address() -> None:
    spliced = splice(b"127.0.0.1 localhost\n", entries(foo="10.0.0.1 fd00::1", bar="10.0.0.2"), MINE)
    assert lines_of(spliced.text)[0] == b"127.0.0.1 localhost\n"
    assert read(spliced.text) == Block(
        MINE,
        (
            b"10.0.0.2 bar.dtk.io # ingress/default/bar\n",
            b"10.0.0.1 foo.dtk.io # ingress/default/foo\n",
            b"fd00::1 foo.dtk.io # ingress/default/foo\n",
        ),
        intact=True,
    )
    assert spliced.text == b"127.0.0.1 localhost\n" + spliced.block


def test_an_existing_block_stays_where_it_is() -> None:
    text = b"# above\n" + FOO + b"# below"
    assert splice(text, entries(bar="10.0.0.2"), MINE).text == b"# above\n" + block(bar="10.0.0.2") + b"# below"


def test_nothing_to_show_leaves_no_block() -> None:
    spliced = splice(b"# above\n" + FOO + b"# below", Entries(), MINE)
    assert (spliced.text, spliced.block) == (b"# above\n# below", b"")
    assert read(spliced.text) is None


def test_a_newline_that_had_to_be_added_goes_with_the_block() -> None:
    text = splice(b"# no newline", entries(foo="10.0.0.1"), MINE).text
    assert text.startswith(b"# no newline\n# BEGIN dtkdns ")
    assert remove(splice(text, entries(bar="10.0.0.2"), MINE).text) == b"# no newline"


def test_a_newline_that_was_added_stays_when_a_line_now_follows_the_block() -> None:
    text = splice(b"# no newline", entries(foo="10.0.0.1"), MINE).text
    assert remove(text + b"# added since\n") == b"# no newline\n# added since\n"


# Blocks that somebody changed


@pytest.mark.parametrize("known", [None, TWO])
def test_a_line_of_others_inside_the_block_is_moved_out_behind_it(known: bytes | None) -> None:
    text = b"# above\n" + BEGIN + BAR_LINE + b"192.0.2.1 nas\n" + FOO_LINE + b"# note\n" + END + b"# below\n"
    spliced = splice(text, entries(foo="10.0.0.1", bar="10.0.0.2"), MINE, known)
    assert spliced.text == b"# above\n" + TWO + b"192.0.2.1 nas\n# note\n# below\n"
    assert spliced.moved_out == (b"192.0.2.1 nas\n", b"# note\n")
    assert remove(text) == b"# above\n192.0.2.1 nas\n# note\n# below\n"


@pytest.mark.parametrize("comment", [b"printer", b"office printer", b"TODO!"])
def test_a_line_with_a_comment_of_the_users_own_inside_the_block_is_kept(comment: bytes) -> None:
    theirs = b"192.0.2.1 printer.lan # " + comment + b"\n"
    assert splice(BEGIN + BAR_LINE + FOO_LINE + theirs + END, entries(foo="10.0.0.1"), MINE).text == FOO + theirs


def test_a_line_like_ours_inside_the_block_is_kept_when_we_know_that_we_never_wrote_it() -> None:
    theirs = b"10.9.9.9 nas.dtk.io # ingress/default/nas\n"
    spliced = splice(BEGIN + BAR_LINE + FOO_LINE + theirs + END, entries(foo="10.0.0.1"), MINE, TWO)
    assert spliced.text == FOO + theirs


@pytest.mark.parametrize(
    "line",
    [
        b"10.0.0.01 a.dtk.io # ingress/a/b\n",
        b"::ffff:10.0.0.1 a.dtk.io # ingress/a/b\n",
        b"fd00:0::1 a.dtk.io # ingress/a/b\n",
        b"10.0.0.1 -a.dtk.io # ingress/a/b\n",
        b"10.0.0.1 a.dtk.io\n",
        b"10.0.0.1 a.dtk.io b.dtk.io # ingress/a/b\n",
        b"10.0.0.1 A.dtk.io # ingress/a/b\n",
    ],
)
def test_what_we_would_never_write_is_not_taken_for_ours(line: bytes) -> None:
    assert splice(BEGIN + BAR_LINE + line + END, Entries(), MINE).moved_out == (line,)


def test_other_line_ends_and_spacing_make_no_line_of_ours_a_foreign_one() -> None:
    text = TWO.replace(b"\n", b"\r\n").replace(b"10.0.0.1 foo", b"10.0.0.1\t foo")
    found = entries(foo="10.0.0.1", bar="10.0.0.2")
    assert splice(text, found, MINE).text == TWO
    assert splice(text, found, MINE, TWO).text == TWO
    block = read(text)
    assert block is not None
    assert not block.intact


@pytest.mark.parametrize("torn", [BEGIN + BAR_LINE + FOO_LINE, BAR_LINE + FOO_LINE + END])
def test_either_marker_alone_proves_which_lines_are_ours(torn: bytes) -> None:
    assert remove(b"# above\n" + torn + b"10.0.0.1 foo.dtk.io # ingress/mine\n") == (
        b"# above\n10.0.0.1 foo.dtk.io # ingress/mine\n"
    )
    assert splice(b"# above\n" + torn + b"# below\n", entries(foo="10.0.0.1"), MINE).text == (
        b"# above\n" + FOO + b"# below\n"
    )


@pytest.mark.parametrize("torn", [BEGIN + FOO_LINE + b"# note\n", b"# note\n" + FOO_LINE + END])
def test_beside_a_lone_marker_nothing_is_taken_for_ours_without_proof(torn: bytes) -> None:
    kept = b"".join(line for line in lines_of(torn) if line not in {BEGIN, END})
    assert remove(b"# above\n" + torn + b"# below\n") == b"# above\n" + kept + b"# below\n"


def test_beside_a_lone_marker_the_lines_that_we_know_to_have_written_are_ours() -> None:
    spliced = splice(BEGIN + FOO_LINE + b"# note\n" + b"# below\n", entries(bar="10.0.0.2"), MINE, TWO)
    assert spliced.text == block(bar="10.0.0.2") + b"# note\n# below\n"
    assert spliced.moved_out == (b"# note\n",)


def test_a_torn_block_reaches_no_further_than_the_text_or_the_next_block() -> None:
    assert remove(BEGIN + b"# end of text") == b"# end of text"
    assert remove(BEGIN + b"# mine\n" + FOO) == b"# mine\n"
    assert remove(FOO + END + b"# mine\n") == b"# mine\n"
    assert remove(b"# mine\n" + END) == b"# mine\n"


def test_several_blocks_become_one_where_the_first_stood() -> None:
    text = b"# above\n" + FOO + b"# between\n" + block("ffffffff", bar="10.0.0.2") + b"# below\n"
    spliced = splice(text, entries(foo="10.0.0.1"), MINE)
    assert spliced.text == b"# above\n" + FOO + b"# between\n# below\n"
    found = read(text)
    assert found is not None
    assert (found.state, found.intact) == (MINE, True)


def test_a_block_of_another_state_says_whose_it_is_and_is_taken_over() -> None:
    other = block("ffffffff", foo="10.0.0.1")
    found = read(other)
    assert found is not None
    assert found.state == "ffffffff"
    assert splice(other, entries(foo="10.0.0.1"), MINE).text == FOO


@pytest.mark.parametrize(
    "line",
    [
        b"# as in: " + BEGIN,
        b" " + BEGIN,
        b"# BEGIN dtkdns state=0123abcd\n",
        BEGIN.replace(b" (written", b" (spoilt"),
        b"# END dtkdns of the story\n",
    ],
)
def test_what_only_resembles_a_marker_is_a_line_of_others(line: bytes) -> None:
    assert remove(line + FOO) == line
    assert splice(line + FOO, entries(foo="10.0.0.1"), MINE, FOO).text == line + FOO


def test_a_known_block_that_does_not_begin_a_line_is_no_block() -> None:
    text = b"# " + FOO
    assert (
        splice(text, entries(foo="10.0.0.1"), MINE, FOO).text == splice(text, entries(foo="10.0.0.1"), MINE).text
    )


def test_having_written_no_block_makes_no_line_ours() -> None:
    text = BEGIN + FOO_LINE + END
    assert splice(text, Entries(), MINE, b"").text == FOO_LINE


# The user's own lines


@pytest.mark.parametrize(
    "line",
    [
        b"192.0.2.1 foo.dtk.io\n",
        b"192.0.2.1\tnas foo.dtk.io # mine\n",
        b"  192.0.2.1 FOO.dtk.IO",
        b"192.0.2.1\rfoo.dtk.io\r\n",
        b"192.0.2.1\vfoo.dtk.io\n",
        b"192.0.2.1\ffoo.dtk.io\n",
        b"192.0.2.1 foo.dtk.io\0nothing\n",
        b"192.0.2.1 foo.dtk.io#mine\n",
        b"192.0.513 foo.dtk.io\n",
    ],
)
def test_the_users_own_line_wins_and_is_reported(line: bytes) -> None:
    spliced = splice(line, entries(foo="10.0.0.1", bar="10.0.0.2"), MINE)
    assert spliced.shadowed == {"foo.dtk.io": "192.0.2.1"}
    found = read(spliced.text)
    assert found is not None
    assert found.lines == (BAR_LINE,)
    assert spliced.text.startswith(line)


@pytest.mark.parametrize(
    "line",
    [
        b"192.0.2.1\0 foo.dtk.io\n",
        b"192.0.2.1 nas\0 foo.dtk.io\n",
        b"192.0.2.1 nas # foo.dtk.io\n",
        b"#192.0.2.1 foo.dtk.io\n",
        b"192.0.2.1 foo.dtk.io.\n",
        b"192.0.2.1 xfoo.dtk.io\n",
        b"foo.dtk.io\n",
        b"192.0.2.1\n",
        b"192.0.2.999 foo.dtk.io\n",
        b"192.0.2.1\xe9 foo.dtk.io\n",
        b"nas foo.dtk.io\n",
    ],
)
def test_what_no_reader_takes_for_an_address_of_the_name_shadows_nothing(line: bytes) -> None:
    spliced = splice(line, entries(foo="10.0.0.1"), MINE)
    assert (spliced.text, spliced.shadowed) == (line + FOO, {})


def test_ours_comes_back_when_the_users_line_goes() -> None:
    found = entries(foo="10.0.0.1")
    theirs = b"192.0.2.1 foo.dtk.io\n192.0.2.2 foo.dtk.io\n"
    shadowed = splice(FOO + theirs, found, MINE, FOO)
    assert (shadowed.text, shadowed.shadowed) == (theirs, {"foo.dtk.io": "192.0.2.1, 192.0.2.2"})
    back = splice(b"", found, MINE, shadowed.block)
    assert (back.text, back.shadowed) == (FOO, {})


def test_the_users_line_with_our_very_address_is_no_conflict_and_not_doubled() -> None:
    theirs = b"FD00:0::1 foo.dtk.io\n"
    spliced = splice(theirs, entries(foo="10.0.0.1 fd00::1"), MINE)
    assert (spliced.text, spliced.shadowed) == (theirs + FOO, {})
    assert splice(theirs, entries(foo="fd00::1"), MINE).text == theirs


def test_one_other_address_among_the_users_own_makes_it_a_conflict() -> None:
    spliced = splice(b"10.0.0.1 foo.dtk.io\n192.0.2.1 foo.dtk.io\n", entries(foo="10.0.0.1"), MINE)
    assert spliced.shadowed == {"foo.dtk.io": "10.0.0.1, 192.0.2.1"}
    assert spliced.block == b""


def test_a_line_that_was_moved_out_of_the_block_wins_like_any_other() -> None:
    theirs = b"192.0.2.1 foo.dtk.io\n"
    spliced = splice(BEGIN + BAR_LINE + theirs + END, entries(foo="10.0.0.1", bar="10.0.0.2"), MINE)
    assert spliced.text == block(bar="10.0.0.2") + theirs
    assert spliced.shadowed == {"foo.dtk.io": "192.0.2.1"}


# The lines themselves


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["", "lab", "c" * 63]), st.sampled_from(["a.io", "a" * 253]))
def test_nothing_in_a_resource_gets_out_of_the_comment_of_its_line(resource: str, cluster: str, name: str) -> None:
    address = "fd00:1111:2222:3333:4444:5555:6666:7777"
    entry = make_entry(name, ("10.0.0.1", address), cluster, resource)
    for line, expected in zip(lines_of(entry.lines), ["10.0.0.1", address], strict=True):
        match = re.fullmatch(rb"(\S+) (\S+) # ([!-~]+|[a-z]+ [!-~]+)\n", line)
        assert match is not None
        assert (match[1].decode(), match[2].decode()) == (expected, name)
        assert len(line.rstrip(b"\n")) < 500
        assert b"#" not in match[3]
        assert match[3].startswith(cluster.encode())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["", "lab", "c" * 63]))
def test_every_line_that_we_write_is_known_again_in_a_block_that_was_changed(resource: str, cluster: str) -> None:
    entry = make_entry("foo.dtk.io", ("10.0.0.1", "fd00::1"), cluster, resource)
    text = splice(b"", Entries([entry]), MINE).text
    marker, *_, end = lines_of(text)
    assert remove(marker + entry.lines + b"# note\n" + end) == b"# note\n"


@pytest.mark.parametrize(
    ("cluster", "resource", "comment"),
    [
        ("", "ingress/default/test", b"ingress/default/test"),
        ("lab", "ingress/default/test", b"lab ingress/default/test"),
        ("", "", b"external-dns"),
        ("", "ingress/a\n10.9.9.9 evil # b", b"ingress/a?10.9.9.9?evil???b"),
        ("", "ingress/\u2028\0\v\f\r\t", b"ingress/??????"),
    ],
)
def test_the_comment_says_where_a_name_comes_from(cluster: str, resource: str, comment: bytes) -> None:
    assert make_entry("foo.dtk.io", ("10.0.0.1",), cluster, resource).lines == (
        b"10.0.0.1 foo.dtk.io # " + comment + b"\n"
    )


def test_an_entry_without_addresses_has_no_lines() -> None:
    assert make_entry("foo.dtk.io", (), "", "ingress/a/b").lines == b""


# What the block is to hold


def numbered(number: int, address: str) -> Entry:
    return make_entry(f"n{number}.dtk.io", (address,), "", "ingress/a/b")


few = st.dictionaries(st.integers(0, 12), st.none() | st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=6)
many = st.builds(
    lambda start, step: {
        number: (None, "10.0.0.3", "10.0.0.4")[number % step] for number in range(start, start + 110)
    },
    st.integers(0, 9),
    st.integers(1, 3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(few | many, max_size=6))
def test_entries_hold_what_was_put_last_however_many_were_put_at_once(
    updates: list[Mapping[int, str | None]],
) -> None:
    entries = Entries()
    model: dict[str, Entry] = {}
    for update in updates:
        changes = {
            f"n{number}.dtk.io": address and numbered(number, address) for number, address in update.items()
        }
        entries.update(changes)  # type: ignore[arg-type]
        model.update(changes)  # type: ignore[arg-type]
        model = {name: entry for name, entry in model.items() if entry}
        assert entries.lines({}) == b"".join([model[name].lines for name in sorted(model)])
        assert entries.count == len(lines_of(entries.lines({})))
        assert all(entries.get(name) == model.get(name) for name in changes)


def test_lines_given_instead_take_the_place_of_a_names_own() -> None:
    found = entries(a="10.0.0.1", b="10.0.0.2", c="10.0.0.3")
    own = lines_of(found.lines({}))
    assert found.lines({"b.dtk.io": b"x\n", "c.dtk.io": b""}) == own[0] + b"x\n"


def test_lines_of_ones_own_for_many_names_cost_one_look_at_each_page(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    entries_of = _Page.entries

    def counting(page: _Page) -> dict[str, Entry]:
        looks.append(1)
        return entries_of(page)

    monkeypatch.setattr(_Page, "entries", counting)
    every = Entries(make_entry(f"n{number}.dtk.io", ("10.0.0.1",), "", "") for number in range(1000))
    foreign = b"".join(b"10.0.0.%d n%d.dtk.io\n" % (1 + number % 2, number) for number in range(1000))
    spliced = splice(foreign, every, MINE)
    assert spliced.text == foreign
    assert len(spliced.shadowed) == 500
    assert len(looks) <= 1000 / 32 + 1
