"""Which lines of others are put back: those that a moment ago were there and that nobody rewrote."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.hosts.versions import REMEMBERED, Memory, Signature, lost, put_back

NAS = b"192.0.2.1 nas\n"
TV = b"192.0.2.2 tv\n"

lines = st.one_of(
    st.builds(
        lambda address, names, end: b" ".join([address, *names]) + end,
        st.sampled_from([b"192.0.2.1", b"192.0.2.2", b"fd00::1"]),
        st.lists(st.sampled_from([b"nas", b"tv", b"NAS", b"printer"]), min_size=1, max_size=3),
        st.sampled_from([b"", b" # mine", b"\r"]),
    ),
    st.sampled_from([b"", b" ", b"\r", b"# nas", b"# a note", b"192.0.2.1", b"\xe9\0"]),
    st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"")),
)
texts = st.builds(
    lambda found, end: b"\n".join(found) + end, st.lists(lines, max_size=8), st.sampled_from([b"", b"\n"])
)
moments = st.lists(st.tuples(st.sampled_from([0.0, 0.4, 1.9, 2.1]), texts), max_size=5)


def said(text: bytes) -> list[bytes]:
    """The lines that say something, without a CR at their end."""
    return [line.removesuffix(b"\r") for line in text.split(b"\n") if line.strip()]


def names(line: bytes) -> set[bytes]:
    return {word.lower() for word in line.partition(b"#")[0].split()[1:]}


def rewritten(line: bytes, before: bytes, now: bytes) -> bool:
    """Whether there is a new line for just these names."""
    others = set(said(now)) - set(said(before))
    return bool(names(line)) and any(names(other) == names(line) for other in others)


def remembering(seen: list[tuple[float, bytes]]) -> tuple[Memory, float]:
    """A memory of these versions, each so many seconds behind the one before; and the time of the last one."""
    memory, now = Memory(), 1000.0
    for apart, text in seen:
        now += apart
        memory.note(text, now)
    return memory, now


# What holds for all texts


@given(texts, texts)
def test_a_line_that_is_there_is_never_added_again(before: bytes, now: bytes) -> None:
    found = [line.removesuffix(b"\r") for line in lost(before, now)]
    assert not set(found) & set(said(now))
    assert len(found) == len(set(found))


@given(texts, texts)
def test_every_line_that_was_there_is_there_again_unless_it_was_rewritten(before: bytes, now: bytes) -> None:
    result = said(put_back(now, lost(before, now)))
    assert all(line in result or rewritten(line, before, now) for line in said(before))


@given(texts, texts)
def test_a_line_that_was_rewritten_does_not_come_back(before: bytes, now: bytes) -> None:
    assert not [line for line in lost(before, now) if rewritten(line.removesuffix(b"\r"), before, now)]


@given(texts, st.lists(lines.filter(bytes.strip)))
def test_lines_are_put_back_behind_a_text_that_stays_as_it_is(text: bytes, added: list[bytes]) -> None:
    result = put_back(text, added)
    assert result.startswith(text)
    assert said(result) == said(text) + [line.removesuffix(b"\r") for line in added]
    assert result.endswith(b"\n") or not added


@given(moments, texts)
def test_what_was_put_back_is_missing_no_more(seen: list[tuple[float, bytes]], now: bytes) -> None:
    memory, moment = remembering(seen)
    result = put_back(now, memory.missing(now, moment))
    assert memory.missing(result, moment) == []


@given(moments, texts)
def test_nothing_is_put_back_that_nobody_wrote(seen: list[tuple[float, bytes]], now: bytes) -> None:
    memory, moment = remembering(seen)
    held = {line for _, text in seen for line in text.split(b"\n")}
    assert set(memory.missing(now, moment)) <= held


@given(moments, texts)
def test_no_line_of_the_last_moments_is_lost_unless_it_was_rewritten(
    seen: list[tuple[float, bytes]], now: bytes
) -> None:
    memory, moment = remembering(seen)
    result = put_back(now, memory.missing(now, moment))
    last = seen[-1][1] if seen else b""
    assert all(line in said(result) or rewritten(line, last, now) for line in said(last))


@given(texts)
def test_a_text_misses_nothing_of_itself(text: bytes) -> None:
    assert list(lost(text, text)) == []
    memory, now = remembering([(0, text)])
    assert memory.missing(text, now) == []


# Lines


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (b"192.0.2.1 nas\n", b"192.0.2.9 nas\n"),
        (b"192.0.2.1 nas tv\n", b"192.0.2.1 TV NAS # the same names\n"),
        (b"192.0.2.1 nas # old\n", b"192.0.2.1 nas # new\n"),
        (b"192.0.2.1 nas\n192.0.2.2 nas\n", b"192.0.2.3 nas"),
        (b"192.0.2.1 nas\n", b"192.0.2.1 nas\r\n"),
        (b"192.0.2.1 nas\r\n", b"192.0.2.1 nas\n"),
        (b"\n \r\n\t\n", b""),
    ],
)
def test_what_stands_there_in_another_form_is_not_lost(before: bytes, now: bytes) -> None:
    assert list(lost(before, now)) == []


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (b"# one\n# two\n", b"# three\n", [b"# one", b"# two"]),
        (b"192.0.2.1 nas tv\n", b"192.0.2.9 nas\n", [b"192.0.2.1 nas tv"]),
        (b"192.0.2.1 nas\n", b"#192.0.2.1 nas\n", [b"192.0.2.1 nas"]),
        (b"nas\n", b"tv\n", [b"nas"]),
        (b"192.0.2.1 nas\r\n", b"", [b"192.0.2.1 nas\r"]),
        (b"192.0.2.1 \xe9\n192.0.2.1 nas", b"", [b"192.0.2.1 \xe9", b"192.0.2.1 nas"]),
        (NAS + TV + NAS, b"", [NAS[:-1], TV[:-1]]),
        (b"192.0.2.1 nas\n192.0.2.2 nas\n", b"192.0.2.2 nas\n", [b"192.0.2.1 nas"]),
    ],
)
def test_a_line_that_is_gone_is_lost_byte_for_byte(before: bytes, now: bytes, expected: list[bytes]) -> None:
    assert list(lost(before, now)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", b"# a\r\n# b\n"),
        (b"# no newline", b"# no newline\n# a\r\n# b\n"),
        (b"# line\n", b"# line\n# a\r\n# b\n"),
    ],
)
def test_lines_go_to_the_end_each_with_its_own_line_end(text: bytes, expected: bytes) -> None:
    assert put_back(text, [b"# a\r", b"# b"]) == expected


def test_nothing_to_put_back_leaves_the_text_without_its_newline() -> None:
    assert put_back(b"# no newline", []) == b"# no newline"


# Memory


def test_a_version_is_remembered_for_two_seconds() -> None:
    memory, now = remembering([(0, NAS)])
    assert memory.missing(b"", now + REMEMBERED) == [NAS[:-1]]
    assert memory.missing(b"", now + REMEMBERED + 0.001) == []


def test_a_version_that_is_seen_again_is_remembered_anew() -> None:
    memory, now = remembering([(0, NAS), (1.5, TV), (1.5, NAS)])
    assert set(memory.missing(b"", now)) == {NAS[:-1], TV[:-1]}
    assert memory.missing(b"", now + 1) == [NAS[:-1]]


def test_versions_of_long_ago_take_no_room() -> None:
    memory, now = remembering([(REMEMBERED + 1, b"# %d\n" % number) for number in range(10)])
    assert list(memory._seen) == [b"# 9\n"]
    assert memory.missing(b"", now) == [b"# 9"]


def test_a_version_whose_lines_are_all_in_a_newer_one_takes_no_room() -> None:
    memory, now = remembering([(0, NAS), (0.1, NAS + TV), (0.1, NAS + TV + b"# note\n")])
    assert list(memory._seen) == [NAS + TV + b"# note\n"]
    assert memory.missing(TV, now) == [NAS[:-1], b"# note"]


def test_lines_of_several_versions_come_back_together_and_each_once() -> None:
    memory, now = remembering([(0, NAS), (0.1, NAS + TV), (0.1, TV + b"# note\n")])
    assert sorted(memory.missing(b"", now)) == [b"# note", NAS[:-1], TV[:-1]]


def test_of_a_line_that_was_rewritten_only_the_newest_comes_back() -> None:
    memory, now = remembering([(0, b"192.0.2.1 nas\n"), (0.1, b"192.0.2.9 nas\n")])
    assert memory.missing(b"", now) == [b"192.0.2.9 nas"]


def test_what_is_owed_comes_back_however_long_it_takes_until_it_is_paid() -> None:
    memory = Memory()
    memory.owe(NAS)
    memory.owe(NAS + TV)
    assert memory.missing(TV, 1e9) == [NAS[:-1]]
    memory.paid()
    assert memory.missing(b"", 1e9) == []


def test_what_is_owed_was_not_rewritten_either() -> None:
    memory = Memory()
    memory.owe(NAS)
    assert memory.missing(b"192.0.2.9 nas\n", 0) == []


# Signatures


@pytest.mark.parametrize("field", [1, 2, 6])
def test_another_inode_device_or_size_is_another_signature(field: int) -> None:
    status = list(os.stat("/"))
    one = Signature.of(os.stat_result([*status, *[0] * 9]))
    status[field] += 1
    assert Signature.of(os.stat_result([*status, *[0] * 9])) != one
