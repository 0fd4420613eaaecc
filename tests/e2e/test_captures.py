"""Recorded traffic of the real external-dns, sent to the real service over one connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from process import call, dtkdns

CAPTURES = Path(__file__).with_name("captures")
HOSTS = b"# mine\r\n127.0.0.1\tlocalhost\n10.9.9.9 \xe9trange   # no newline at the end"
ADDRESS = "192.168.122.167"
ADDRESS_TYPES = {"A", "AAAA", "CNAME"}


def expected_lines(stored: list[dict[str, Any]]) -> list[bytes]:
    """The block's lines for these records, by the rules that the README gives."""
    resources = {
        record["dnsName"]: record["labels"]["resource"]
        for record in stored
        if record["recordType"] in ADDRESS_TYPES and not record["dnsName"].startswith("*")
    }
    managed = sorted(name for name in resources if name == "dtk.io" or name.endswith(".dtk.io"))
    return [f"{ADDRESS} {name} # {resources[name]}".encode() for name in managed]


def as_set(body: bytes | str) -> set[str]:
    return {json.dumps(record, sort_keys=True) for record in json.loads(body)}


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_calls_get_the_recorded_answers_and_the_file_follows(tmp_path: Path, capture: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(HOSTS)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--hosts-file", str(hosts)]
    with dtkdns(*options, "--state", str(tmp_path / "state")) as service, service.connection() as connection:
        connection.connect()
        socket = connection.sock
        assert call(connection, "POST", "/domains", b"dtk.io")[0] == 200
        assert call(connection, "POST", "/clusterip", ADDRESS.encode())[0] == 200
        stored: list[dict[str, Any]] = []
        for line in capture.read_text().splitlines():
            exchange = json.loads(line)
            headers = dict(exchange["headers"])
            connection.request(exchange["method"], exchange["path"], exchange["body"].encode() or None, headers)
            response = connection.getresponse()
            body = response.read()
            assert response.status == exchange["status"]
            if exchange["method"] == "GET" and exchange["path"] == "/records":
                assert as_set(body) == as_set(exchange["reply"])
                stored = json.loads(body)
            elif exchange["path"] == "/adjustendpoints":
                unmanaged = {name for name in as_set(exchange["reply"]) if "elsewhere.example.com" in name}
                assert as_set(body) == as_set(exchange["reply"]) - unmanaged
            elif exchange["method"] == "POST":
                stored = json.loads(call(connection, "GET", "/records")[1])
                written = hosts.read_bytes().removeprefix(HOSTS).splitlines()
                assert [line for line in written if not line.startswith(b"#") and line] == expected_lines(stored)
        assert call(connection, "POST", "/records", json.dumps({"delete": stored}))[0] == 204
        assert hosts.read_bytes() == HOSTS
        assert connection.sock is socket
        service.stop()
