"""What is true now of the whole service, as its parts say it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import cast

import pytest
from attrs import define, field
from pytest_twisted import ensureDeferred
from twisted.internet.task import Clock

from dtkdns import overview as overview_module
from dtkdns.cluster import Cluster
from dtkdns.dns.replies import Replies
from dtkdns.dns.server import DNSServer
from dtkdns.endpoint import Changes, Endpoint, make_endpoint
from dtkdns.hosts.writer import HostsWriter
from dtkdns.overview import Overview
from dtkdns.passes import Passes
from dtkdns.status import (
    ClusterStatus,
    ConflictStatus,
    DNSStatus,
    ExternalDNSStatus,
    HiddenStatus,
    HostsStatus,
    NameStatus,
    PartStatus,
    Readiness,
    ServiceStatus,
    StoreStatus,
    utc,
)
from dtkdns.store import StoreError
from test_provider import Parts, address

WRITTEN = datetime(2026, 11, 22, 12, 30, 5, tzinfo=UTC)
BLOCK = PartStatus("block", True, "agrees with the records")
STORE = PartStatus("store", True, "0 records")
DNS = PartStatus("dns", True, "at 127.0.0.1:5053")


@define
class Writer:
    """What a writer of the hosts file says of itself."""

    status: HostsStatus = field(factory=lambda: HostsStatus("/etc/hosts", "rename", WRITTEN))
    block: PartStatus = BLOCK

    def readiness(self) -> PartStatus:
        return self.block


@define
class Server:
    """What a DNS server says of itself."""

    status: DNSStatus = field(factory=lambda: DNSStatus(("127.0.0.1:5053",), serial=7))
    part: PartStatus = DNS
    replies: Replies = field(factory=lambda: Replies(Clock()))

    def readiness(self) -> PartStatus:
        return self.part


@define
class Overviewed:
    """A provider, a writer and a server that say what they are told to, and the overview of those there are."""

    parts: Parts
    writer: Writer = field(factory=Writer)
    dns: Server = field(factory=Server)
    faces: tuple[str, ...] = ("hosts",)
    overview: Overview = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.parts.load()
        writer = cast(HostsWriter, self.writer) if "hosts" in self.faces else None
        dns = cast(DNSServer, self.dns) if "dns" in self.faces else None
        self.overview = Overview(self.parts.provider, writer, dns, Passes(), self.parts.clock, "192.168.0.12")

    async def create(self, *endpoints: Endpoint, cluster: str = "default") -> None:
        await self.parts.provider.apply(cluster, Changes(create=endpoints))


@pytest.fixture
def service(tmp_path: Path) -> Overviewed:
    return Overviewed(Parts(tmp_path))


def record(name: str, kind: str, *targets: str, resource: str = "") -> Endpoint:
    labels = {"resource": resource} if resource else {}
    document = f"{name} {kind} {targets} {resource}".encode()
    return make_endpoint(name, kind, "", targets, 300, labels, document)


# Readiness


@pytest.mark.parametrize(
    ("status", "ok", "detail"),
    [
        (HostsStatus("/etc/hosts"), False, "not written yet"),
        (HostsStatus("/etc/hosts", failing="The disk is full."), False, "The disk is full."),
        (HostsStatus("/etc/hosts", "rename", WRITTEN, "Read-only."), False, "Read-only."),
        (
            HostsStatus("/etc/hosts", "rename", WRITTEN),
            True,
            "written by rename, as it should be at 2026-11-22 12:30:05 UTC",
        ),
        (
            HostsStatus("/etc/hosts", "in place (because the file has 2 hard links)", WRITTEN),
            True,
            "written in place (because the file has 2 hard links), as it should be at 2026-11-22 12:30:05 UTC",
        ),
        (HostsStatus("/etc/hosts", "", WRITTEN), True, "as it should be at 2026-11-22 12:30:05 UTC"),
    ],
)
def test_the_hosts_file_is_ready_once_it_is_as_it_should_be(
    service: Overviewed, status: HostsStatus, ok: bool, detail: str
) -> None:
    service.writer.status = status
    expected = Readiness(ok, (STORE, PartStatus("hosts file", ok, detail), BLOCK))
    assert service.overview.readiness() == expected


@ensureDeferred
async def test_the_service_is_ready_when_all_its_parts_are(service: Overviewed) -> None:
    assert service.overview.readiness().ready
    service.writer.block = PartStatus("block", False, "changed by others just now")
    assert service.overview.readiness().parts[2] == service.writer.block
    assert not service.overview.readiness().ready
    service.writer.block = BLOCK
    service.parts.store.failure = StoreError("The disk is full.")
    with pytest.raises(StoreError):
        await service.create(address("a.dtk.io"))
    assert service.overview.readiness().parts[0] == PartStatus("store", False, "The disk is full.")
    assert not service.overview.readiness().ready


@pytest.mark.parametrize("dns", [DNS, PartStatus("dns", False, "not listening")])
def test_the_dns_server_is_a_part_where_there_is_one(tmp_path: Path, dns: PartStatus) -> None:
    both = Overviewed(Parts(tmp_path), dns=Server(part=dns), faces=("hosts", "dns")).overview.readiness()
    assert [part.part for part in both.parts] == ["store", "hosts file", "block", "dns"]
    assert both.parts[3] == dns
    assert both.ready is dns.ok


def test_without_a_hosts_file_nothing_of_one_is_a_part(tmp_path: Path) -> None:
    assert Overviewed(Parts(tmp_path), faces=("dns",)).overview.readiness() == Readiness(True, (STORE, DNS))


# What is counted


@ensureDeferred
async def test_records_are_counted_by_cluster_and_type_as_they_are_now(service: Overviewed) -> None:
    def counts() -> dict[tuple[str, str], int]:
        return {(cluster, kind): count for cluster, kind, count in service.overview.records_by_type()}

    assert counts() == {}
    await service.create(address("a.dtk.io"), address("b.dtk.io"), record("a.dtk.io", "TXT", "x"))
    await service.create(address("a.dtk.io"), cluster="lab")
    assert counts() == {("default", "A"): 2, ("default", "TXT"): 1, ("lab", "A"): 1}
    await service.parts.provider.forget_name("default", "a.dtk.io")
    assert counts()["default", "A"] == 1
    await service.parts.provider.forget_cluster("default")
    assert counts() == {("lab", "A"): 1}


@ensureDeferred
async def test_what_takes_long_to_count_is_counted_once_for_each_value(
    service: Overviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Cluster] = []
    all_endpoints = Cluster.all_endpoints

    def counting(cluster: Cluster) -> Iterator[Endpoint]:
        counted.append(cluster)
        return all_endpoints(cluster)

    def unexpected(_name: str) -> bool:
        raise AssertionError("Names were counted again.")

    monkeypatch.setattr(Cluster, "all_endpoints", counting)
    await service.create(address("a.dtk.io"))
    for _ in range(3):
        assert len(list(service.overview.records_by_type())) == 1
        assert service.overview.names_by_cluster() == {"default": 1}
        monkeypatch.setattr(overview_module, "is_wildcard", unexpected)
    assert len(counted) == 1
    await service.create(address("a.dtk.io"), cluster="lab")
    with pytest.raises(AssertionError, match="again"):
        service.overview.names_by_cluster()
    list(service.overview.records_by_type())
    assert len(counted) == 2


@ensureDeferred
async def test_names_and_what_is_not_shown_are_counted(service: Overviewed) -> None:
    await service.parts.provider.add_domains("lab", ("lab.io",))
    await service.create(address("a.lab.io"), address("b.lab.io"), address("*.lab.io"), cluster="lab")
    await service.create(address("a.dtk.io"), record("a.dtk.io", "TXT", "x"), address("a.example"))
    assert service.overview.names_by_cluster() == {"lab": 2, "default": 1}
    assert service.overview.hidden_by_reason() == {"wildcard": 1, "type": 1, "unmanaged": 1}


@ensureDeferred
async def test_wildcards_resolve_where_there_is_a_dns_server(tmp_path: Path) -> None:
    service = Overviewed(Parts(tmp_path), faces=("hosts", "dns"))
    await service.create(address("a.dtk.io"), address("*.dtk.io"))
    assert service.overview.names_by_cluster() == {"default": 2}
    assert [one.name for one in service.overview.status().names] == ["*.dtk.io", "a.dtk.io"]
    assert service.overview.hidden_by_reason() == {"wildcard": 1}


# Everything


@ensureDeferred
async def test_conflicts_are_lines_of_the_users_other_clusters_and_fights(service: Overviewed) -> None:
    service.writer.status = HostsStatus("/etc/hosts", shadowed={"b.dtk.io": "10.1.1.1", "a.dtk.io": "10.2.2.2"})
    await service.parts.provider.add_domains("lab", ("dtk.io",))
    await service.create(address("c.dtk.io"))
    await service.create(address("c.dtk.io", "10.0.0.2"), cluster="lab")
    for _ in range(4):
        await service.create(address("d.dtk.io"))
        await service.parts.provider.apply("default", Changes(delete=(address("d.dtk.io"),)))
    theirs = "a line of your own in /etc/hosts says {}, and it wins"
    assert list(service.overview.conflicts()) == [
        ConflictStatus("a.dtk.io", "line", theirs.format("10.2.2.2")),
        ConflictStatus("b.dtk.io", "line", theirs.format("10.1.1.1")),
        ConflictStatus("c.dtk.io", "cluster", "cluster lab: cluster default had the name first and keeps it"),
        ConflictStatus(
            "d.dtk.io",
            "fight",
            "two external-dns undo each other's A record in cluster default: give each Kubernetes cluster a base"
            " of its own",
        ),
    ]


@ensureDeferred
async def test_the_status_is_everything_there_is_to_know(service: Overviewed) -> None:
    provider = service.parts.provider
    await provider.add_domains("lab", ("lab.io",))
    await provider.set_addresses("lab", ("10.9.9.9",))
    await service.create(record("a.lab.io", "CNAME", "x.example", resource="ingress/a/b"), cluster="lab")
    await service.create(address("*.dtk.io"), address("a.dtk.io"))
    service.overview.passes.note_pass("lab", "10.0.0.7", 1001.0)
    service.overview.passes.note_pass("default", "10.0.0.8", 1002.0)
    service.overview.passes.note_change("default", "10.0.0.8", 1003.0)
    service.overview.passes.note_pass("default", "10.0.0.8", 1012.0)
    assert service.overview.status() == ServiceStatus(
        version=version("dtkdns"),
        started=utc(1000),
        host="192.168.0.12",
        ready=service.overview.readiness(),
        store=StoreStatus(3),
        hosts=service.writer.status,
        dns=None,
        clusters=(
            ClusterStatus("default", ("dtk.io",), (), 2, 1),
            ClusterStatus("lab", ("lab.io",), ("10.9.9.9",), 1, 1),
        ),
        names=(
            NameStatus("a.dtk.io", ("10.0.0.1",), "default", "", 0, utc(1000)),
            NameStatus("a.lab.io", ("10.9.9.9",), "lab", "ingress/a/b", 300, utc(1000)),
        ),
        hidden=(
            HiddenStatus(
                "*.dtk.io", "A", "", "default", "wildcard", "a hosts file has no wildcards", ("hosts",), utc(1000)
            ),
        ),
        conflicts=(),
        external_dns=(
            ExternalDNSStatus("lab", "10.0.0.7", utc(1001), None, None),
            ExternalDNSStatus("default", "10.0.0.8", utc(1012), utc(1003), 10.0),
        ),
    )


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        (("hosts",), {"MX": ("data", ("hosts",)), "TXT": ("type", ("hosts",))}),
        (("dns",), {"MX": ("data", ("dns",))}),
        (("dns", "hosts"), {"MX": ("data", ("dns", "hosts")), "TXT": ("type", ("hosts",))}),
    ],
    ids=["hosts file", "DNS", "both"],
)
@ensureDeferred
async def test_a_hidden_record_tells_which_of_the_faces_that_there_are_do_not_show_it(
    tmp_path: Path, faces: tuple[str, ...], expected: dict[str, tuple[str, tuple[str, ...]]]
) -> None:
    service = Overviewed(Parts(tmp_path), faces=faces)
    await service.create(record("a.dtk.io", "MX", "nonsense"), record("a.dtk.io", "TXT", "x"))
    assert {one.type: (one.reason, one.faces) for one in service.overview.status().hidden} == expected
    assert service.overview.hidden_by_reason() == {reason: 1 for reason, _ in expected.values()}


@ensureDeferred
async def test_without_a_hosts_file_there_is_nothing_to_tell_of_one(tmp_path: Path) -> None:
    service = Overviewed(Parts(tmp_path), faces=("dns",))
    await service.create(address("a.dtk.io"))
    await service.parts.provider.add_domains("lab", ("dtk.io",))
    await service.create(address("a.dtk.io", "10.0.0.2"), cluster="lab")
    status = service.overview.status()
    assert status.hosts is None
    assert status.dns == service.dns.status
    assert [(one.name, one.kind) for one in status.conflicts] == [("a.dtk.io", "cluster")]
    assert service.overview.conflicts_by_kind() == {"line": 0, "cluster": 1, "fight": 0}
