"""What was refused is in the log, with the remedy, and cannot fill or forge it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.task import Clock

from dtkdns import access, provider
from dtkdns.web import limits
from dtkdns.web.refusals import MOST_REMEMBERED, SILENCE_SECONDS, Refusals
from running import WEBHOOK, credentials_file, endpoint, running


def test_a_refusal_is_said_once_a_minute_for_each_peer_and_reason(log_lines: list[str]) -> None:
    clock = Clock()
    said = Refusals(clock)
    for second in range(int(2 * SILENCE_SECONDS)):
        for peer in ("10.0.0.1", "10.0.0.2"):
            for reason in ("peer", "host"):
                said.note(peer, reason, f"GET /{second}", "Do otherwise.")
        clock.advance(1)
    assert len(log_lines) == 2 * 2 * 2
    assert log_lines[0] == "Refused 10.0.0.1, GET /0: Do otherwise."
    assert log_lines[-1] == "Refused 10.0.0.2, GET /60: Do otherwise."


def test_what_is_remembered_is_bounded_and_what_is_more_is_not_said(log_lines: list[str]) -> None:
    clock = Clock()
    said = Refusals(clock)
    for number in range(2 * MOST_REMEMBERED):
        said.note(f"peer {number}", "peer", "GET /", "No.")
    assert len(said._said) == len(log_lines) == MOST_REMEMBERED
    clock.advance(SILENCE_SECONDS)
    said.note("a later one", "peer", "GET /", "No.")
    assert len(said._said) == 1
    assert log_lines[-1] == "Refused a later one, GET /: No."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /\nRefused nobody", r"GET /\nRefused nobody"),
        ("GET /\x1b[2J\x00\x7f", r"GET /\x1b[2J\x00\x7f"),
        ("GET /\u202e\u2028\u00e9", r"GET /\u202e\u2028\xe9"),
        ("GET /{peer}'\"", "GET /{peer}'\""),
        ("x" * 1000, "x" * 100),
    ],
)
def test_what_the_peer_has_made_up_is_one_short_line_of_ascii(log_lines: list[str], text: str, shown: str) -> None:
    Refusals(Clock()).note("10.0.0.1", "path", text, "No.")
    assert [line.replace("\\'", "'") for line in log_lines] == [f"Refused 10.0.0.1, {shown}: No."]


# In a service


async def refused(
    directory: Path, log_lines: list[str], options: tuple[str, ...], request: str, body: bytes
) -> None:
    """Make the same request three times of a service."""
    async with running(directory, *options) as service:
        log_lines.clear()
        method, path, *lines = request.split("\n")
        headers = dict(line.split(": ", 1) for line in lines)
        for _ in range(3):
            await service.call(method, path, body, headers)


RECORDS = "POST\n/records\nContent-Type: " + WEBHOOK["Content-Type"]


@ensureDeferred
@pytest.mark.parametrize(
    ("options", "request_", "body", "says"),
    [
        (("--allow", "192.0.2.0/24"), "GET\n/", b"", "--allow 127.0.0.1 "),
        ((), "DELETE\n/domains/dtk.io", b"", "--allow-management 127.0.0.1"),
        (("--allow-management", "none"), "POST\n/domains", b"lab.io", "--allow-management none"),
        (("--credentials", ""), "GET\n/", b"", "--webhook-provider-url=http://USER:SECRET@"),
        (("--credentials", ""), "GET\n/\nAuthorization: Basic x", b"", "credentials are wrong"),
        ((), "GET\n/status\nHost: evil.example", b"", "--allow-host NAME"),
        ((), "GET\n/\nOrigin: null\nHost: localhost", b"", "another origin"),
        ((), "POST\n/records", b"{}", "Content-Type of this call is application/external.dns"),
        ((), "POST\n/domains", b"x" * 5000, "4096 bytes at most"),
        ((), RECORDS, b"nonsense", "The body is not a JSON object"),
        ((), "POST\n/domains", b"a b", "letters, digits"),
        ((), "GET\n/nothing", b"", "There is nothing at this path."),
        ((), "PUT\n/records", b"", "does not take that method"),
        ((), "GET\n/%2f", b"", "There is nothing at this path."),
        ((), "GET\n/\nTransfer-Encoding: gzip", b"", "not a request of HTTP/1.1"),
    ],
)
async def test_each_refusal_is_one_line_of_the_log_that_says_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: list[str],
    options: tuple[str, ...],
    request_: str,
    body: bytes,
    says: str,
) -> None:
    if options[:1] == ("--credentials",):
        options = credentials_file(tmp_path, "user:secret")
    if "--allow" in options or request_.startswith("DELETE"):
        monkeypatch.setattr(access, "is_this_machine", lambda _peer: False)
    await refused(tmp_path, log_lines, options, request_, body)
    lines = [line for line in log_lines if line.startswith("Refused ")]
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"Refused 127.0.0.1, {request_.splitlines()[0]} /")
    assert says in lines[0]


@ensureDeferred
async def test_what_is_too_much_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(provider, "MOST_ENDPOINTS", 0)
    async with running(tmp_path) as service:
        for _ in range(2):
            assert (await service.change(create=[endpoint("a.dtk.io", "10.0.0.1")])).status == 507
        monkeypatch.setattr(limits, "MOST_CONNECTIONS", 0)
        for _ in range(2):
            assert await service.raw(b"") == b""
    lines = [line for line in log_lines if line.startswith("Refused ")]
    assert len(lines) == 2
    assert "DELETE /clusters/NAME" in lines[0]
    assert lines[1] == "Refused 127.0.0.1, a connection: too many connections are open, of this peer or in all."


@ensureDeferred
async def test_what_has_failed_is_not_said_to_be_refused(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path) as service:
        assert (await service.call("DELETE", "/domains/dtk.io")).status == 409
        assert (await service.call("DELETE", "/names/a.dtk.io")).status == 404
    assert not [line for line in log_lines if line.startswith("Refused ")]
