"""The life of the process: what is lost (nothing) from one start to the next, and how it stops."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import treq
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from dtkdns import service as service_module
from dtkdns.hosts.inplace import Journal, Overwriting
from dtkdns.hosts.kernel import Kernel
from dtkdns.service import StartError
from dtkdns.state import StateError
from dtkdns.web import channel as channel_module
from dtkdns.wire import MEDIA_TYPE
from running import HOSTS, WEBHOOK, Running, endpoint, hang, make_service, running, until

FOO = endpoint("foo.dtk.io", "10.32.0.45", labels={"resource": "ingress/default/test"})
LINE = b"10.32.0.45 foo.dtk.io # ingress/default/test\n"


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


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
        while FOO not in json.loads(service.service._provider.records("default")):
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
