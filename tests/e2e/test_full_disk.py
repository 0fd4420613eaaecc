"""Disks that are full or read-only while the service runs: a 503 that says why, and no damage."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from process import Dtkdns, Namespace, call, dtkdns, records

HOSTS = "127.0.0.1 localhost"


@contextmanager
def service_on_a_small_disk(directory: Path, disk: str) -> Iterator[tuple[Namespace, Dtkdns]]:
    """A service whose hosts file or state lies on a disk of one megabyte."""
    for name in ("hosts", "state"):
        (directory / name).mkdir()
    script = f"mount -t tmpfs -o size=1m tmpfs {directory}/{disk}\necho '{HOSTS}' > {directory}/hosts/hosts"
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io"]
    files = ["--hosts-file", f"{directory}/hosts/hosts", "--state", f"{directory}/state"]
    with Namespace(script) as namespace, dtkdns(*options, *files, prefix=namespace.prefix) as service:
        yield namespace, service
        service.stop()


def create(connection: http.client.HTTPConnection, name: str) -> tuple[int, bytes]:
    record = {"dnsName": name, "targets": ["10.0.0.1"], "recordType": "A", "labels": {"resource": "x" * 3000}}
    return call(connection, "POST", "/records", json.dumps({"create": [record]}))


def hosts(namespace: Namespace, directory: Path) -> list[str]:
    return namespace.run("cat", f"{directory}/hosts/hosts").stdout.splitlines()


@pytest.mark.namespace
def test_a_full_disk_under_the_records_changes_nothing_and_mends_itself(tmp_path: Path) -> None:
    with (
        service_on_a_small_disk(tmp_path, "state") as (namespace, service),
        service.connection() as connection,
    ):
        assert create(connection, "a.dtk.io")[0] == 204
        namespace.run("dd", "if=/dev/zero", f"of={tmp_path}/state/filler", "bs=4096")
        statuses = [create(connection, f"b{number}.dtk.io") for number in range(40)]
        refused = [body for status, body in statuses if status == 503]
        assert {status for status, _ in statuses} <= {204, 503}
        assert b"disk is full" in refused[-1] or b"disk I/O error" in refused[-1]
        assert call(connection, "POST", "/clusterip", b"10.9.9.9")[0] == 503
        stored = [record["dnsName"] for record in records(connection)]
        assert len(stored) == 41 - len(refused)
        shown = [line.split()[1] for line in hosts(namespace, tmp_path) if line.startswith("10.0.0.1")]
        assert shown == sorted(stored)
        namespace.run("rm", f"{tmp_path}/state/filler").check_returncode()
        assert create(connection, "c.dtk.io")[0] == 204
        assert call(connection, "POST", "/clusterip", b"10.9.9.9")[0] == 200


@pytest.mark.namespace
def test_a_full_disk_under_the_hosts_file_leaves_it_whole_and_is_mended_by_itself(tmp_path: Path) -> None:
    with (
        service_on_a_small_disk(tmp_path, "hosts") as (namespace, service),
        service.connection() as connection,
    ):
        namespace.run("dd", "if=/dev/zero", f"of={tmp_path}/hosts/filler", "bs=4096")
        status, body = create(connection, "a.dtk.io")
        assert status == 503
        assert b"stored, but not yet in the hosts file" in body
        assert b"disk is full" in body
        assert hosts(namespace, tmp_path) == [HOSTS]
        assert namespace.run("ls", "-A", f"{tmp_path}/hosts").stdout.split() == ["filler", "hosts"]
        namespace.run("rm", f"{tmp_path}/hosts/filler").check_returncode()
        mended = next(line for line in service.lines() if "The hosts file can be written again" in line)
        assert mended
        assert any(line.startswith("10.0.0.1 a.dtk.io") for line in hosts(namespace, tmp_path))


@pytest.mark.namespace
def test_a_read_only_file_system_is_a_503_and_is_mended_by_itself(tmp_path: Path) -> None:
    with (
        service_on_a_small_disk(tmp_path, "hosts") as (namespace, service),
        service.connection() as connection,
    ):
        namespace.run("mount", "-o", "remount,bind,ro", f"{tmp_path}/hosts").check_returncode()
        status, body = create(connection, "a.dtk.io")
        assert status == 503
        assert b"read-only" in body
        assert call(connection, "GET", "/")[0] == 200
        namespace.run("mount", "-o", "remount,bind,rw", f"{tmp_path}/hosts").check_returncode()
        assert next(line for line in service.lines() if "The hosts file can be written again" in line)


@pytest.mark.namespace
def test_a_state_directory_that_cannot_be_made_at_the_start_is_made_once_it_can_be(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "hosts").write_text(f"{HOSTS}\n")
    script = f"mount -t tmpfs -o size=1m tmpfs {disk}\nmount -o remount,bind,ro {disk}"
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--hosts-file", f"{tmp_path}/hosts"]
    with (
        Namespace(script) as namespace,
        dtkdns(*options, "--state", f"{disk}/state", prefix=namespace.prefix) as service,
        service.connection() as connection,
    ):
        assert call(connection, "GET", "/")[0] == 200
        assert create(connection, "a.dtk.io")[0] == 503
        namespace.run("mount", "-o", "remount,bind,rw", str(disk)).check_returncode()
        assert next(line for line in service.lines() if "records are stored" in line)
        assert create(connection, "a.dtk.io")[0] == 204
        service.stop()
