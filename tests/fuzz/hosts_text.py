"""Fuzzes the hosts file's text: the block put in, read back and taken out, whatever else the file holds.

    python tests/fuzz/hosts_text.py CORPUS_DIRECTORY -dict=tests/fuzz/hosts_text.dict -max_total_time=60

An input is the text of a hosts file. One that starts with `!` says instead how a text is to be put together from
whole, torn, doubled and edited blocks.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["dtkdns"]):
    from dtkdns.hosts.entries import Entries
    from dtkdns.hosts.text import Block, Spliced, names_of, read, remove, splice

import test_hosts_text as shared
from test_hosts_text import MARKER, MINE, entries, lines_of

OTHER = "ffffffff"
NAMES = ("foo", "bar", "a.b", "x")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "fd00::1")
LINES = (
    *(
        b"127.0.0.1 localhost\n",
        b"10.0.0.1 foo.dtk.io\r\n",
        b"192.0.2.9\tbar.dtk.io BAR # mine",
        b"FD00:0::1 x.dtk.io\n",
    ),
    *(b"10.0.0.1 foo.dtk.io # ingress/default/foo\n", b"10.9.9.9 nas.dtk.io # ingress/default/nas\n", b"# mine\n"),
    *(
        b"# BEGIN dtkdns\n",
        b"# BEGIN dtkdns ",
        b"# END dtkdns ",
        b" ",
        b"#",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xff\n",
    ),
)


@lru_cache(maxsize=4096)
def make_entries(addresses: tuple[int, ...]) -> Entries:
    """Entries for the names, each with the addresses whose bits are set."""
    return entries(
        **{
            name: " ".join(address for at, address in enumerate(ADDRESSES) if bits >> at & 1)
            for name, bits in zip(NAMES, addresses, strict=True)
            if bits
        }
    )


def some_entries(fdp: atheris.FuzzedDataProvider) -> Entries:
    return make_entries(tuple(fdp.ConsumeIntInRange(0, 7) for _ in NAMES))


def some_block(fdp: atheris.FuzzedDataProvider) -> bytes:
    before, state = fdp.PickValueInList([b"", b"no newline"]), fdp.PickValueInList([MINE, OTHER])
    return splice(before, some_entries(fdp), state).block


def without_a_part(fdp: atheris.FuzzedDataProvider, text: bytes) -> bytes:
    return shared.without_a_part(text, *(fdp.ConsumeIntInRange(0, len(text)) for _ in range(2)))


def turned(fdp: atheris.FuzzedDataProvider, text: bytes) -> bytes:
    lines = lines_of(text)
    at = fdp.ConsumeIntInRange(0, len(lines))
    return b"".join(lines[at:] + lines[:at])


def one_line(fdp: atheris.FuzzedDataProvider, text: bytes) -> bytes:
    return fdp.PickValueInList(lines_of(text)) if text else b""


def with_more_inside(fdp: atheris.FuzzedDataProvider, text: bytes) -> bytes:
    at = fdp.ConsumeIntInRange(0, len(text))
    return text[:at] + some_foreign(fdp) + text[at:]


def with_another_word(fdp: atheris.FuzzedDataProvider, text: bytes) -> bytes:
    """With one fact of the markers, or a piece of its lines, said otherwise."""
    changes = [
        (b"newline=kept", b"newline=added"),
        (b"newline=added", b"newline=kept"),
        (b" lines=", b" lines=1"),
        (b" lines=", b" lines=0"),
        (b"state=0", b"state=1"),
        (b"check=", b"check=0"),
        (b"BEGIN", b"END"),
        (b"END", b"BEGIN"),
        (b" (written", b" (spoilt"),
        (b" ", b"\t"),
        (b"10.0.0.1", b"10.0.0.9"),
    ]
    old, new = fdp.PickValueInList(changes)
    return text.replace(old, new, fdp.PickValueInList([-1, 1]))


EDITS = [
    lambda fdp, text: text,
    lambda fdp, text: text + text,
    lambda fdp, text: text.removesuffix(b"\n"),
    lambda fdp, text: text.replace(b"\n", b"\r\n"),
    lambda fdp, text: b"".join(reversed(lines_of(text))),
    without_a_part,
    turned,
    one_line,
    with_more_inside,
    with_another_word,
]


def edited(fdp: atheris.FuzzedDataProvider, text: bytes) -> bytes:
    for _ in range(fdp.ConsumeIntInRange(0, 2)):
        text = fdp.PickValueInList(EDITS)(fdp, text)
    return text


def some_foreign(fdp: atheris.FuzzedDataProvider) -> bytes:
    if fdp.ConsumeBool():
        return fdp.PickValueInList(list(LINES))
    return fdp.ConsumeBytes(fdp.ConsumeIntInRange(0, 20))


def some_text(fdp: atheris.FuzzedDataProvider, known: bytes) -> bytes:
    pieces: list[bytes] = []
    for _ in range(fdp.ConsumeIntInRange(0, 6)):
        kind = fdp.ConsumeIntInRange(0, 3)
        if kind == 0:
            pieces.append(some_foreign(fdp))
        elif kind == 1:
            pieces.append(edited(fdp, known))
        else:
            pieces.append(edited(fdp, some_block(fdp)))
    return b"".join(pieces)


# What holds for every text: the properties that Hypothesis tries, and what is seen from outside


def property_of(test: object) -> object:
    return test.hypothesis.inner_test  # type: ignore[attr-defined]


comes_back = property_of(shared.test_removing_the_block_gives_back_what_was_there_before)
comes_back_byte_for_byte = property_of(shared.test_a_text_without_markers_comes_back_byte_for_byte)
changes_nothing_again = property_of(shared.test_putting_the_block_in_again_changes_nothing)
loses_no_line = property_of(shared.test_no_line_of_others_is_lost_or_changed_or_comes_out_of_order)
is_read_back = property_of(shared.test_what_was_put_in_is_read_back_whole)
makes_no_difference = property_of(shared.test_knowing_our_block_makes_no_difference_while_nobody_touches_it)


def outside(spliced: Spliced) -> bytes:
    """The text without the one block that was put in."""
    assert spliced.text.count(spliced.block) == 1 or not spliced.block
    return spliced.text.replace(spliced.block, b"", 1) if spliced.block else spliced.text


def check_what_readers_see(spliced: Spliced, text: bytes, found: Entries) -> None:
    """Nothing of ours stands outside the block, and each name leads where it should."""
    theirs = outside(spliced)
    assert remove(theirs) == theirs
    assert not Counter(line for line in theirs.split(b"\n") if line) - Counter(text.split(b"\n"))
    given, ours, seen = names_of(theirs), names_of(spliced.block), names_of(spliced.text)
    assert set(ours) <= {f"{name}.dtk.io" for name in NAMES}
    for name in (f"{name}.dtk.io" for name in NAMES):
        wanted = frozenset(found.addresses(name))
        if name in spliced.shadowed:
            assert name not in ours
            assert spliced.shadowed[name] == ", ".join(sorted(given[name]))
        else:
            assert seen.get(name, frozenset()) == (wanted or given.get(name, frozenset()))
            assert not ours.get(name, frozenset()) & given.get(name, frozenset())


def check_between(head: bytes, tail: bytes, found: Entries, following: Entries) -> None:
    """Around one block that nobody touched, all others' bytes stay."""
    first = splice(head, found, MINE)
    if not first.block:
        return
    text = first.text + tail
    added = first.text[: -len(first.block)]
    assert added == head + b"\n" * (bool(head) and not head.endswith(b"\n"))
    without = (added if tail else head) + tail
    assert remove(text) == remove(text, first.block) == without
    assert read(text) == Block(MINE, tuple(lines_of(first.block)[1:-1]), intact=True)
    for known in (None, first.block):
        second = splice(text, following, MINE, known)
        assert second.text == (added + second.block + tail if second.block else without)
        assert remove(second.text) == without


def check_known(known: bytes, text: bytes) -> None:
    """Of a block that somebody changed, only lines that we wrote are ours, if no other block proves more."""
    markers = {line.removesuffix(b"\r") for line in text.split(b"\n") if MARKER.fullmatch(line)}
    if markers <= {line.rstrip(b"\n") for line in lines_of(known)}:
        mine = {b" ".join(line.split()) for line in lines_of(known)}

        def kept(content: bytes) -> list[bytes]:
            return [line for line in content.split(b"\n") if b" ".join(line.split()) not in {b"", *mine}]

        assert kept(remove(text, known)) == kept(text)


@atheris.instrument_func
def test_one_input(data: bytes) -> None:
    if data.startswith(b"!"):
        fdp = atheris.FuzzedDataProvider(data[1:])
        found, following, known = some_entries(fdp), some_entries(fdp), some_block(fdp)
        text = some_text(fdp, known)
    else:
        found, following = make_entries((1, 5, 2, 0)), make_entries((3, 0, 2, 4))
        known, text = splice(b"", found, MINE).block, data
    for block in (None, known):
        spliced = splice(text, found, MINE, block)
        check_what_readers_see(spliced, text, found)
        loses_no_line(text, found, block)
    comes_back(text, found)
    changes_nothing_again(text, found)
    is_read_back(text, found)
    makes_no_difference(text, found, following)
    check_known(known, text)
    head, _, tail = text.replace(b"dtkdns", b"").partition(b"\0")
    comes_back_byte_for_byte(head, found)
    check_between(head, tail, found, following)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
