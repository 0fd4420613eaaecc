"""Bodies that are too large, and paths in odd spellings, on bare connections."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred

from dtkdns.web import channel
from dtkdns.web.paths import LARGE_BODY, SMALL_BODY, largest_body, plain_segments
from running import endpoint, running


@ensureDeferred
async def test_a_declared_body_that_is_too_large_is_refused_at_its_header(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for path, size in (
            (b"/domains", SMALL_BODY),
            (b"/records", LARGE_BODY),
            (b"/clusters/a//records/", LARGE_BODY),
        ):
            head = b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
            answer = await service.raw(head % (path, size + 1))
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"100 Continue" not in answer
            assert b"\r\nConnection: close\r\n" in answer


@ensureDeferred
async def test_a_chunked_body_is_cut_while_it_is_counted(tmp_path: Path) -> None:
    chunk = b"400\r\n" + b"a" * 1024 + b"\r\n"
    async with running(tmp_path) as service:
        head = b"POST /domains HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await service.raw(head + 6 * chunk)).startswith(b"HTTP/1.1 413 ")
        assert (await service.call("GET", "/domains")).json() == ["dtk.io"]


@ensureDeferred
async def test_a_body_of_just_the_limit_is_taken(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        reply = await service.call("POST", "/domains", b"lab.io".ljust(SMALL_BODY))
        assert reply.json()["domains"] == ["dtk.io", "lab.io"]


@ensureDeferred
async def test_odd_paths_are_answered_in_plain_text_and_log_no_traceback(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for path in (b"/\xff\xfe", b"/%ff", b"/a%00b", b"/clusters%2flab/records", b"/../records", b"*", b"x"):
            answer = await service.raw(b"GET %b HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n" % path)
            assert answer.split(b" ")[1] in {b"400", b"404"}, path
            assert b"<html" not in answer.lower()


@ensureDeferred
async def test_debug_logs_each_request_with_its_time(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path, "--debug") as service:
        await service.call("GET", "/domains?x=\x7f")
    assert [line for line in log_lines if line.startswith("127.0.0.1 GET /domains") and line.endswith(" ms")]


@ensureDeferred
async def test_without_debug_no_request_is_logged(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path) as service:
        await service.change(create=[endpoint("a.dtk.io", "10.0.0.1")])
    assert not [line for line in log_lines if "/records" in line]


@given(st.binary(max_size=30))
def test_segments_are_plain_or_the_path_is_none(path: bytes) -> None:
    segments = plain_segments(path)
    if segments is not None:
        assert b"" not in segments
        assert b"/".join(segments).decode("utf-8") is not None
    assert largest_body(path) in {LARGE_BODY, SMALL_BODY}


def test_idle_connections_are_kept_longer_than_gos_client_keeps_them() -> None:
    assert channel.IDLE_SECONDS > 90


@pytest.mark.parametrize("path", [b"/records", b"/clusters/lab/adjustendpoints", b"//records//", b"/records?x=/y"])
def test_the_record_routes_take_large_bodies_in_every_spelling(path: bytes) -> None:
    assert largest_body(path) == LARGE_BODY
