"""Connections that are too many, too slow, full of requests, or that end at any moment."""

from __future__ import annotations

import json
import random
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from attrs import frozen
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from dtkdns.web import channel, server
from dtkdns.web.limits import MOST_CONNECTIONS, MOST_OF_A_PEER
from process import MEDIA_TYPE, Dtkdns, dtkdns, records
from process import call as call_over
from running import running

from .exchange import LAST, SILENCE, Answer, connect, connected, read_answer, read_answers, reset

HONEST, LATER = "127.0.0.2", "127.0.0.3"
ADDRESS = "192.168.122.167"
MANY = 1000
AT_ONCE = 25
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
TWO_LENGTHS = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
REFUSED = b"POST /domains HTTP/1.1\r\nHost: 127.0.0.1\r\n" + TWO_LENGTHS


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def created(name: str) -> bytes:
    record = {"dnsName": name, "targets": ["10.0.0.1"], "recordType": "A"}
    return json.dumps({"create": [record]}).encode()


def creation(name: str) -> bytes:
    return post("/records", created(name))


@frozen
class Service:
    dtkdns: Dtkdns
    hosts: Path

    def call(self, method: str, path: str, body: str | None = None, address: str = HONEST) -> tuple[int, bytes]:
        """One call over a new connection, of somebody who has done no harm."""
        sent = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {MEDIA_TYPE}\r\nConnection: close\r\n"
        )
        sent += f"Content-Length: {len(body or '')}\r\n\r\n{body or ''}"
        with connected(self.dtkdns.port, address) as (connection, stream):
            connection.sendall(sent.encode())
            answer = read_answer(stream)
            assert answer is not None
            return answer.status, answer.body

    def is_served_again(self) -> None:
        """Whoever connects is served in the end, from any address."""
        until = time.monotonic() + SILENCE
        for address in ("127.0.0.1", HONEST, "127.0.1.1"):
            while True:
                try:
                    assert self.call("GET", "/healthz", address=address) == (200, b"ok\n")
                    break
                except (ConnectionError, AssertionError):
                    assert time.monotonic() < until, f"{address} is not served any more"
                    time.sleep(0.05)

    def comes_to_hold(self, name: str) -> None:
        """A name is in the hosts file in the end."""
        until = time.monotonic() + SILENCE
        while f"{ADDRESS} {name} # external-dns\n".encode() not in self.hosts.read_bytes():
            assert time.monotonic() < until, self.hosts.read_text()
            time.sleep(0.02)


@contextmanager
def running_alone(directory: Path, prefix: Sequence[str] = ()) -> Iterator[Service]:
    """A dtkdns of one's own, whose log has told of no fault in the end."""
    hosts = directory / "hosts"
    hosts.write_bytes(b"127.0.0.1 localhost\n")
    options = ["--port", "tcp:0:interface=127.0.0.1", "--state", str(directory / "state")]
    options += ["--hosts-file", str(hosts), "--domains", "dtk.io", "--cluster-ip", ADDRESS]
    with dtkdns(*options, prefix=prefix) as process:
        yield Service(process, hosts)
        process.stop()
    log = "".join(process.log)
    assert "Traceback" not in log, log
    assert "fault of dtkdns" not in log, log


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_alone(tmp_path) as service:
        yield service


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many descriptors as this many connections take, in the test's own process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MANY
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"no more than {hard} descriptors may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def opened(port: int, addresses: Sequence[str]) -> Iterator[list[socket.socket]]:
    """A connection from each of these addresses; some may be closed by the other side already.

    So few come at once that each finds room among those that are not accepted yet (listen(2)).
    """
    with ExitStack() as stack:
        found = []
        for number, address in enumerate(addresses, start=1):
            with suppress(ConnectionResetError):  # closed before it was there for us
                found.append(stack.enter_context(connect(port, address)))
            if number % AT_ONCE == 0:
                ended(port)
        yield found


def ended(port: int) -> None:
    """Wait until a further connection is over: all that were made before it have been accepted, or closed."""
    with suppress(ConnectionError), connect(port, LATER) as connection:
        connection.sendall(LAST)
        while connection.recv(65536):
            pass


def is_alive(connection: socket.socket) -> bool:
    """Whether a request on this connection is answered."""
    try:
        connection.sendall(HEALTH)
        return connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    except ConnectionError:
        return False


# Too many


@pytest.mark.usefixtures("many_descriptors")
def test_a_peer_with_a_thousand_connections_has_32_and_others_are_served_as_before(service: Service) -> None:
    with connected(service.dtkdns.port, HONEST) as (honest, stream):
        with opened(service.dtkdns.port, ["127.0.0.1"] * MANY) as connections:
            for _ in range(10):
                honest.sendall(HEALTH)
                assert (answer := read_answer(stream)) is not None
                assert answer.status == 200
                assert service.call("POST", "/records", created("a.dtk.io").decode())[0] == 204
            assert sum(map(is_alive, connections)) == MOST_OF_A_PEER
        service.is_served_again()
        honest.sendall(LAST)
        assert [answer.status for answer in read_answers(stream)] == [200]
    service.comes_to_hold("a.dtk.io")


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_connections_of_many_peers_are_256_and_all_are_given_back(service: Service) -> None:
    addresses = [f"127.0.1.{1 + number % 100}" for number in range(MANY)]
    for _ in range(2):
        with opened(service.dtkdns.port, addresses) as connections:
            assert sum(map(is_alive, connections)) == MOST_CONNECTIONS
            assert service.dtkdns.process.poll() is None
        service.is_served_again()
    assert service.call("POST", "/domains", "new.io")[0] == 200


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize("limit", [64, 100])
def test_when_descriptors_are_short_some_are_left_for_the_file(limit: int, tmp_path: Path) -> None:
    prefix = ["sh", "-c", f'ulimit -n {limit} && exec "$0" "$@"']
    with running_alone(tmp_path, prefix) as service, ExitStack() as stack:
        addresses = [f"127.0.1.{1 + number % 100}" for number in range(MANY)]
        with opened(service.dtkdns.port, [HONEST]) as (honest,):
            connections = stack.enter_context(opened(service.dtkdns.port, addresses))
            assert 1 <= sum(map(is_alive, connections)) < limit
            honest.sendall(creation("short.dtk.io"))
            assert honest.recv(65536).startswith(b"HTTP/1.1 204 ")
            service.comes_to_hold("short.dtk.io")
        stack.close()
        service.is_served_again()
        assert service.call("POST", "/domains", "new.io")[0] == 200
        with service.dtkdns.connection() as connection:
            assert [record["dnsName"] for record in records(connection)] == ["short.dtk.io"]


# Many requests on one connection


def pipelined(port: int, requests: Sequence[bytes]) -> list[Answer]:
    """All answers to requests that are written at once, while nothing is read yet."""
    with connected(port) as (connection, stream):
        sender = threading.Thread(target=connection.sendall, args=[b"".join([*requests, LAST])])
        sender.start()
        try:
            return list(read_answers(stream))
        finally:
            sender.join()


def test_a_thousand_requests_in_one_write_are_answered_in_their_order(service: Service) -> None:
    expected = {b"/healthz": b"ok\n", b"/domains": b'["dtk.io"]\n', b"/clusterip": f'"{ADDRESS}"\n'.encode()}
    paths = random.Random(1).choices(list(expected), k=MANY)
    sent = [b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path for path in paths]
    answers = pipelined(service.dtkdns.port, sent)
    assert [answer.body for answer in answers] == [*map(expected.__getitem__, paths), b"ok\n"]
    assert {answer.status for answer in answers} == {200}


def test_changes_in_one_write_are_made_in_their_order(service: Service) -> None:
    addresses = [f"10.0.0.{number}" for number in range(1, 41)]
    sent = [post("/clusterip", address.encode()) for address in addresses]
    answers = pipelined(service.dtkdns.port, [creation("a.dtk.io"), *sent])
    assert [answer.status for answer in answers] == [204, *[200] * 41]
    assert [json.loads(answer.body)["addresses"] for answer in answers[1:-1]] == [[to] for to in addresses]
    assert f"{addresses[-1]} a.dtk.io # external-dns\n".encode() in service.hosts.read_bytes()


def test_nothing_behind_a_refused_request_is_executed(service: Service) -> None:
    before, behind = post("/domains", b"good.io"), post("/domains", b"evil.io")
    answers = pipelined(service.dtkdns.port, [HEALTH, before, REFUSED, *[behind] * 100])
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert answers[-1].header("connection") == "close"
    assert json.loads(service.call("GET", "/domains")[1]) == ["dtk.io", "good.io"]


def test_what_comes_on_a_refused_connection_later_is_not_executed(service: Service) -> None:
    with connected(service.dtkdns.port) as (connection, stream):
        connection.sendall(REFUSED)
        assert [answer.status for answer in read_answers(stream)] == [400]
        connection.sendall(post("/domains", b"evil.io"))
        connection.shutdown(socket.SHUT_WR)
    service.is_served_again()
    assert json.loads(service.call("GET", "/domains")[1]) == ["dtk.io"]


def test_chunks_without_an_end_are_refused_when_they_are_too_many_also_for_records(service: Service) -> None:
    head = f"POST /records HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {MEDIA_TYPE}\r\n"
    data = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with connected(service.dtkdns.port) as (connection, stream):
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(data)
            sent += 1
            assert sent < 100, "more than the limit is taken"
        assert sent >= 64
        assert [answer.status for answer in read_answers(stream)] == [413]
    service.is_served_again()


# Clients that go away


def leave(connection: socket.socket) -> None:
    connection.close()


def leave_half(connection: socket.socket) -> None:
    """Say that no more follows, and wait until the other side has ended it, too."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass
    connection.close()


@pytest.mark.parametrize("end", [leave, leave_half, reset], ids=lambda end: end.__name__)
def test_a_client_that_goes_away_within_a_request_has_changed_nothing(
    end: Callable[[socket.socket], None], service: Service
) -> None:
    assert service.call("POST", "/records", created("kept.dtk.io").decode())[0] == 204
    before = service.hosts.read_bytes()
    for sent in (creation("evil.dtk.io"), post("/domains", b"evil.io")):
        for length in range(len(sent)):
            # From ever other addresses: connections that are not known to be closed yet are not in the way.
            with connect(service.dtkdns.port, f"127.0.2.{1 + length % 200}") as connection:
                connection.sendall(sent[:length])
                end(connection)
    service.is_served_again()
    with service.dtkdns.connection() as connection:
        assert [record["dnsName"] for record in records(connection)] == ["kept.dtk.io"]
        assert json.loads(call_over(connection, "GET", "/domains")[1]) == ["dtk.io"]
    assert service.hosts.read_bytes() == before


def test_a_client_that_goes_away_before_the_answer_has_made_its_changes(service: Service) -> None:
    for number in range(20):
        with connect(service.dtkdns.port, f"127.0.2.{1 + number}") as connection:
            connection.sendall(creation(f"a-{number}.dtk.io"))
    for number in range(20):
        service.comes_to_hold(f"a-{number}.dtk.io")


def test_a_client_that_resets_its_connection_has_changed_all_or_nothing(service: Service) -> None:
    names = [f"a-{number}.dtk.io" for number in range(50)]
    for number, name in enumerate(names):
        with connect(service.dtkdns.port, f"127.0.2.{1 + number}") as connection:
            connection.sendall(creation(name))
            reset(connection)
    service.is_served_again()
    assert service.call("POST", "/records", created("last.dtk.io").decode())[0] == 204
    service.comes_to_hold("last.dtk.io")
    with service.dtkdns.connection() as connection:
        stored = {record["dnsName"] for record in records(connection)}
    lines = service.hosts.read_text().splitlines()
    shown = {line.split()[1] for line in lines if line.startswith(ADDRESS)}
    assert stored == shown
    assert stored <= {*names, "last.dtk.io"}


@pytest.mark.parametrize("path", ["/healthz", "/domains", "/records"])
def test_a_client_that_sends_no_more_gets_its_answer(path: str, service: Service) -> None:
    sent = {
        "/healthz": HEALTH,
        "/domains": post("/domains", b"half.io"),
        "/records": creation("half.dtk.io"),
    }[path]
    for _ in range(20):
        with connected(service.dtkdns.port) as (connection, stream):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert [answer.status for answer in read_answers(stream)] == [204 if path == "/records" else 200]


def test_answers_that_nobody_reads_are_no_harm_to_others(service: Service) -> None:
    with opened(service.dtkdns.port, ["127.0.0.1"] * 8) as connections:
        for connection in connections:
            connection.setblocking(False)
            try:
                while True:
                    connection.send(HEALTH * 100)
            except BlockingIOError:
                pass
        assert service.call("POST", "/domains", "new.io")[0] == 200
        for connection in connections:
            reset(connection)
    service.is_served_again()


# Too slow


def dribble(port: int, start: bytes, drop: bytes) -> list[Answer]:
    """Send a start, then one drop after the other until there is an answer."""
    with connected(port) as (connection, stream):
        connection.sendall(start)
        until = time.monotonic() + SILENCE
        while not select.select([connection], [], [], 0.02)[0]:
            assert time.monotonic() < until, "a request may take for ever"
            connection.sendall(drop)
        return list(read_answers(stream))


RECORDS_HEAD = f"POST /records HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {MEDIA_TYPE}\r\n".encode()
DOMAINS_HEAD = b"POST /domains HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SLOW = {
    "nothing but a letter": (b"P", b"", 408),
    "the method": (b"P", b"O", 408),
    "the path": (b"POST /records", b"x", 408),
    "the headers": (DOMAINS_HEAD, b"X: x\r\n", 408),
    "one header": (DOMAINS_HEAD + b"X: ", b"x", 408),
    "a body": (DOMAINS_HEAD + b"Content-Length: 4000\r\n\r\n", b"x", 408),
    "the size of a chunk": (DOMAINS_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 408),
    "chunks": (DOMAINS_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 408),
    "trailers": (DOMAINS_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: x\r\n", 408),
    "a body that does not come": (DOMAINS_HEAD + b"Content-Length: 4000\r\n\r\n", b"", 408),
    "a TLS client's hello": (b"\x16\x03\x01\x02\x00", b"", 408),
    "lines of LF alone": (DOMAINS_HEAD.replace(b"\r\n", b"\n") + b"\n", b"", 408),
    "the headers of records": (RECORDS_HEAD, b"X: x\r\n", 503),
    "records": (RECORDS_HEAD + b"Content-Length: 60000\r\n\r\n", b" ", 503),
    "records in chunks": (RECORDS_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 503),
    "records of a cluster": (RECORDS_HEAD.replace(b" /", b" /clusters/lab/", 1), b"X: x\r\n", 503),
    "desired records": (RECORDS_HEAD.replace(b"/records", b"/adjustendpoints"), b"X: x\r\n", 503),
}


@pytest.mark.parametrize(("start", "drop", "status"), SLOW.values(), ids=list(SLOW))
@ensureDeferred
async def test_a_request_that_does_not_arrive_in_time_is_refused(
    start: bytes, drop: bytes, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "ARRIVAL_SECONDS", 0.3)
    async with running(tmp_path) as service:
        answers = await deferToThread(dribble, service.port, start, drop)
        assert [answer.status for answer in answers] == [status]
        assert (await service.call("GET", "/domains")).json() == ["dtk.io"]
        assert await service.records() == []


@ensureDeferred
async def test_a_request_that_begins_in_the_bytes_of_another_has_no_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "ARRIVAL_SECONDS", 0.3)
    async with running(tmp_path) as service:
        for first in (HEALTH, post("/domains", b"lab.io")):
            answers = await deferToThread(complete, service.port, first + b"GET /heal")
            assert [answer.status for answer in answers] == [200, 408]


def complete(port: int, sent: bytes) -> list[Answer]:
    with connected(port) as (connection, stream):
        connection.sendall(sent)
        return list(read_answers(stream))


def idle_beside_a_slow_one(port: int) -> tuple[list[Answer], list[Answer]]:
    """Answers to one that is idle before its request and after it, while another takes too long."""
    with connected(port) as (connection, stream):
        slow = dribble(port, b"P", b"")
        connection.sendall(HEALTH)
        first = read_answer(stream)
        assert first is not None
        slow += dribble(port, b"P", b"")
        connection.sendall(LAST)
        return slow, [first, *read_answers(stream)]


@ensureDeferred
async def test_an_idle_connection_has_more_time_than_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "ARRIVAL_SECONDS", 0.3)
    async with running(tmp_path) as service:
        slow, idle = await deferToThread(idle_beside_a_slow_one, service.port)
        assert [answer.status for answer in slow] == [408, 408]
        assert [answer.status for answer in idle] == [200, 200]


@pytest.mark.parametrize("sent", [b"", HEALTH], ids=["that never asks", "that has asked"])
@ensureDeferred
async def test_an_idle_connection_is_closed_without_a_word(
    sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    async with running(tmp_path) as service:
        before = list(log_lines)
        answers = await deferToThread(complete, service.port, sent)
        assert [answer.status for answer in answers] == ([200] if sent else [])
        assert log_lines == before
