"""What dtkdns shows of itself over HTTP: alive, ready and if not why, its figures, its whole state."""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import Event

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_twisted import ensureDeferred

from dtkdns.hosts import writer as writer_module
from dtkdns.hosts.kernel import Kernel
from dtkdns.hosts.watch import HostsWatch
from dtkdns.overview import VERSION
from dtkdns.store import SQLiteStore, StoreError
from running import WEBHOOK, Running, endpoint, hang, running, until

FOO = endpoint("foo.dtk.io", "10.0.0.1", labels={"resource": "ingress/default/test"}, recordTTL=300)
JSON = {"Accept": "text/html, Application/JSON"}


async def ready(service: Running) -> dict[str, str]:
    """The parts that are not as they should be, with the reason; both answers of /readyz must say the same."""
    plain, rich = await service.call("GET", "/readyz"), await service.call("GET", "/readyz", None, JSON)
    assert plain.headers.getRawHeaders(b"Content-Type") == [b"text/plain; charset=utf-8"]
    assert rich.headers.getRawHeaders(b"Content-Type") == [b"application/json"]
    said = rich.json()
    parts = said["parts"]
    assert [part["part"] for part in parts] == ["store", "hosts file", "block", "dns"]
    lines = [f"{part['part']}: {'ok' if part['ok'] else 'not ok'}, {part['detail']}\n" for part in parts]
    assert plain.text == "".join(lines)
    assert said["ready"] is all(part["ok"] for part in parts)
    assert plain.status == rich.status == (200 if said["ready"] else 503)
    assert (await service.call("GET", "/healthz")).status == 200
    return {part["part"]: part["detail"] for part in parts if not part["ok"]}


@ensureDeferred
async def test_a_service_that_runs_is_alive_and_says_that_it_is_ready_and_why(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        assert (await service.change(create=[FOO])).status == 204
        for path in ("/healthz", "/healthz/", "/healthz?a=b"):
            reply = await service.call("GET", path)
            assert (reply.status, reply.text) == (200, "ok\n")
        assert await ready(service) == {}
        store, hosts, block, dns = (await service.call("GET", "/readyz")).text.splitlines()
        assert store == "store: ok, 1 records"
        assert hosts.startswith("hosts file: ok, written by rename, as it should be at 20")
        assert hosts.endswith(" UTC")
        assert block == "block: ok, agrees with the records"
        assert re.fullmatch(r"dns: ok, at 127\.0\.0\.1:\d+", dns)
        assert (await service.call("HEAD", "/readyz")).body == b""
        for path in ("/healthz", "/readyz", "/metrics", "/status"):
            assert (await service.call("POST", path)).status == 405
            assert (await service.call("GET", f"/clusters/default{path}")).status == 404


@ensureDeferred
async def test_a_service_whose_store_cannot_be_read_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_store: SQLiteStore) -> None:
        raise StoreError("The disk cannot be read.")

    monkeypatch.setattr(SQLiteStore, "load", unreadable)
    async with running(tmp_path) as service:
        why = await ready(service)
        assert why["store"] == "The disk cannot be read. dtkdns tries again every 5 s."
        assert why["hosts file"] == "not written yet"
        assert why["dns"].startswith("waits for records: ")


@ensureDeferred
async def test_a_service_that_cannot_commit_is_not_ready_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise StoreError("The disk is full.")

    async with running(tmp_path) as service:
        await service.change(create=[FOO])
        with monkeypatch.context() as patch:
            patch.setattr(SQLiteStore, "commit", full)
            assert (await service.change(delete=[FOO])).status == 503
        assert await ready(service) == {"store": "The disk is full."}
        assert (await service.change(delete=[FOO])).status == 204
        assert await ready(service) == {}


@ensureDeferred
async def test_a_service_that_cannot_write_the_hosts_file_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_args: object) -> None:
        raise OSError(30, os.strerror(30))

    async with running(tmp_path) as service:
        await service.change(create=[FOO])
        with monkeypatch.context() as patch:
            patch.setattr(Kernel, "write", read_only)
            assert (await service.change(create=[endpoint("b.dtk.io", "10.0.0.1")])).status == 503
            why = await ready(service)
            assert set(why) == {"hosts file", "block"}
            assert "read-only" in why["hosts file"]


@ensureDeferred
async def test_a_block_that_is_held_after_damage_is_not_ready_until_records_come(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        await service.change(create=[FOO])
    (tmp_path / "state" / "records.sqlite").write_bytes(b"not a database" * 1000)
    async with running(tmp_path) as service:
        why = await ready(service)
        assert why["block"] == "left as it is until external-dns has sent its records again"
        assert why["dns"] == "waits for records: what is not known is answered with SERVFAIL"
        await service.change(create=[FOO])
        assert await ready(service) == {}


@ensureDeferred
async def test_a_block_that_others_have_changed_is_not_ready_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostsWatch, "start", lambda _self: None)
    async with running(tmp_path) as service:
        await service.change(create=[FOO])
        (tmp_path / "hosts").write_bytes(b"127.0.0.1 localhost\n")
        assert await ready(service) == {"block": "changed by others just now"}
        await service.change(create=[endpoint("b.dtk.io", "10.0.0.1")])
        assert await ready(service) == {}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Event:
    """The disk under the hosts file hangs until this is set, and each write that does is slow."""
    monkeypatch.setattr(writer_module, "SLOW_SECONDS", -1.0)
    return hang(monkeypatch)


@ensureDeferred
async def test_a_slow_write_is_not_ready_until_it_is_done(tmp_path: Path, slow: Event) -> None:
    async with running(tmp_path) as service:
        try:
            why = await ready(service)
            assert why["block"] == "being written for 0 s: is the disk overloaded?"
        finally:
            slow.set()
        await service.change(create=[FOO])
        assert service.service._hosts is not None
        writer = service.service._hosts.writer
        await until(lambda: writer._writing is None)
        assert await ready(service) == {}


@ensureDeferred
async def test_a_dry_run_is_ready_too(tmp_path: Path) -> None:
    async with running(tmp_path, "--dry-run") as service:
        await service.change(create=[FOO])
        assert await ready(service) == {}


@ensureDeferred
async def test_the_status_is_the_whole_state(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"10.1.1.1 theirs.dtk.io\n")
    async with running(tmp_path, "--cluster-ip=10.9.9.9") as service:
        hidden = endpoint("*.dtk.io", "10.0.0.1", setIdentifier="eu")
        desired = b"[]"
        await service.call("POST", "/adjustendpoints", desired, WEBHOOK)
        await service.change(create=[FOO, hidden, endpoint("theirs.dtk.io", "10.0.0.1")])
        reply = await service.call("GET", "/status")
        again = (await service.call("GET", "/readyz", None, JSON)).json()
    assert reply.headers.getRawHeaders(b"Content-Type") == [b"application/json"]
    status = reply.json()
    assert status["version"] == VERSION
    assert status["ready"] == again
    assert status["store"] == {"records": 3, "failing": ""}
    since = status["names"][0]["since"]
    for time in (status["started"], status["hosts"]["written"], since, status["external_dns"][0]["last_pass"]):
        assert time.endswith("Z")
    assert status["hosts"].pop("writes") >= 2
    for figure in ("written", "seconds"):
        status["hosts"].pop(figure)
    assert status["hosts"] == {
        "path": str(tmp_path / "hosts"),
        "way": "rename",
        "failing": "",
        "held": False,
        "shadowed": {"theirs.dtk.io": "10.1.1.1"},
        "failures": 0,
        "retries": 0,
        "foreign_edits": 0,
    }
    assert status["dns"].pop("serial") > 0
    (address,) = status["dns"].pop("addresses")
    assert address.startswith("127.0.0.1:")
    assert status["dns"] == {"held": False, "answers": 0, "kept_answers": 0, "refused": 0, "dropped": 0}
    assert status["clusters"] == [
        {"name": "default", "domains": ["dtk.io"], "addresses": ["10.9.9.9"], "records": 3, "names": 3}
    ]
    assert [one["name"] for one in status["names"]] == ["*.dtk.io", "foo.dtk.io", "theirs.dtk.io"]
    assert status["names"][1] == {
        "name": "foo.dtk.io",
        "addresses": ["10.9.9.9"],
        "cluster": "default",
        "resource": "ingress/default/test",
        "ttl": 300,
        "since": since,
    }
    assert status["hidden"] == [
        {
            "name": "*.dtk.io",
            "type": "A",
            "set_identifier": "eu",
            "cluster": "default",
            "reason": "wildcard",
            "sentence": "a hosts file has no wildcards",
            "faces": ["hosts"],
            "since": since,
        }
    ]
    assert [(one["name"], one["kind"]) for one in status["conflicts"]] == [("theirs.dtk.io", "line")]
    (one,) = status["external_dns"]
    assert (one["cluster"], one["peer"]) == ("default", "127.0.0.1")
    assert one["last_change"] >= one["last_pass"]
    assert one["interval"] is None
    assert status["host"] == ""


@ensureDeferred
async def test_the_metrics_are_in_prometheus_own_text_format(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        reply = await service.call("GET", "/metrics")
    assert reply.headers.getRawHeaders(b"Content-Type") == [b"text/plain; version=0.0.4; charset=utf-8"]
    families = {family.name for family in text_string_to_metric_families(reply.text)}
    assert {"dtkdns_build", "dtkdns_ready", "process_open_fds"} <= {
        name.removesuffix("_info") for name in families
    }
