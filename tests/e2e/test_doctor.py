"""`dtkdns doctor` as a process: on this machine as it is, and where the hosts file is a scratch one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from process import call, dtkdns, scratch_etc

COMMAND = str(Path(sys.executable).with_name("dtkdns"))
FOO = {"dnsName": "foo.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"}
OPTIONS = ("--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--cluster-ip", "192.0.2.7")


def typed(port: int, *words: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DTKDNS_URL": f"http://127.0.0.1:{port}", "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(
        [*(prefix or []), COMMAND, "doctor", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


@pytest.mark.namespace
def test_beside_a_healthy_service_there_is_no_fault_and_for_programs_the_same_is_said(tmp_path: Path) -> None:
    with (
        scratch_etc(tmp_path, b"127.0.0.1 localhost\n") as namespace,
        dtkdns(*OPTIONS, "--state", f"{tmp_path}/state", prefix=namespace.prefix) as service,
        service.connection() as connection,
    ):
        assert call(connection, "POST", "/records", json.dumps({"create": [FOO]}))[0] == 204
        seen = typed(service.port, prefix=namespace.prefix)
        assert (seen.returncode, seen.stderr) == (0, "")
        assert "ok hosts file /etc/hosts has what it should: 1 name." in " ".join(seen.stdout.split())
        assert max(map(len, seen.stdout.splitlines())) <= 80
        found = json.loads(typed(service.port, "--json", prefix=namespace.prefix).stdout)
    assert found["well"] is True
    rows = [line.split()[0] for line in seen.stdout.splitlines()[:-2] if not line.startswith(" ")]
    assert [one["level"] for one in found["findings"]] == rows


@pytest.mark.namespace
def test_a_hosts_file_that_is_not_as_it_should_be_is_exit_status_1(tmp_path: Path) -> None:
    with (
        scratch_etc(tmp_path, b"127.0.0.1 localhost\n") as namespace,
        dtkdns(*OPTIONS, "--state", f"{tmp_path}/state", "--dry-run", prefix=namespace.prefix) as service,
        service.connection() as connection,
    ):
        assert call(connection, "POST", "/records", json.dumps({"create": [FOO]}))[0] == 204
        seen = typed(service.port, prefix=namespace.prefix)
    assert (seen.returncode, seen.stderr) == (1, "")
    assert "Does dtkdns run with --dry-run" in " ".join(seen.stdout.split())
    assert "1 fault" in seen.stdout.splitlines()[-1]


def test_a_service_that_does_not_answer_is_a_fault_and_the_machine_is_looked_at_all_the_same() -> None:
    seen = typed(1)
    assert (seen.returncode, seen.stderr) == (1, "")
    assert "No answer from http://127.0.0.1:1" in " ".join(seen.stdout.split())
    assert {"lookup order", "browsers", "firewall"} <= {
        one["check"] for one in json.loads(typed(1, "--json").stdout)["findings"]
    }


def test_the_command_has_its_help() -> None:
    seen = typed(1, "--help")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.startswith("Usage: dtkdns doctor")
