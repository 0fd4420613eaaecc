"""What dtkdns counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from dtkdns.cluster import DEFAULT
from dtkdns.overview import VERSION, Overview
from dtkdns.projection import Reason
from dtkdns.status import DNSStatus, HostsStatus

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
"""Further ones are counted together, and so are further record types: else a sender could make any number."""
RECORD_TYPES = frozenset({"A", "AAAA", "CNAME", "TXT", "SRV", "NS", "PTR", "MX", "NAPTR", "CAA"})


class Metrics:
    """No label holds a name or a peer."""

    def __init__(self, overview: Overview) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "dtkdns_http_requests",
            "Requests that were answered.",
            ["route", "method", "code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "dtkdns_http_request_duration_seconds",
            "From the last byte of a request to its answer.",
            ["route"],
            buckets=[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
            registry=self._registry,
        )
        self.refusals = Counter(
            "dtkdns_http_refusals", "Requests and connections refused.", ["reason"], registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(_State(overview))

    def answered(self, route: str, method: bytes, code: int, seconds: float) -> None:
        """Count a request."""
        known = method.decode("latin-1")
        self._requests.labels(route, known if known in METHODS else "other", str(code)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of them (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
        return generate_latest(self._registry)


class _State(Collector):
    """What is read when it is asked for."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the names are its own."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("dtkdns_build", "The version that runs.", {"version": VERSION})
        yield from self._records()
        yield from self._ready()
        if self._overview.hosts is not None:
            yield from self._hosts(self._overview.hosts)
        if self._overview.dns is not None:
            yield from self._dns(self._overview.dns)

    def _records(self) -> Iterator[Metric]:
        overview = self._overview
        endpoints = GaugeMetricFamily(
            "dtkdns_endpoints", "Records that are kept.", labels=["cluster", "record_type"]
        )
        counts: dict[tuple[str, str], int] = {}
        for cluster, record_type, count in overview.records_by_type():
            key = cluster, record_type if record_type in RECORD_TYPES else "other"
            counts[key] = counts.get(key, 0) + count
        for labels, count in counts.items():
            endpoints.add_metric(labels, count)
        yield endpoints
        names = GaugeMetricFamily("dtkdns_names", "Names that resolve.", labels=["cluster"])
        for cluster, count in ({DEFAULT: 0} | overview.names_by_cluster()).items():
            names.add_metric([cluster], count)
        yield names
        hidden = GaugeMetricFamily(
            "dtkdns_endpoints_not_shown", "Records that are kept but not shown.", labels=["reason"]
        )
        by_reason = overview.hidden_by_reason()
        for reason in Reason:
            hidden.add_metric([reason.word], by_reason[reason.word])
        yield hidden
        conflicts = GaugeMetricFamily(
            "dtkdns_conflicts", "Names that more than one wants to decide.", labels=["kind"]
        )
        for kind, count in overview.conflicts_by_kind().items():
            conflicts.add_metric([kind], count)
        yield conflicts
        passes = GaugeMetricFamily(
            "dtkdns_last_pass_timestamp_seconds", "Last pass of an external-dns.", labels=["cluster"]
        )
        latest: dict[str, float] = {}
        for one in overview.passes:
            latest[one.cluster] = max(one.last, latest.get(one.cluster, one.last))
        for cluster, last in latest.items():
            passes.add_metric([cluster], last)
        yield passes

    def _ready(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("dtkdns_ready", "Whether a part does what it should.", labels=["part"])
        for part in self._overview.readiness().parts:
            ready.add_metric([part.part.replace(" ", "_")], part.ok)
        yield ready

    def _hosts(self, hosts: HostsStatus) -> Iterator[Metric]:
        yield SummaryMetricFamily(
            "dtkdns_hosts_file_write_duration_seconds",
            "Successful edits of the hosts file, those that had nothing to change among them.",
            count_value=hosts.writes,
            sum_value=hosts.seconds,
        )
        for name, what, value in (
            ("write_failures", "Edits of the hosts file that failed.", hosts.failures),
            ("write_retries", "Edits of the hosts file that were tried again by themselves.", hosts.retries),
            ("foreign_edits", "Changes by others to the hosts file that were kept.", hosts.foreign_edits),
        ):
            yield CounterMetricFamily(f"dtkdns_hosts_file_{name}", what, value)
        last = GaugeMetricFamily(
            "dtkdns_hosts_file_last_success_timestamp_seconds",
            "When the hosts file was last known to be as it should.",
        )
        if hosts.written is not None:
            last.add_metric([], hosts.written.timestamp())
        yield last

    def _dns(self, dns: DNSStatus) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "dtkdns_dns_answers", "Answers to DNS questions.", labels=["record_type", "rcode"]
        )
        for tally in self._overview.dns_tallies:
            answers.add_metric([tally.type_name, tally.rcode_name], tally.fresh + tally.kept)
        yield answers
        for name, what, value in (
            ("kept_answers", "Answers that were kept in their bytes from before.", dns.kept_answers),
            (
                "refused",
                "Questions and connections of peers that may not ask, or ask too much at once.",
                dns.refused,
            ),
            ("dropped", "Messages that got no reply because they are none, or it could not be sent.", dns.dropped),
        ):
            yield CounterMetricFamily(f"dtkdns_dns_{name}", what, value)
