"""The figures of a service that has met everything, as Prometheus' own tool reads them."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dtkdns.web.paths import ROUTES
from process import MEDIA_TYPE, Dtkdns, dtkdns

SECRET = "dtk:b2theCKsUyJD3d"  # noqa: S105
HOSTS = b"127.0.0.1 localhost\n10.9.9.9 mine.dtk.io\n"
WEBHOOK = {"Content-Type": MEDIA_TYPE}
CLUSTERS = {"default", "lab", "silent"}
WORDS = {
    *("dtk", "mine", "foo", "quarrel", "printer", "lonely", "secret", "identified", "SECRETTYPE"),
    *("ingress", "object", "fd00", "feed"),
}
"""What the names, addresses and records are made of that are sent."""
OTHER = ("127.0.0.2", 0)
"""Where a peer calls from that opens too many connections."""
VERSIONS = {"version", "major", "minor", "patchlevel", "le"}
"""Labels whose values have points though they are no names."""


def record(name: str, *targets: str, kind: str = "A", **more: Any) -> dict[str, Any]:
    return {
        "dnsName": name,
        "targets": targets,
        "recordType": kind,
        "labels": {"resource": "ingress/object/x"},
        **more,
    }


RECORDS = [
    record("foo.dtk.io", "10.32.0.1", setIdentifier="identified"),
    record("foo.dtk.io", "fd00::feed", kind="AAAA"),
    record("mine.dtk.io", "foo.dtk.io", kind="CNAME"),
    record("a-foo.dtk.io", '"heritage=external-dns"', kind="TXT"),
    record("*.dtk.io", "10.32.0.1"),
    record("secret_printer.dtk.io", "10.32.0.1"),
    record("printer.example", "10.32.0.1"),
    record("lonely.dtk.io", "lonely", kind="SECRETTYPE"),
]


class Client:
    """Makes calls and sees that they are answered as they should be."""

    def __init__(self, service: Dtkdns, headers: dict[str, str]) -> None:
        self._service = service
        self._headers = headers

    def call(
        self, expected: int, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> str:
        with self._service.connection() as connection:
            connection.request(method, path, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            answer = response.read().decode()
        assert response.status == expected, (method, path, answer)
        return answer

    def change(self, expected: int = 204, base: str = "", **lists: list[dict[str, Any]]) -> None:
        self.call(expected, "POST", f"{base}/records", json.dumps(lists), WEBHOOK)


def pass_of_external_dns(client: Client) -> None:
    """Every call of the webhook and of management, in two clusters, and two external-dns that undo each other."""
    for base in ("", "/clusters/lab"):
        client.call(200, "GET", base or "/")
        client.call(200, "POST", f"{base}/domains", "dtk.io")
        client.call(200, "POST", f"{base}/domains", "lonely.printer.example")
        client.call(200, "POST", f"{base}/clusterip", "10.32.0.7,fd00::feed")
        client.call(200, "GET", f"{base}/records")
        client.call(200, "POST", f"{base}/adjustendpoints", json.dumps(RECORDS), WEBHOOK)
        client.change(base=base, create=RECORDS)
        client.call(200, "GET", f"{base}/domains")
        client.call(200, "GET", f"{base}/clusterip")
        client.call(200, "DELETE", f"{base}/domains/lonely.printer.example")
    client.call(200, "POST", "/clusters/silent/adjustendpoints", "[]", WEBHOOK)
    client.call(200, "POST", "/clusters/gone/domains", "dtk.io")
    client.call(200, "DELETE", "/clusters/gone")
    for _ in range(4):
        client.change(create=[record("quarrel.dtk.io", "10.32.0.1")])
        client.change(delete=[record("quarrel.dtk.io", "10.32.0.1")])
    client.call(200, "DELETE", "/names/lonely.dtk.io")
    client.call(200, "DELETE", "/clusters/lab/names/lonely.dtk.io")


def what_is_asked_beside(client: Client) -> None:
    for path in ("/healthz", "/status", "/readyz", "/metrics", "/domains", "/clusterip", "/records", "/"):
        client.call(200, "GET", path)
        client.call(200, "HEAD", path)


def failing_write(client: Client, hosts: Path) -> None:
    """A directory in the place of the hosts file."""
    away = hosts.with_name("away")
    hosts.rename(away)
    hosts.mkdir()
    client.change(503, create=[record("foo.dtk.io", "10.32.0.2")])
    client.call(503, "GET", "/readyz")
    hosts.rmdir()
    away.rename(hosts)


def refusals(client: Client, service: Dtkdns) -> None:
    """All that can be had without waiting, and from one's own machine."""
    client.call(400, "POST", "/records", "{", WEBHOOK)
    client.call(400, "GET", "/records", headers={"Host": "foo dtk io"})
    client.call(403, "GET", "/records", headers={"Origin": "http://foo.dtk.io"})
    client.call(404, "GET", "/foo.dtk.io")
    client.call(404, "GET", "/records/%2F")
    client.call(405, "PROPFIND", "/records")
    client.call(405, "LONELY", "/names/foo.dtk.io")
    client.call(413, "POST", "/domains", "foo.dtk.io," * 1000)
    client.call(415, "POST", "/records", "{}", {"Content-Type": "text/plain"})
    client.call(421, "GET", "/status", headers={"Host": "foo.dtk.io"})
    client.call(431, "GET", "/records", headers={"X-Printer": "foo.dtk.io" * 2000})
    with ExitStack() as connections:
        for _ in range(40):
            connections.enter_context(socket.create_connection(("127.0.0.1", service.port), source_address=OTHER))
        while "connections" not in "".join(service.log):
            next(service.lines())


def figures(client: Client) -> str:
    """What a scrape gets."""
    return client.call(200, "GET", "/metrics")


def faults(text: str) -> str:
    """What promtool says of the figures; nothing when they are right."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail("This test needs promtool: install the Debian package prometheus.")
    run = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    said = run.stdout + run.stderr
    return said if run.returncode == 0 else f"{said}(exit status {run.returncode})"


def labels(text: str) -> list[tuple[str, str]]:
    """Every label of every sample, with its value."""
    return [
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels.items()
    ]


def no_label_tells_of_anybody(text: str) -> None:
    for label, value in labels(text):
        assert not WORDS & set(re.split(r"[^A-Za-z0-9]", value)), (label, value)
        if label == "cluster":
            assert value in CLUSTERS
        elif label not in VERSIONS:
            assert re.fullmatch(r"[A-Za-z0-9_/<>-]*", value), (label, value)


def values(text: str, name: str) -> set[str]:
    """Those of one label."""
    return {value for label, value in labels(text) if label == name}


@pytest.mark.parametrize("credentials", [False, True], ids=["open", "with credentials"])
def test_the_figures_of_a_service_that_has_met_everything_are_right_and_tell_of_nobody(
    tmp_path: Path, credentials: bool
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(HOSTS)
    options = [
        "--port",
        "tcp:0:interface=127.0.0.1",
        "--hosts-file",
        str(hosts),
        "--state",
        str(tmp_path / "state"),
    ]
    headers = {}
    if credentials:
        (tmp_path / "credentials").touch(0o600)
        (tmp_path / "credentials").write_text(SECRET)
        options += ["--credentials", str(tmp_path / "credentials")]
        headers["Authorization"] = f"Basic {b64encode(SECRET.encode()).decode()}"
    with dtkdns(*options) as service:
        client = Client(service, headers)
        assert faults(figures(client)) == ""
        pass_of_external_dns(client)
        what_is_asked_beside(client)
        refusals(client, service)
        if credentials:
            Client(service, {}).call(401, "GET", "/records")
            Client(service, {"Authorization": "Basic lonely"}).call(401, "GET", "/foo.dtk.io")
        failing_write(client, hosts)
        text = figures(client)
        service.stop()
    assert faults(text) == ""
    no_label_tells_of_anybody(text)
    expected = {"body", "connections", "malformed", "media_type", "origin", "host", "path", "size"}
    assert values(text, "route") == ROUTES | {"other"}
    assert values(text, "reason") >= expected | ({"credentials"} if credentials else set())
    assert 'dtkdns_conflicts{kind="fight"} 1.0' in text
    assert 'dtkdns_conflicts{kind="line"} 1.0' in text


def test_the_figures_of_a_service_that_takes_no_orders_are_right(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(HOSTS)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--allow-management", "none"]
    with dtkdns(*options, "--hosts-file", str(tmp_path / "hosts"), "--state", str(tmp_path / "state")) as service:
        client = Client(service, {})
        client.call(403, "DELETE", "/names/foo.dtk.io")
        client.call(403, "POST", "/domains", "foo.dtk.io")
        text = figures(client)
        service.stop()
    assert faults(text) == ""
    no_label_tells_of_anybody(text)
    assert "management" in values(text, "reason")
