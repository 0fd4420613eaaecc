"""Requests that schemathesis makes from docs/openapi.yaml: valid ones, almost valid ones, and other methods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from process import MEDIA_TYPE, Dtkdns, dtkdns

EXAMPLES = os.environ.get("DTKDNS_TEST_EXAMPLES", "60")
"""For each operation, in the fuzzing phase."""
DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.yaml"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIGURATION = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503", "507"]
"""
"""Where a 5xx is documented is a matter of `status_code_conformance`."""
CONFORMANCE = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,allow_header_conformance"
)

MINE = b"127.0.0.1 localhost\r\n# a note of mine\n10.9.9.9 \xe9trange mine.dtk.io"
SECRET = "dtk:b2theCKsUyJD3d"  # noqa: S105
KEPT = [
    {
        "dnsName": "kept.dtk.io",
        "targets": ["kept.dtk.io"],
        "recordType": "CNAME",
        "labels": {"resource": "ingress/default/kept"},
    },
    {"dnsName": "mine.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"},
    {"dnsName": "*.dtk.io", "targets": ["10.0.0.1"], "recordType": "A", "setIdentifier": "x"},
]
NEW = {"dnsName": "new.dtk.io", "targets": ["10.0.0.1"], "recordType": "A", "recordTTL": 300}


@frozen
class Service:
    dtkdns: Dtkdns
    directory: Path
    headers: dict[str, str]
    """What a call needs to be served."""

    @property
    def hosts(self) -> bytes:
        return (self.directory / "hosts").read_bytes()

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """A call of an honest client."""
        with self.dtkdns.connection() as connection:
            connection.request(method, path, body, {"Content-Type": MEDIA_TYPE, **self.headers})
            response = connection.getresponse()
            return response.status, response.read()

    def records(self) -> list[dict[str, Any]]:
        status, body = self.call("GET", "/records")
        assert status == 200
        found: list[dict[str, Any]] = json.loads(body)
        return found

    def state(self) -> list[object]:
        """Everything that a stranger must not change."""
        return [self.hosts, *(self.call("GET", path) for path in ("/records", "/domains", "/clusterip"))]

    def serves_on(self) -> None:
        """Nobody else's line is touched, and an honest client's pass is as ever."""
        assert self.call("GET", "/healthz") == (200, b"ok\n")
        before = self.records()
        assert self.call("POST", "/adjustendpoints", json.dumps([NEW]))[0] == 200
        assert self.call("POST", "/records", json.dumps({"create": [NEW]})) == (204, b"")
        assert self.records() == [*before, NEW]
        assert b" new.dtk.io # external-dns\n" in self.hosts
        assert self.hosts.startswith(MINE + b"\n")
        assert b"mine.dtk.io" not in self.hosts.removeprefix(MINE)


@contextmanager
def service(directory: Path, *, credentials: bool = False) -> Iterator[Service]:
    """A dtkdns whose records are shown, hidden and in conflict; its log tells of no fault in the end."""
    (directory / "hosts").write_bytes(MINE)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--state", str(directory / "state")]
    headers = {}
    if credentials:
        (directory / "credentials").touch(0o600)
        (directory / "credentials").write_text(SECRET)
        options += ["--credentials", str(directory / "credentials")]
        headers["Authorization"] = f"Basic {b64encode(SECRET.encode()).decode()}"
    with dtkdns(*options, "--hosts-file", str(directory / "hosts")) as process:
        service = Service(process, directory, headers)
        assert service.call("POST", "/clusterip", "192.168.122.167")[0] == 200
        assert service.call("POST", "/records", json.dumps({"create": KEPT}))[0] == 204
        yield service
        process.stop()
        log = "".join(process.log)
        assert "Traceback" not in log, log
        assert "fault of dtkdns" not in log, log


def schemathesis(service: Service, checks: str, *options: str) -> None:
    """Make the same requests as ever, and these checks on every answer; a fault is shown with its request."""
    (service.directory / "schemathesis.toml").write_text(CONFIGURATION)
    command = [
        *(SCHEMATHESIS, "run", DESCRIPTION, f"--url=http://127.0.0.1:{service.dtkdns.port}"),
        *("--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}", "--generation-deterministic"),
        *("--continue-on-failure", "--warnings=off", "--no-color", f"--checks={checks}", *options),
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "promises",
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(service.directory / "hypothesis"),
        "NO_PROXY": "*",
    }
    run = subprocess.run(
        command, env=environment, cwd=service.directory, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_state_of_a_service_that_has_something_of_everything_is_as_described(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        running.serves_on()
        schemathesis(running, CONFORMANCE, "--include-path=/status", "--header=Accept:application/json")
        schemathesis(running, CONFORMANCE, "--include-path=/records", "--include-method=GET")
        status = json.loads(running.call("GET", "/status")[1])
        for part in ("clusters", "names", "hidden", "conflicts", "external_dns"):
            assert status[part], part


def test_every_answer_is_as_described_and_no_record_is_refused(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        schemathesis(running, f"{CONFORMANCE},takes_every_record")
        running.serves_on()


def test_with_credentials_and_for_programs_every_answer_is_as_described(tmp_path: Path) -> None:
    with service(tmp_path, credentials=True) as running:
        schemathesis(
            running, f"{CONFORMANCE},takes_every_record", f"--auth={SECRET}", "--header=Accept:application/json"
        )
        running.serves_on()


def test_without_credentials_every_call_is_refused_as_described_and_changes_nothing(tmp_path: Path) -> None:
    with service(tmp_path, credentials=True) as running:
        before = running.state()
        schemathesis(running, f"{CONFORMANCE},refuses_strangers")
        assert running.state() == before
        running.serves_on()
