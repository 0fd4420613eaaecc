"""How much is taken in and how long that may take, on bare connections."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from certificates import certificate_for
from dtkdns import access
from dtkdns.web import channel, gate, limits, paths, server
from dtkdns.web.answers import PIECE
from dtkdns.web.channel import ARRIVAL_SECONDS, PASS_SECONDS, WebhookChannel
from dtkdns.web.limits import LARGE, WAIT_SECONDS
from dtkdns.web.paths import LARGE_BODY, SMALL_BODY
from dtkdns.web.request import WebhookRequest
from dtkdns.wire import MEDIA_TYPE
from running import Client, Running, basic, credentials_file, endpoint, hang, running, until

HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: " + MEDIA_TYPE + b"\r\n"
TELLING = b"POST /domains HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nlab.io"
EMPTY_LIST = b"[".ljust(LARGE) + b"]"
"""A large body that holds nothing."""


def only_channel(service: Running) -> WebhookChannel:
    (found,) = service.site._channels
    return found


async def arriving(service: Running) -> None:
    """A request has begun to arrive."""
    await until(lambda: any(channel._deadline is not None for channel in service.site._channels))


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


def test_idle_connections_are_kept_longer_than_gos_client_keeps_them() -> None:
    assert server.IDLE_SECONDS > 90


# Time


@ensureDeferred
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET", 408),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 408),
        (b"POST /domains HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 408),
        (b"POST /records HTTP/1.1\r\n", 503),
        (HEAD % b"/records" + b"Content-Length: 5\r\n\r\n1234", 503),
        (HEAD % b"/clusters/a/adjustendpoints" + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", 503),
    ],
)
async def test_a_request_that_arrives_too_slowly_is_answered_so_that_external_dns_survives_it(
    tmp_path: Path, log_lines: list[str], sent: bytes, code: int
) -> None:
    async with running(tmp_path) as service:
        clock = service.stop_time()
        client = await service.connect()
        client.send(sent)
        await arriving(service)
        clock.advance(ARRIVAL_SECONDS - 1)
        assert client.received == b""
        clock.advance(1)
        await client.lost
        assert client.received.startswith(b"HTTP/1.1 %d " % code)
        assert b"\r\nConnection: close\r\n" in client.received
        assert b"within 30 s." in client.received
    assert len([line for line in log_lines if line.startswith("Refused 127.0.0.1, ")]) == 1


@ensureDeferred
async def test_more_bytes_give_a_request_no_more_time(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        clock = service.stop_time()
        client = await service.connect()
        client.send(HEAD % b"/records" + b"Content-Length: 100\r\n\r\n")
        await arriving(service)
        for number in range(int(ARRIVAL_SECONDS)):
            client.send(b"x")
            request = only_channel(service).requests[0]
            await until(lambda request=request, number=number: request.received > number)  # type: ignore[misc]
            assert not client.received
            clock.advance(1)
        await client.lost
        assert client.received.startswith(b"HTTP/1.1 503 ")


@ensureDeferred
async def test_each_request_of_a_connection_has_its_own_time_and_an_idle_one_needs_none(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        clock = service.stop_time()
        client = await service.connect()
        for number in range(1, 4):
            client.send(b"GET /records HTTP/1.1\r\n")
            await arriving(service)
            clock.advance(ARRIVAL_SECONDS - 1)
            client.send(b"Host: x\r\n\r\n")
            await client.has(b"HTTP/1.1 200 ", number)
            assert clock.getDelayedCalls() == []
            clock.advance(ARRIVAL_SECONDS)


@ensureDeferred
async def test_an_idle_connection_is_closed_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    monkeypatch.setattr(server, "IDLE_SECONDS", 0.01)
    async with running(tmp_path) as service:
        globalLogPublisher.addObserver(observe)
        try:
            assert await service.raw(b"") == b""
            answer = await service.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        finally:
            globalLogPublisher.removeObserver(observe)
    assert answer.endswith(b"ok\n")
    assert [line for line in lines if "factory" not in line] == []


# Answers that are not taken


MANY = 200


async def deaf(service: Running) -> Client:
    """A client that asks many times for many records, and does not listen to the answers."""
    names = [endpoint(f"a{number}.dtk.io", "10.0.0.1") for number in range(1000)]
    assert (await service.change(create=names)).status == 204
    client = await service.connect()
    client.transport.pauseProducing()
    client.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.send(MANY * b"GET /records HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: any(channel._waitingForTransport for channel in service.site._channels))
    return client


@ensureDeferred
async def test_a_client_that_does_not_take_its_answers_is_not_served_until_it_does(
    tmp_path: Path, log_lines: list[str]
) -> None:
    async with running(tmp_path, "--debug") as service:
        client = await deaf(service)
        assert len([line for line in log_lines if "GET /records 200" in line]) < MANY
        client.transport.resumeProducing()
        await client.has(b"HTTP/1.1 200 ", MANY)


@ensureDeferred
async def test_a_client_that_never_takes_its_answers_is_cut_when_it_has_been_idle(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as service:
        client = await deaf(service)
        clock = service.stop_time()
        only_channel(service).timeoutConnection()
        clock.advance(WebhookChannel.abortTimeout)
        await until(lambda: not service.site._channels)
        assert clock.getDelayedCalls() == []
        await client.leave()


@ensureDeferred
async def test_a_large_answer_comes_whole_and_the_connection_goes_on(tmp_path: Path) -> None:
    names = json.dumps([endpoint(f"a{number}.dtk.io", "10.0.0.1") for number in range(20_000)]).encode()
    assert len(names) > 4 * PIECE
    async with running(tmp_path) as service:
        client = await service.connect()
        client.send(HEAD % b"/adjustendpoints" + b"Content-Length: %d\r\n\r\n" % len(names) + names)
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.has(b"\r\n\r\nok\n")
        assert client.received.count(b"\r\n\r\n" + names + b"HTTP/1.1 200 ") == 1
        assert free(service)


# Large bodies


async def begin_large(service: Running, source: str = "127.0.0.1") -> Client:
    """A client whose large body has room, and is not whole."""
    client = await service.connect(source)
    client.send(HEAD % b"/adjustendpoints" + b"Content-Length: %d\r\n\r\n[" % len(EMPTY_LIST))
    await until(lambda: source in service.site.large_bodies._peers)
    return client


def end_large(client: Client) -> None:
    client.send(EMPTY_LIST[1:])


def free(service: Running) -> bool:
    """Whether nobody has or waits for room."""
    bodies = service.site.large_bodies
    return not bodies._peers and not bodies._waiting


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


BODIES: list[tuple[bytes, bytes]] = [
    # what is sent of a large body until it waits, and the rest
    (b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(EMPTY_LIST), EMPTY_LIST),
    (b"Content-Length: %d\r\n\r\n" % len(EMPTY_LIST) + EMPTY_LIST, b""),
    (b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EMPTY_LIST[:-1]) + b"1\r\n]", b"\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EMPTY_LIST) + b"0\r\n\r\n", b""),
]


async def waiting_large(service: Running, sent: bytes) -> Client:
    """A client whose large body waits for another one of the same peer."""
    client = await service.connect()
    client.send(HEAD % b"/adjustendpoints" + sent)
    await until(lambda: bool(service.site.large_bodies._waiting))
    return client


@ensureDeferred
@pytest.mark.parametrize(("sent", "rest"), BODIES)
async def test_a_large_body_waits_until_the_one_before_is_done(tmp_path: Path, sent: bytes, rest: bytes) -> None:
    async with running(tmp_path) as service:
        service.stop_time()
        first = await begin_large(service)
        second = await waiting_large(service, sent)
        assert second.received == b""
        end_large(first)
        await first.has(b"HTTP/1.1 200 ")
        if b"Expect" in sent:
            await second.has(b"HTTP/1.1 100 Continue\r\n")
        second.send(rest)
        await second.has(b"HTTP/1.1 200 ")
        assert free(service)


@ensureDeferred
@pytest.mark.parametrize(("sent", "_rest"), BODIES)
async def test_a_large_body_that_has_waited_too_long_is_a_503_without_100_continue(
    tmp_path: Path, log_lines: list[str], sent: bytes, _rest: bytes
) -> None:
    async with running(tmp_path) as service:
        clock = service.stop_time()
        first = await begin_large(service)
        second = await waiting_large(service, sent)
        clock.advance(WAIT_SECONDS)
        await second.lost
        assert second.received.startswith(b"HTTP/1.1 503 ")
        end_large(first)
        await first.has(b"HTTP/1.1 200 ")
        assert free(service)
    assert len([line for line in log_lines if "Other large bodies are being worked on" in line]) == 1


@ensureDeferred
async def test_small_bodies_and_other_peers_do_not_wait_behind_a_large_one(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        first = await begin_large(service)
        assert (await service.change(create=[endpoint("a.dtk.io", "10.0.0.1")])).status == 204
        other = await begin_large(service, "127.0.0.2")
        third = await service.connect("127.0.0.3")
        third.send(HEAD % b"/adjustendpoints" + BODIES[0][0])
        await until(lambda: bool(service.site.large_bodies._waiting))
        for client in (first, other):
            end_large(client)
            await client.has(b"HTTP/1.1 200 ")
        await third.has(b"HTTP/1.1 100 ")
        await third.leave()
        await until(lambda: free(service))


@ensureDeferred
@pytest.mark.parametrize("sent", [sent for sent, _ in BODIES])
async def test_a_client_that_goes_away_while_its_large_body_waits_leaves_room(tmp_path: Path, sent: bytes) -> None:
    async with running(tmp_path) as service:
        service.stop_time()
        first = await begin_large(service)
        second = await waiting_large(service, sent)
        await second.leave()
        end_large(first)
        await first.has(b"HTTP/1.1 200 ")
        await until(lambda: len(service.site._channels) == 1)
        assert free(service)


@ensureDeferred
@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: %d\r\n\r\n" % len(EMPTY_LIST),
        b"Content-Length: %d\r\n\r\n" % len(EMPTY_LIST) + EMPTY_LIST[:-1],
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EMPTY_LIST),
    ],
)
async def test_a_client_that_goes_away_within_its_large_body_leaves_room(tmp_path: Path, sent: bytes) -> None:
    async with running(tmp_path) as service:
        client = await service.connect()
        client.send(HEAD % b"/adjustendpoints" + sent)
        await until(lambda: not free(service))
        await client.leave()
        await until(lambda: free(service))


@ensureDeferred
async def test_a_large_body_that_is_refused_in_the_end_leaves_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "LARGE_BODY", LARGE + 1000)
    async with running(tmp_path) as service:
        clock = service.stop_time()
        too_large = HEAD % b"/records" + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b" " * (LARGE + 1001))
        assert (await service.raw(too_large)).startswith(b"HTTP/1.1 413 ")
        await until(lambda: free(service))
        client = await begin_large(service)
        clock.advance(ARRIVAL_SECONDS)
        await client.lost
        assert client.received.startswith(b"HTTP/1.1 503 ")
        await until(lambda: free(service))


@ensureDeferred
async def test_a_large_post_whose_client_went_away_keeps_its_room_until_its_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foo = endpoint("foo.dtk.io", "10.0.0.1")
    body = json.dumps({"create": [foo]}).encode().ljust(LARGE + 1)
    async with running(tmp_path) as service:
        await service.change(create=[endpoint("first.dtk.io", "10.0.0.1")])
        slow = hang(monkeypatch)
        client = await service.connect()
        client.send(HEAD % b"/records" + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: "foo.dtk.io" in service.service._provider.projection.shown)
        await client.leave()
        await until(lambda: not service.site._channels)
        assert service.site.large_bodies._peers == {"127.0.0.1"}
        slow.set()
        await until(lambda: free(service))
        assert b"10.0.0.1 foo.dtk.io" in service.hosts


# What is refused


@ensureDeferred
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + 200 * (b"X: " + b"x" * 100 + b"\r\n") + b"\r\n", 431),
        (b"GET /" + b"x" * 20000, 414),
        (b"x" * 20000, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + 600 * b"X: x\r\n" + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: x\r\n\tfolded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\nHost: x\r\n\r\n", 400),
        (b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1 x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%2f HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /domains HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: null\r\n\r\n", 421),
    ],
)
async def test_what_follows_a_refused_request_is_not_executed(
    tmp_path: Path, log_lines: list[str], request_: bytes, code: int
) -> None:
    async with running(tmp_path) as service:
        answer = await service.raw(request_ + TELLING)
        assert answer.startswith(b"HTTP/1.1 %d " % code)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"\r\nConnection: close\r\n" in answer
        assert (await service.call("GET", "/domains")).json() == ["dtk.io"]
    assert len([line for line in log_lines if line.startswith("Refused ")]) == 1


@ensureDeferred
async def test_requests_in_one_piece_are_answered_in_turn_until_one_is_refused(tmp_path: Path) -> None:
    ask = b"GET /domains HTTP/1.1\r\nHost: x\r\n\r\n".replace(b"x", b"localhost")
    async with running(tmp_path) as service:
        answer = await service.raw(ask + TELLING + b"\r\n" + ask + b"GET /%2f HTTP/1.1\r\nHost: x\r\n\r\n" + ask)
        codes = [part.split(b" ")[0] for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert codes == [b"200", b"200", b"200", b"404"]
        assert answer.count(b'["dtk.io","lab.io"]') == 2


@ensureDeferred
async def test_the_refusal_of_a_head_request_has_no_body(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        answer = await service.raw(b"HEAD /%2f HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"\r\nContent-Length: 31\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")


@ensureDeferred
async def test_nothing_is_asked_to_continue_before_it_may(tmp_path: Path) -> None:
    expecting = b"Expect: 100-continue\r\nContent-Length: 6\r\n"
    async with running(tmp_path, *credentials_file(tmp_path, "user:secret")) as service:
        answer = await service.raw(HEAD % b"/domains" + expecting + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nWWW-Authenticate: Basic " in answer
        client = await service.connect()
        authorization = basic("user", "secret")["Authorization"].encode()
        head = b"POST /domains HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + authorization + b"\r\n"
        client.send(head + expecting + b"\r\n")
        await client.has(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"lab.io")
        await client.has(b"HTTP/1.1 200 ")


@ensureDeferred
async def test_the_rest_of_a_refused_request_is_read_so_that_its_client_sees_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "LARGE_BODY", LARGE)
    body = b" " * (8 * LARGE)
    async with running(tmp_path) as service:
        answer = await service.call("POST", "/records", body)
        assert answer.status == 413
        assert "bytes at most" in answer.text


@ensureDeferred
async def test_a_refused_client_that_stays_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(Client, "readConnectionLost", lambda _self: None, raising=False)
    async with running(tmp_path) as service:
        assert (await service.raw(b"x\r\n")).startswith(b"HTTP/1.1 400 ")
        await until(lambda: not service.site._channels)


# Connections


@ensureDeferred
async def test_a_connection_for_which_there_is_no_room_is_closed_at_once_and_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(limits, "MOST_OF_A_PEER", 2)
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running(tmp_path) as service:
        kept = [await service.connect() for _ in range(2)]
        for client in kept:
            client.send(ask)
            await client.has(b"ok\n")
        assert await service.raw(ask) == b""
        other = await service.connect("127.0.0.2")
        other.send(ask)
        await other.has(b"ok\n")
        kept[0].send(ask)
        await kept[0].has(b"ok\n", 2)
        await kept[0].leave()
        await until(lambda: len(service.site.connections) == 2)
        assert (await service.call("GET", "/healthz")).status == 200
    assert len([line for line in log_lines if "too many connections" in line]) == 1


@ensureDeferred
async def test_strangers_leave_connections_for_those_who_may_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_OF_STRANGERS", 1)
    monkeypatch.setattr(access, "is_this_machine", lambda peer: peer.host == "127.0.0.1")
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running(tmp_path, "--allow", "192.0.2.0/24") as service:
        stranger = await service.connect("127.0.0.2")
        await until(lambda: len(service.site.connections) == 1)
        assert await service.raw(ask, "127.0.0.3") == b""
        assert (await service.call("GET", "/healthz")).status == 200
        stranger.send(ask)
        await stranger.lost
        assert b"--allow 127.0.0.2 this one alone" in stranger.received
        await until(lambda: len(service.site.connections) == 0)


# Faults of our own


def broken(*_args: object) -> None:
    raise ZeroDivisionError("a fault")


@ensureDeferred
@pytest.mark.parametrize(
    ("where", "name", "comes"),
    [(gate.Gate, "admit", b"HTTP/1.1 500 "), (WebhookRequest, "gotLength", b"")],
)
async def test_a_fault_while_a_request_comes_in_is_logged_and_ends_this_connection_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_lost_errors: list[LogEvent],
    where: type,
    name: str,
    comes: bytes,
) -> None:
    async with running(tmp_path) as service:
        with monkeypatch.context() as patch:
            patch.setattr(where, name, broken)
            answer = await service.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(comes)
        assert bool(answer) == bool(comes)
        assert b"ZeroDivision" not in answer
        assert [event["log_failure"].type for event in no_lost_errors] == [ZeroDivisionError]
        no_lost_errors.clear()
        assert (await service.call("GET", "/healthz")).status == 200


LARGE_ANSWER = json.dumps([endpoint(f"a{n}.dtk.io", "10.0.0.1") for n in range(100_000)]).encode()


async def ask_and_do_not_read(service: Running) -> Client:
    """A client of which a large answer is waiting."""
    client = await service.connect()
    client.transport.pauseProducing()
    length = b"Content-Length: %d\r\n\r\n" % len(LARGE_ANSWER)
    client.send(HEAD % b"/adjustendpoints" + length + LARGE_ANSWER)
    await until(lambda: any(channel._waitingForTransport for channel in service.site._channels))
    return client


@ensureDeferred
async def test_a_client_that_goes_away_within_a_large_answer_is_no_fault(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        client = await ask_and_do_not_read(service)
        await client.leave()
        await until(lambda: free(service))


@ensureDeferred
async def test_a_client_that_takes_nothing_of_a_large_answer_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "TAKING_SECONDS", 0.05)
    async with running(tmp_path) as service:
        client = await ask_and_do_not_read(service)
        await until(lambda: free(service))
        await client.leave()


@ensureDeferred
async def test_a_client_that_sends_no_more_gets_the_answer_that_is_due(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for start in (b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            for rest in (b"", b"GET /heal"):
                client = await service.connect()
                client.send(start + rest)
                client.transport.loseWriteConnection()
                await client.lost
                assert client.received.count(b"HTTP/1.1 200 ") == bool(start)


@ensureDeferred
async def test_a_client_that_wants_no_further_request_has_as_much_time_as_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STOPPING_SECONDS", 0.01)
    monkeypatch.setattr(channel, "ARRIVAL_SECONDS", 0.1)
    async with running(tmp_path) as service:
        half = b"POST /domains HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 6\r\n\r\n"
        assert (await service.raw(half)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL")  # Twisted's own use of it
@ensureDeferred
async def test_over_tls_a_refused_client_gets_to_see_why(tmp_path: Path) -> None:
    key, certificate = certificate_for("127.0.0.1", tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))

    def exchange(port: int, sent: bytes) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            trusting.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as connection,
        ):
            connection.sendall(sent)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received

    port = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    async with running(tmp_path, "--port", port) as service:
        for sent, code in (
            (b"GET /%2f HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            (b"POST /domains HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, 413),
            (b"x" * 20000, 414),
        ):
            answer = await deferToThread(exchange, service.port, sent)
            assert answer.startswith(b"HTTP/1.1 %d " % code)
            assert answer.endswith(b".\n")


ADJUST = HEAD % b"/adjustendpoints" + b"Content-Length: 2\r\n\r\n[]"
GET_RECORDS = b"GET /records HTTP/1.1\r\nHost: x\r\n\r\n"


@ensureDeferred
@pytest.mark.parametrize("before", [GET_RECORDS, ADJUST])
async def test_at_a_stop_the_next_call_of_a_pass_is_answered_on_its_connection(
    tmp_path: Path, before: bytes
) -> None:
    async with running(tmp_path) as service:
        client = await service.connect()
        client.send(before)
        await client.has(b"[]")
        stopped = service.service.stopService()
        client.send(ADJUST)
        await client.lost
        assert client.received.count(b"HTTP/1.1 200 ") == 2
        assert client.received.count(b"\r\nConnection: close\r\n") == 1
        await stopped


@ensureDeferred
async def test_at_a_stop_the_first_call_of_a_new_connection_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        client = await service.connect()
        await until(lambda: bool(service.site._channels))
        stopped = service.service.stopService()
        client.send(ADJUST)
        await client.lost
        assert client.received.startswith(b"HTTP/1.1 200 ")
        await stopped


@ensureDeferred
async def test_at_a_stop_a_pass_that_does_not_go_on_is_waited_for_in_vain_and_not_long(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        clock = service.stop_time()
        client = await service.connect()
        client.send(GET_RECORDS)
        await client.has(b"[]")
        stopped = service.service.stopService()
        clock.advance(PASS_SECONDS / 2)
        assert service.site._channels
        clock.advance(PASS_SECONDS / 2)
        await client.lost
        await stopped


@ensureDeferred
@pytest.mark.parametrize("path", [b"/", b"/healthz"])
async def test_at_a_stop_a_connection_on_which_no_post_follows_is_closed_at_once(
    tmp_path: Path, path: bytes
) -> None:
    async with running(tmp_path) as service:
        service.stop_time()
        client = await service.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        await client.has(b"HTTP/1.1 200 ")
        await until(lambda: not only_channel(service).requests)
        stopped = service.service.stopService()
        await client.lost
        await stopped
