"""The life of the process: what is lost (nothing) from one start to the next, and how it stops."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import dns.message
import dns.rcode
import pytest
import treq
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from dtkdns import service as service_module
from dtkdns import tap
from dtkdns.dns.server import ListenError
from dtkdns.hosts.claim import HostsClaim
from dtkdns.hosts.inplace import Journal, Overwriting
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.replace import HostsFile
from dtkdns.service import StartError
from dtkdns.state import StateError
from dtkdns.web import channel as channel_module
from dtkdns.wire import MEDIA_TYPE
from running import HOSTS, WEBHOOK, Running, endpoint, hang, make_service, running, until

FOO = endpoint("foo.dtk.io", "10.32.0.45", labels={"resource": "ingress/default/test"})
LINE = b"10.32.0.45 foo.dtk.io # ingress/default/test\n"


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def is_free(port: int) -> bool:
    """Whether both ports of this number can be had on the loopback address."""
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def dns_ports(log_lines: list[str]) -> list[int]:
    """Those at which DNS has been answered, as the log says."""
    said = [line for line in log_lines if line.startswith("DNS for the managed domains at ")]
    return [int(port) for line in said for port in re.findall(r":(\d+)[, ]", line)]


def answers(message: dns.message.Message) -> list[str]:
    return [line for found in message.answer for line in found.to_text().splitlines()]


@ensureDeferred
async def test_a_restart_loses_nothing_and_checks_the_file(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        await first.call("POST", "/domains", b"lab.io")
        await first.call("POST", "/clusterip", b"192.168.122.167")
        await first.change(create=[FOO, endpoint("a.lab.io", "10.0.0.1", kind="TXT")])
        before = await first.records()
        shown = first.hosts
    (tmp_path / "hosts").write_bytes(HOSTS)
    async with running(tmp_path) as second:
        assert await second.records() == before
        assert (await second.call("GET", "/domains")).json() == ["dtk.io", "lab.io"]
        assert (await second.call("GET", "/clusterip")).json() == "192.168.122.167"
        await second.change(delete=[endpoint("none.dtk.io")])
        assert second.hosts == shown


@ensureDeferred
async def test_an_option_wins_over_what_was_posted_only_when_it_has_changed(tmp_path: Path) -> None:
    async def address(*options: str) -> str:
        async with running(tmp_path, *options) as service:
            answer: str = (await service.call("GET", "/clusterip")).json()
            return answer

    assert await address("--cluster-ip=10.0.0.1") == "10.0.0.1"
    async with running(tmp_path, "--cluster-ip=10.0.0.1") as service:
        await service.call("POST", "/clusterip", b"10.0.0.9")
    assert await address("--cluster-ip=10.0.0.1") == "10.0.0.9"
    assert await address("--cluster-ip=10.0.0.2") == "10.0.0.2"
    assert await address() == "10.0.0.2"


@ensureDeferred
async def test_a_corrupt_database_costs_nothing_that_external_dns_sends_again(
    tmp_path: Path, log_lines: list[str]
) -> None:
    async with running(tmp_path) as first:
        await first.change(create=[FOO])
        shown = first.hosts
    database = tmp_path / "state" / "records.sqlite"
    database.write_bytes(b"not a database" * 1000)
    async with running(tmp_path) as second:
        assert await second.records() == []
        await second.call("POST", "/domains", b"lab.io")
        assert second.hosts == shown
        assert any("was put aside as" in line for line in log_lines)
        assert len(list((tmp_path / "state").glob("records.sqlite.damaged-*"))) >= 1
        await second.change(create=[endpoint("bar.dtk.io", "10.0.0.2")])
        assert LINE not in second.hosts
        assert b"10.0.0.2 bar.dtk.io" in second.hosts


@ensureDeferred
async def test_a_hosts_file_that_cannot_be_written_is_a_503_and_mends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    def read_only(*_args: object) -> None:
        raise OSError(30, os.strerror(30))

    async with running(tmp_path) as service:
        with monkeypatch.context() as patch:
            patch.setattr(Kernel, "write", read_only)
            reply = await service.change(create=[FOO])
            assert reply.status == 503
            assert "read-only" in reply.text
            assert service.hosts == HOSTS
            assert await service.records() == [FOO]
            assert (await service.call("GET", "/")).status == 200
        while LINE not in service.hosts:
            await deferLater(reactor, 0.02)
    assert "The hosts file can be written again." in log_lines


@ensureDeferred
async def test_a_foreign_change_of_the_file_is_noticed_and_mended(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await service.change(create=[FOO])
        foreign = HOSTS + b"10.1.1.1 printer\n"
        (tmp_path / "hosts").write_bytes(foreign)
        while LINE not in service.hosts:
            await deferLater(reactor, 0.02)
        assert service.hosts.startswith(foreign)


@ensureDeferred
async def test_a_line_of_the_users_own_wins_while_it_stands(tmp_path: Path, log_lines: list[str]) -> None:
    (tmp_path / "hosts").write_bytes(HOSTS + b"10.1.1.1 foo.dtk.io\n")
    async with running(tmp_path) as service:
        assert (await service.change(create=[FOO])).status == 204
        assert LINE not in service.hosts
        (tmp_path / "hosts").write_bytes(HOSTS)
        while LINE not in service.hosts:
            await deferLater(reactor, 0.02)
    assert any(line.startswith("foo.dtk.io: a line of your own") for line in log_lines)


@ensureDeferred
async def test_a_call_that_takes_too_long_is_a_503_in_time_and_its_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtkdns.web.work.ANSWER_SECONDS", 0.05)
    async with running(tmp_path) as service:
        await service.change(create=[endpoint("first.dtk.io", "10.0.0.1")])
        slow = hang(monkeypatch)
        reply = await service.change(create=[FOO])
        assert reply.status == 503
        assert "goes on" in reply.text
        assert FOO in await service.records()
        slow.set()
        while LINE not in service.hosts:
            await deferLater(reactor, 0.02)


@ensureDeferred
async def test_what_fails_after_its_answer_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    def read_only(*_args: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("dtkdns.web.work.ANSWER_SECONDS", 0.05)
    async with running(tmp_path) as service:
        await service.change(create=[endpoint("first.dtk.io", "10.0.0.1")])
        slow = hang(monkeypatch)
        assert (await service.change(create=[FOO])).status == 503
        monkeypatch.setattr(Kernel, "write", read_only)
        slow.set()
        late = "A call that was answered before it was done has failed: "
        await until(lambda: any(line.startswith(late) and "read-only" in line for line in log_lines))


@ensureDeferred
async def test_stopping_answers_the_request_in_flight_and_closes_idle_connections(tmp_path: Path) -> None:
    pool = HTTPConnectionPool(reactor)
    async with running(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        await treq.content(await treq.get(url, pool=pool))
        body = json.dumps({"create": [FOO]}).encode()
        in_flight = treq.post(f"{url}/records", data=body, headers=WEBHOOK, persistent=False)
        while not any(channel.requests for channel in service.service._site._channels):
            await deferLater(reactor, 0)
        await service.service.stopService()
        assert (await in_flight).code == 204
    await pool.closeCachedConnections()


@ensureDeferred
async def test_a_stop_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]) -> None:
    monkeypatch.setattr(service_module, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(service_module, "DRAIN_SECONDS", 0.01)
    async with running(tmp_path) as service:
        await service.change(create=[endpoint("first.dtk.io", "10.0.0.1")])
        slow = hang(monkeypatch)
        unanswered = service.change(create=[FOO])
        answered = Deferred.fromCoroutine(unanswered)
        while FOO not in json.loads(await service.service._provider.records("default")):
            await deferLater(reactor, 0)
        await service.service.stopService()
        slow.set()
        await answered
        await service.service._provider.close()  # what the end of the process does otherwise
    assert any(line.startswith("Stopped after") for line in log_lines)


@ensureDeferred
async def test_a_second_one_on_the_same_state_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(SystemExit, match="Another dtkdns uses"):
            make_service(tmp_path, ())


@ensureDeferred
async def test_what_is_taken_between_the_check_and_the_start_is_refused_too(tmp_path: Path) -> None:
    late = make_service(tmp_path, ())
    async with running(tmp_path) as service:
        with pytest.raises(StateError):
            late.privilegedStartService()
        other = tmp_path / "other"
        other.mkdir()
        (other / "hosts").write_bytes(HOSTS)
        taken = make_service(other, ("--port", f"tcp:{service.port}:interface=127.0.0.1"))
        with pytest.raises(StartError, match="cannot be listened at"):
            taken.privilegedStartService()


@ensureDeferred
async def test_a_whole_top_level_name_as_domain_is_warned_of(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path, "--domains", "test") as service:
        await service.call("POST", "/domains", b"lan")
    for name in ("test", "lan"):
        assert any(line.startswith(f"{name} is a whole top-level name") for line in log_lines)


@ensureDeferred
async def test_a_request_that_stays_half_there_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "STOPPING_SECONDS", 0.05)
    async with running(tmp_path) as service:
        half = b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        answer = service.raw(half)
        waiting = Deferred.fromCoroutine(answer)
        while not any(channel.requests for channel in service.service._site._channels):
            await deferLater(reactor, 0)
        await service.service.stopService()
        assert (await waiting).startswith(b"HTTP/1.1 503 ")
    assert not (tmp_path / "state" / "records.sqlite-wal").exists()


@ensureDeferred
async def test_damage_is_remembered_over_a_restart_until_records_have_come(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        await first.change(create=[FOO])
        shown = first.hosts
    (tmp_path / "state" / "records.sqlite").write_bytes(b"not a database" * 1000)
    for _ in range(2):
        async with running(tmp_path) as again:
            assert await again.records() == []
        assert (tmp_path / "hosts").read_bytes() == shown
    async with running(tmp_path) as last:
        await last.change(create=[endpoint("bar.dtk.io", "10.0.0.2")])
        assert LINE not in last.hosts


@ensureDeferred
async def test_what_a_crash_left_is_removed_at_start_with_a_warning(tmp_path: Path, log_lines: list[str]) -> None:
    leftover = tmp_path / ".hosts.dtkdns-new-0123abcd"
    leftover.write_bytes(b"half")
    async with running(tmp_path):
        assert not leftover.exists()
    assert f"Removed {leftover}, which an interruption left behind." in log_lines


@ensureDeferred
async def test_a_write_in_place_that_a_kill_has_cut_is_finished_at_start(
    tmp_path: Path, log_lines: list[str]
) -> None:
    path = tmp_path / "hosts"
    os.makedirs(tmp_path / "state")
    Journal(str(tmp_path / "state/hosts.journal")).begin(Overwriting(str(path), 0, HOSTS, b"# new\n" + HOSTS))
    path.write_bytes(b"# new" + HOSTS[5:])
    async with running(tmp_path) as service:
        assert service.hosts == b"# new\n" + HOSTS
    assert f"Finished writing {path}, which was interrupted." in log_lines


@ensureDeferred
async def test_what_cannot_be_recovered_at_start_is_tried_again_with_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    def read_only(*_args: object) -> None:
        raise OSError(30, os.strerror(30))

    leftover = tmp_path / ".hosts.dtkdns-new-0123abcd"
    leftover.write_bytes(b"half")
    with monkeypatch.context() as patch:
        patch.setattr(Kernel, "unlink", read_only)
        service = make_service(tmp_path, ())
        (tmp_path / "hosts").write_bytes(HOSTS)
        service.privilegedStartService()
    try:
        assert any(line.endswith("It is tried again with the next write.") for line in log_lines)
        assert leftover.exists()
        service.startService()
        assert (await Running(service, tmp_path).change(create=[FOO])).status == 204
        assert not leftover.exists()
    finally:
        await service.stopService()


@ensureDeferred
async def test_a_dry_run_starts_from_what_is_stored_and_writes_nothing(
    tmp_path: Path, log_lines: list[str]
) -> None:
    async with running(tmp_path) as first:
        await first.change(create=[FOO])
    before = contents(tmp_path)
    async with running(tmp_path, "--dry-run") as second:
        assert await second.records() == [FOO]
        assert (await second.call("POST", "/domains", b"lab.io")).status == 200
        assert (await second.change(create=[endpoint("a.lab.io", "10.0.0.1")])).status == 204
    assert contents(tmp_path) == before
    assert "Would write: + 10.0.0.1 a.lab.io # external-dns" in log_lines


@ensureDeferred
async def test_the_announcement_says_what_goes_into_dtks_configuration(
    tmp_path: Path, log_lines: list[str]
) -> None:
    async with running(tmp_path) as service:
        port = service.port
    said = next(line for line in log_lines if line.startswith("dtkdns listens"))
    assert f"listens on port {port} of 127.0.0.1." in said
    assert "domain: dtk.io\n    host-ip: 127.0.0.1\n" in said
    assert said.endswith(f"webhook-port: {port}")


@ensureDeferred
async def test_every_address_and_a_unix_socket_are_announced(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path, "--port", "0"):
        pass
    async with running(tmp_path, "--port", f"unix:{tmp_path}/socket"):
        pass
    assert any("of every address" in line for line in log_lines)
    assert any(f"listens at unix:{tmp_path}/socket" in line for line in log_lines)


@ensureDeferred
async def test_a_request_that_is_half_there_at_the_stop_may_still_arrive(tmp_path: Path) -> None:
    body = json.dumps({"create": [FOO]}).encode()
    head = b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    async with running(tmp_path) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(head % (MEDIA_TYPE, len(body)) + body[:5])
            while not any(channel.requests for channel in service.service._site._channels):
                await deferLater(reactor, 0)
            stopped = service.service.stopService()
            connection.sendall(body[5:])
            await stopped
            answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert b" foo.dtk.io " in service.hosts


# DNS


@ensureDeferred
async def test_a_204_means_that_dns_answers_with_the_records_too(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        assert (await service.ask("foo.dtk.io")).rcode() == dns.rcode.NXDOMAIN
        await service.change(create=[FOO, endpoint("foo.dtk.io", "hello", kind="TXT", recordTTL=60)])
        assert answers(await service.ask("foo.dtk.io")) == ["foo.dtk.io. 5 IN A 10.32.0.45"]
        assert answers(await service.ask("foo.dtk.io", "TXT")) == ['foo.dtk.io. 60 IN TXT "hello"']
        await service.change(delete=[FOO])
        assert answers(await service.ask("foo.dtk.io")) == []
    async with running(tmp_path) as again:
        assert answers(await again.ask("foo.dtk.io", "TXT")) == ['foo.dtk.io. 60 IN TXT "hello"']
        assert (await again.ask("www.example.com")).rcode() == dns.rcode.REFUSED


@ensureDeferred
async def test_dns_is_answered_at_several_addresses_of_both_families(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path, "--dns", "127.0.0.1:0,[::1]:0,127.0.0.2:0") as service:
        await service.change(create=[FOO])
        assert answers(await service.ask("foo.dtk.io")) == ["foo.dtk.io. 5 IN A 10.32.0.45"]
        status = (await service.call("GET", "/status")).json()["dns"]
        ports = dns_ports(log_lines)
        assert status["addresses"] == [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}", f"127.0.0.2:{ports[2]}"]
        assert status["answers"] == 3


@ensureDeferred
async def test_without_dns_names_are_in_the_hosts_file(tmp_path: Path) -> None:
    async with running(tmp_path, "--dns", "off") as service:
        await service.change(create=[FOO, endpoint("*.dtk.io", "10.0.0.1")])
        assert LINE in service.hosts
        status = (await service.call("GET", "/status")).json()
    assert status["dns"] is None
    assert [part["part"] for part in status["ready"]["parts"]] == ["store", "hosts file", "block"]
    assert [name["name"] for name in status["names"]] == ["foo.dtk.io"]


@ensureDeferred
async def test_a_default_address_that_is_taken_leaves_a_service_that_keeps_the_hosts_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(tap, "DNS_DEFAULT", f"127.0.0.1:{other.getsockname()[1]}")
        made = tap.Options()
        own = [f"--state={tmp_path}/state", f"--hosts-file={tmp_path}/hosts"]
        made.parseOptions(["--port=tcp:0:interface=127.0.0.1", "--domains=dtk.io", *own])
        service = tap.makeService(made)
    service.privilegedStartService()
    service.startService()
    try:
        assert (await Running(service, tmp_path).change(create=[FOO])).status == 204
        assert LINE in (tmp_path / "hosts").read_bytes()
    finally:
        await service.stopService()


@ensureDeferred
async def test_a_stop_closes_the_ports_of_dns(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path):
        (port,) = dns_ports(log_lines)
        assert not is_free(port)
    assert is_free(port)


@ensureDeferred
async def test_a_start_that_fails_closes_the_ports_of_dns_and_lets_the_hosts_file_go(
    tmp_path: Path, log_lines: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        late = make_service(tmp_path, ("--port", f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"))
        with pytest.raises(StartError, match="cannot be listened at"):
            late.privilegedStartService()
    (port,) = dns_ports(log_lines)
    await until(lambda: is_free(port))
    claim = HostsClaim(str(tmp_path / "hosts"))
    claim.take()
    claim.release()


@pytest.mark.parametrize("without", [("--dns", "off"), ("--hosts-file", "none")], ids=["DNS", "a hosts file"])
@ensureDeferred
async def test_a_start_that_fails_without_one_of_the_two_is_the_same_sentence(
    tmp_path: Path, without: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap, "HOSTS_DEFAULT", str(tmp_path / "hosts"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        late = make_service(tmp_path, ("--port", f"tcp:{port}:interface=127.0.0.1", *without))
        with pytest.raises(StartError, match=f"tcp:{port}:interface=127.0.0.1 cannot be listened at"):
            late.privilegedStartService()
    await deferLater(reactor, 0)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # Twisted leaves a socket that it cannot bind
@ensureDeferred
async def test_an_address_for_dns_that_is_taken_after_the_check_is_one_sentence_and_lets_the_others_go(
    tmp_path: Path, kind: socket.SocketKind, foreground: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap, "check_listener", lambda _listener: None)
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.2", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        late = make_service(tmp_path, ("--dns", f"127.0.0.1:{port},127.0.0.2:{port}"))
        late._foreground = foreground
        sentence = rf"127\.0\.0\.2:{port} for DNS is taken: stop what answers there"
        with pytest.raises(SystemExit if foreground else ListenError, match=sentence):
            late.privilegedStartService()
    await until(lambda: is_free(port))
    claim = HostsClaim(str(tmp_path / "hosts"))
    claim.take()
    claim.release()


@pytest.fixture
def no_hosts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The option; whatever is done with a hosts file fails then, and the usual one is a scratch one."""

    def never(*_args: object) -> None:
        raise AssertionError("A hosts file was touched.")

    monkeypatch.setattr(tap, "HOSTS_DEFAULT", str(tmp_path / "etc-hosts"))
    monkeypatch.chdir(tmp_path)
    for method in ("edit", "recover", "signature"):
        monkeypatch.setattr(HostsFile, method, never)
    monkeypatch.setattr(HostsClaim, "take", never)
    return "--hosts-file", "none"


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["", "dry run"])
@ensureDeferred
async def test_without_a_hosts_file_dns_has_the_names_and_no_such_file_is_touched(
    tmp_path: Path, no_hosts_file: tuple[str, str], dry: tuple[str, ...], log_lines: list[str]
) -> None:
    async with running(tmp_path, *no_hosts_file, *dry) as service:
        assert (await service.change(create=[FOO, endpoint("*.dtk.io", "10.0.0.1")])).status == 204
        assert answers(await service.ask("foo.dtk.io")) == ["foo.dtk.io. 5 IN A 10.32.0.45"]
        assert answers(await service.ask("bar.dtk.io")) == ["bar.dtk.io. 5 IN A 10.0.0.1"]
        status = (await service.call("GET", "/status")).json()
        readiness = (await service.call("GET", "/readyz")).text
    assert status["hosts"] is None
    assert [name["name"] for name in status["names"]] == ["*.dtk.io", "foo.dtk.io"]
    assert re.fullmatch(r"store: ok, 2 records\ndns: ok, at 127\.0\.0\.1:\d+\n", readiness)
    assert set(os.listdir(tmp_path)) == ({"hosts"} if dry else {"hosts", "state"})
    assert service.hosts == HOSTS
    assert not [line for line in log_lines if "hosts file" in line]


@ensureDeferred
async def test_where_a_hosts_file_is_kept_no_longer_our_block_is_taken_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(tap, "HOSTS_DEFAULT", str(tmp_path / "hosts"))
    async with running(tmp_path) as first:
        await first.change(create=[FOO])
    assert LINE in (tmp_path / "hosts").read_bytes()
    async with running(tmp_path, "--hosts-file", "none", "--dry-run") as dry:
        assert LINE in dry.hosts
    async with running(tmp_path, "--hosts-file", "none") as second:
        assert second.hosts == HOSTS
        assert answers(await second.ask("foo.dtk.io")) == ["foo.dtk.io. 5 IN A 10.32.0.45"]
    async with running(tmp_path, "--hosts-file", "none"):
        pass
    said = f"{tmp_path}/hosts is kept no longer: the block of dtkdns is taken out."
    assert log_lines.count(said) == 1
    async with running(tmp_path) as again:
        await again.change(create=[endpoint("bar.dtk.io", "10.0.0.2")])
        assert LINE in again.hosts


@ensureDeferred
async def test_the_block_of_another_dtkdns_stays_where_no_hosts_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap, "HOSTS_DEFAULT", str(tmp_path / "hosts"))
    async with running(tmp_path) as other:
        await other.change(create=[FOO])
    before = (tmp_path / "hosts").read_bytes()
    async with running(tmp_path, "--hosts-file", "none", "--state", str(tmp_path / "state-of-its-own")):
        assert (tmp_path / "hosts").read_bytes() == before


@ensureDeferred
async def test_a_block_that_cannot_be_taken_out_is_warned_of_and_dns_answers_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    def read_only(*_args: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(tap, "HOSTS_DEFAULT", str(tmp_path / "hosts"))
    async with running(tmp_path) as first:
        await first.change(create=[FOO])
    monkeypatch.setattr(Kernel, "write", read_only)
    async with running(tmp_path, "--hosts-file", "none") as second:
        assert answers(await second.ask("foo.dtk.io")) == ["foo.dtk.io. 5 IN A 10.32.0.45"]
        assert LINE in second.hosts
    (line,) = [
        line for line in log_lines if line.endswith(f" Names that stand in {tmp_path}/hosts still win over DNS.")
    ]
    assert "read-only" in line
