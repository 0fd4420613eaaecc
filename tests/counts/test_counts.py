"""What one call costs, counted: no figure here depends on how fast a machine is.

The bounds are fixed; beside each stands what was counted when it was set.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from dtkdns import projection, provider, wire
from dtkdns.hosts import text, writer
from dtkdns.store import SQLiteStore
from dtkdns.web import webhook
from process import call
from running import HOSTS, WEBHOOK, endpoint, running

from .traced import Trace, traced

NAMES = 10_000
LINE = len(b"10.32.0.45 app-000000.dtk.io # ingress/default/app-000000\n")
MARKERS = 400
"""Bytes that the two lines around the block have at most."""


def records(numbers: range, target: str) -> list[dict[str, Any]]:
    """What external-dns sends for Ingresses: an A record for each, and behind them their ownership TXTs."""
    addresses, ownership = [], []
    for number in numbers:
        name, resource = f"app-{number:06}.dtk.io", f"ingress/default/app-{number:06}"
        heritage = f'"heritage=external-dns,external-dns/owner=default,external-dns/resource={resource}"'
        owner = {"owner": "default", "resource": resource}
        addresses.append(endpoint(name, target, labels=owner))
        ownership.append(endpoint(f"a-{name}", heritage, kind="TXT", labels={"ownedRecord": name}))
    return [*addresses, *ownership]


LOAD = {"create": records(range(NAMES), "10.32.0.45")}
ONE = range(NAMES // 2, NAMES // 2 + 1)
DESIRED = json.dumps(LOAD["create"][:NAMES]).encode()


def moved(old: str, new: str) -> dict[str, list[dict[str, Any]]]:
    """One name gets another address."""
    return {"updateOld": records(ONE, old), "updateNew": records(ONE, new)}


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """A load, a change, two quiet passes, the move of every name, and the load again, which says nothing new."""
    directory = tmp_path_factory.mktemp("traced")
    (directory / "hosts").write_bytes(HOSTS)
    files = ("--hosts-file", f"{directory}/hosts", "--state", f"{directory}/state")
    own = ("--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io")
    with traced(directory, *own, *files) as (service, found):
        with service.connection() as connection:

            def done(method: str, path: str, body: bytes | None = None) -> None:
                assert call(connection, method, path, body)[0] in {200, 204}

            done("POST", "/records?load", json.dumps(LOAD).encode())
            done("POST", "/records?first", json.dumps(moved("10.32.0.45", "10.32.0.46")).encode())
            done("POST", "/records?change", json.dumps(moved("10.32.0.46", "10.32.0.47")).encode())
            for number in (1, 2):
                done("GET", f"/records?{number}")
                done("POST", f"/adjustendpoints?{number}", DESIRED)
            done("POST", "/records?nothing", json.dumps(moved("10.32.0.46", "10.32.0.47")).encode())
            done("POST", "/clusterip", b"192.168.122.167")
        service.stop()
    return found.result()


CHANGE = "POST /records?change", "HTTP/1.1 204"


def test_one_change_waits_for_the_disk_three_times(trace: Trace) -> None:
    found = trace.between(*CHANGE)
    assert found.synced()[:2] == ["records.sqlite-wal", "new hosts"]
    assert len(found.synced()) == 3  # and for the directory of the hosts file


def test_one_change_writes_the_hosts_file_once_and_two_pages_of_the_database(trace: Trace) -> None:
    written = trace.between(*CHANGE).written()
    assert NAMES * LINE < written["new hosts"] < NAMES * LINE + MARKERS  # 580,253
    assert written["records.sqlite-wal"] <= 5 * (4096 + 24)  # two frames


def test_one_change_makes_a_bounded_number_of_system_calls(trace: Trace) -> None:
    calls = trace.between(*CHANGE).calls()
    assert calls.total() <= 95  # 74, of which some tell in how many pieces inotify had its events
    assert calls["openat"] <= 6  # 6
    assert calls["pread64"] <= 4  # 4
    assert calls["renameat2"] == 1


def test_a_load_waits_for_the_disk_four_times_and_writes_the_hosts_file_once(trace: Trace) -> None:
    found = trace.between("POST /records?load", "HTTP/1.1 204")
    assert len(found.synced()) <= 4  # 4: a new log of the database is waited for twice
    assert NAMES * LINE < found.written()["new hosts"] < NAMES * LINE + MARKERS  # 580,253
    assert found.written()["records.sqlite-wal"] <= 5_000_000  # 4,474,352


def test_the_move_of_every_name_writes_the_hosts_file_once_and_no_record(trace: Trace) -> None:
    found = trace.between("POST /clusterip", "HTTP/1.1 200")
    assert found.synced()[:3] == ["posted.json.new", "state", "new hosts"]
    assert len(found.synced()) == 4  # and the directory of the hosts file
    assert NAMES * LINE < found.written()["new hosts"] < NAMES * (LINE + 5) + MARKERS  # 630,253
    assert found.written()["records.sqlite-wal"] == 0


def test_a_quiet_pass_writes_nothing_and_waits_for_no_disk(trace: Trace) -> None:
    for asked in ("GET /records?2", "POST /adjustendpoints?2"):
        found = trace.between(asked, "HTTP/1.1 200")
        assert found.synced() == []
        assert not found.written()
        assert found.calls().total() - found.calls()["recvfrom"] <= 12  # 3, and 7


def test_a_change_that_says_nothing_new_writes_nothing_to_a_disk(trace: Trace) -> None:
    found = trace.between("POST /records?nothing", "HTTP/1.1 204")
    assert found.synced() == []
    assert not found.written()


class Counted:
    """Counts the calls of a function, which does what it did."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work = work
        self.count = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return self._work(*args, **kwargs)

    def since(self) -> int:
        """The calls since this was asked last."""
        found, self.count = self.count, 0
        return found


class CountedDecoder:
    """A decoder whose calls are counted: its own attributes cannot be replaced."""

    def __init__(self, decoder: Any) -> None:
        self.decode = Counted(decoder.decode)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Counted:
    found = Counted(getattr(module, name))
    monkeypatch.setattr(module, name, found)
    return found


@ensureDeferred
async def test_a_change_is_decoded_computed_and_rendered_for_what_it_names_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = CountedDecoder(wire._endpoint)
    monkeypatch.setattr(wire, "_endpoint", decoder)
    computed = counted(monkeypatch, projection, "_compute")
    rendered = counted(monkeypatch, writer, "make_entry")
    async with running(tmp_path) as service:
        assert (await service.change(**LOAD)).status == 204
        assert (decoder.decode.since(), computed.since(), rendered.since()) == (2 * NAMES, 2 * NAMES, NAMES)
        assert (await service.change(**moved("10.32.0.45", "10.32.0.46"))).status == 204
        assert (decoder.decode.since(), computed.since(), rendered.since()) == (4, 1, 1)
        assert (await service.change(**moved("10.32.0.45", "10.32.0.46"))).status == 204
        assert (decoder.decode.since(), computed.since(), rendered.since()) == (4, 0, 0)


@ensureDeferred
async def test_a_move_of_every_name_renders_each_once_and_decodes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as service:
        assert (await service.change(**LOAD)).status == 204
        decoder = CountedDecoder(wire._endpoint)
        monkeypatch.setattr(wire, "_endpoint", decoder)
        computed = counted(monkeypatch, projection, "_compute")
        rendered = counted(monkeypatch, writer, "make_entry")
        assert (await service.call("POST", "/clusterip", b"192.168.122.167")).status == 200
        assert (decoder.decode.since(), computed.since(), rendered.since()) == (0, NAMES, NAMES)


@ensureDeferred
async def test_the_records_are_put_together_once_after_a_change_however_often_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = counted(monkeypatch, provider, "encoding_endpoints")
    async with running(tmp_path) as service:
        assert (await service.change(**LOAD)).status == 204
        assert encoded.since() == 0
        for _ in range(3):
            assert len(await service.records()) == 2 * NAMES
        assert encoded.since() == 1
        assert (await service.change(**moved("10.32.0.45", "10.32.0.46"))).status == 204
        for _ in range(3):
            await service.records()
        assert encoded.since() == 1


@ensureDeferred
async def test_desired_endpoints_are_decoded_once_and_not_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = CountedDecoder(wire._endpoint)
    monkeypatch.setattr(wire, "_endpoint", decoder)
    async with running(tmp_path) as service:
        encoded = counted(monkeypatch, webhook, "encoding_endpoints")
        reply = await service.call("POST", "/adjustendpoints", DESIRED, WEBHOOK)
        assert reply.body == DESIRED
        assert (decoder.decode.since(), encoded.since()) == (NAMES, 0)


@ensureDeferred
async def test_a_change_puts_its_rows_with_four_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    connect = SQLiteStore._open

    def listen(store: SQLiteStore) -> sqlite3.Connection:
        connection = connect(store)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(SQLiteStore, "_open", listen)
    async with running(tmp_path) as service:
        assert (await service.change(**LOAD)).status == 204
        statements.clear()
        assert (await service.change(**moved("10.32.0.45", "10.32.0.46"))).status == 204
        assert [statement.split()[0] for statement in statements] == ["BEGIN", "INSERT", "DELETE", "COMMIT"]


@ensureDeferred
async def test_the_lines_of_others_are_read_again_only_when_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as service:
        assert (await service.change(**LOAD)).status == 204
        before = text.names_of.cache_info().misses
        assert (await service.change(**moved("10.32.0.45", "10.32.0.46"))).status == 204
        assert text.names_of.cache_info().misses == before
