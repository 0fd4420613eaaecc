"""The figures: right after known calls, and with labels that nobody outside can make up."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_twisted import ensureDeferred
from twisted.names import dns

from dtkdns.dns.replies import Tally
from dtkdns.hosts.writer import HostsWriter
from dtkdns.overview import VERSION, Overview
from dtkdns.passes import Passes
from dtkdns.projection import Reason
from dtkdns.rdata import CAA
from dtkdns.status import DNSStatus, HostsStatus
from dtkdns.web.metrics import METHODS, RECORD_TYPES, Metrics
from running import WEBHOOK, Running, endpoint, running
from test_overview import WRITTEN, Overviewed, Writer, record
from test_provider import Parts, address

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def figures(text: bytes) -> Figures:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(found: Figures, name: str) -> dict[str, float]:
    """The samples of a name, by the values of their labels."""
    samples = {labels: number for (other, labels), number in found.items() if other == name}
    return {" ".join(value for _, value in labels): number for labels, number in samples.items()}


@pytest.fixture
def service(tmp_path: Path) -> Overviewed:
    return Overviewed(Parts(tmp_path))


@pytest.fixture
def metrics(service: Overviewed) -> Metrics:
    return Metrics(service.overview)


async def measured(service: Running) -> Figures:
    return figures((await service.call("GET", "/metrics")).body)


def test_requests_are_counted_by_route_method_and_code_with_their_time(metrics: Metrics) -> None:
    metrics.answered("/records", b"GET", 200, 0.002)
    metrics.answered("/records", b"GET", 200, 0.2)
    metrics.answered("/records", b"POST", 503, 9.0)
    found = figures(metrics.text())
    assert of(found, "dtkdns_http_requests_total") == {"200 GET /records": 2, "503 POST /records": 1}
    assert of(found, "dtkdns_http_request_duration_seconds_count") == {"/records": 3}
    assert of(found, "dtkdns_http_request_duration_seconds_sum") == {"/records": pytest.approx(9.202)}
    assert found["dtkdns_http_request_duration_seconds_bucket", (("le", "0.25"), ("route", "/records"))] == 2


def test_methods_that_are_made_up_are_counted_together(metrics: Metrics) -> None:
    for number in range(100):
        metrics.answered("other", b"METHOD%d\xff" % number, 405, 0.0)
    for method in METHODS:
        metrics.answered("other", method.encode(), 405, 0.0)
    expected = {"405 other other": 100.0} | {f"405 {method} other": 1.0 for method in METHODS}
    assert of(figures(metrics.text()), "dtkdns_http_requests_total") == expected


@ensureDeferred
async def test_record_types_that_are_made_up_are_counted_together(service: Overviewed, metrics: Metrics) -> None:
    made_up = [record(f"a{number}.dtk.io", f"TYPE{number}", "x") for number in range(100)]
    await service.create(*made_up, *[record("a.dtk.io", kind, "x") for kind in sorted(RECORD_TYPES)])
    expected = {"default other": 100.0} | {f"default {kind}": 1.0 for kind in RECORD_TYPES}
    assert of(figures(metrics.text()), "dtkdns_endpoints") == expected


@ensureDeferred
async def test_the_state_is_read_when_it_is_asked_for(service: Overviewed, metrics: Metrics) -> None:
    service.writer.status = HostsStatus(
        "/etc/hosts",
        "rename",
        WRITTEN,
        "The disk is full.",
        shadowed={"a.dtk.io": "10.1.1.1"},
        writes=7,
        seconds=1.5,
        failures=3,
        retries=2,
        foreign_edits=4,
    )
    await service.create(address("a.dtk.io"), address("*.dtk.io"))
    await service.create(address("a.dtk.io"), cluster="lab")
    for cluster, peer, now in (
        ("default", "10.0.0.1", 5.0),
        ("default", "10.0.0.2", 9.0),
        ("lab", "10.0.0.1", 7.0),
    ):
        service.overview.passes.note_pass(cluster, peer, now)
    service.overview.passes.note_change("default", "10.0.0.1", 10.0)
    found = figures(metrics.text())
    assert of(found, "dtkdns_build_info") == {VERSION: 1}
    assert of(found, "dtkdns_endpoints") == {"default A": 2, "lab A": 1}
    assert of(found, "dtkdns_names") == {"default": 1}
    hidden = {reason.word: 0.0 for reason in Reason} | {"wildcard": 1, "unmanaged": 1}
    assert of(found, "dtkdns_endpoints_not_shown") == hidden
    assert of(found, "dtkdns_conflicts") == {"line": 1, "cluster": 0, "fight": 0}
    assert of(found, "dtkdns_last_pass_timestamp_seconds") == {"default": 9, "lab": 7}
    assert of(found, "dtkdns_ready") == {"store": 1, "hosts_file": 0, "block": 1}
    assert of(found, "dtkdns_hosts_file_write_duration_seconds_count") == {"": 7}
    assert of(found, "dtkdns_hosts_file_write_duration_seconds_sum") == {"": 1.5}
    assert of(found, "dtkdns_hosts_file_write_failures_total") == {"": 3}
    assert of(found, "dtkdns_hosts_file_write_retries_total") == {"": 2}
    assert of(found, "dtkdns_hosts_file_foreign_edits_total") == {"": 4}
    assert of(found, "dtkdns_hosts_file_last_success_timestamp_seconds") == {"": WRITTEN.timestamp()}
    await service.parts.provider.forget_cluster("lab")
    assert of(figures(metrics.text()), "dtkdns_endpoints") == {"default A": 2}


def test_before_anything_happened_there_is_no_time_of_a_success(service: Overviewed) -> None:
    writer = cast(HostsWriter, Writer(HostsStatus("/etc/hosts")))
    found = figures(Metrics(Overview(service.parts.provider, writer, None, Passes(), service.parts.clock)).text())
    assert of(found, "dtkdns_hosts_file_last_success_timestamp_seconds") == {}
    assert of(found, "dtkdns_names") == {"default": 0}
    assert "process_resident_memory_bytes" in {name for name, _ in found}
    assert not [name for name, _ in found if name.endswith("_created")]


def test_dns_answers_are_counted_by_type_and_code_and_nothing_of_a_hosts_file_where_none_is_kept(
    tmp_path: Path,
) -> None:
    service = Overviewed(Parts(tmp_path), faces=("dns",))
    service.dns.status = DNSStatus(("127.0.0.1:5053",), answers=9, kept_answers=4, refused=3, dropped=2)
    counted = [Tally(dns.A, dns.OK, 1, 4), Tally(dns.A, dns.ENAME, 2), Tally(0, dns.EFORMAT, 1), Tally(CAA, 16, 1)]
    service.dns.replies.tallies.update({(tally.record_type, tally.rcode): tally for tally in counted})
    found = figures(Metrics(service.overview).text())
    assert of(found, "dtkdns_dns_answers_total") == {
        "NOERROR A": 5,
        "NXDOMAIN A": 2,
        "FORMERR other": 1,
        "BADVERS CAA": 1,
    }
    assert of(found, "dtkdns_dns_kept_answers_total") == {"": 4}
    assert of(found, "dtkdns_dns_refused_total") == {"": 3}
    assert of(found, "dtkdns_dns_dropped_total") == {"": 2}
    assert of(found, "dtkdns_ready") == {"store": 1, "dns": 1}
    assert of(found, "dtkdns_conflicts") == {"line": 0, "cluster": 0, "fight": 0}
    assert not [name for name, _ in found if name.startswith("dtkdns_hosts_file")]


def test_without_a_dns_server_there_are_no_figures_of_one(metrics: Metrics) -> None:
    assert not [name for name, _ in figures(metrics.text()) if name.startswith("dtkdns_dns")]


@ensureDeferred
async def test_what_a_service_answered_and_refused_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for _ in range(2):
            await service.change(create=[endpoint("a.dtk.io", "10.0.0.1")])
        await service.call("POST", "/clusters/lab/records", b"nonsense", WEBHOOK)
        await service.call("GET", "/status", None, {"Host": "evil.example"})
        await service.call("DELETE", "/names/none.dtk.io")
        await service.raw(b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found = await measured(service)
        again = await measured(service)
    assert of(found, "dtkdns_http_requests_total") == {
        "204 POST /records": 2,
        "400 POST /records": 1,
        "421 GET /status": 1,
        "404 GET other": 1,
        "404 DELETE /names/<name>": 1,
    }
    assert of(found, "dtkdns_http_refusals_total") == {"body": 1, "host": 1, "path": 1}
    assert of(again, "dtkdns_http_requests_total")["200 GET /metrics"] == 1
    assert of(found, "dtkdns_endpoints") == {"default A": 1}
    assert of(found, "dtkdns_names") == {"default": 1}


@ensureDeferred
async def test_no_label_holds_a_name_or_a_peer(tmp_path: Path) -> None:
    async with running(tmp_path, "--domains", "dtk.io,secret.example") as service:
        created = [endpoint("secret.dtk.io", "10.11.12.13"), endpoint("*.secret.example", "x", kind="SECRET")]
        created.append(endpoint("secret.example.com", "10.11.12.13", labels={"resource": "ingress/secret/secret"}))
        await service.change(create=created)
        for path in ("/secret", "/domains/secret.io", "/names/secret.io", "/records?secret", "/clusters/-/secret"):
            for method in ("GET", "DELETE", "SECRET"):
                await service.call(
                    method, path, headers={"Host": "secret.example", "Origin": "http://secret.example"}
                )
                await service.call(method, path)
        reply = await service.call("GET", "/metrics")
    assert b"secret" not in reply.body.lower()
    for peer in (b"127.0.0.1", b"10.11.12.13"):
        assert peer not in reply.body
