"""What the pictures and the tests of the screens show: one cluster, and names that are well or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import evolve

from dtkdns.cli.way import NAMESERVER, OWN_DNS, STUB, SYSTEM, Answer, Facts, Line, Record
from dtkdns.status import (
    ClusterStatus,
    DNSStatus,
    ExternalDNSStatus,
    HiddenStatus,
    HostsStatus,
    NameStatus,
    PartStatus,
    Readiness,
    ServiceStatus,
    StoreStatus,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ADDRESS = "192.168.122.167"

HEALTHY = ServiceStatus(
    version="0.1.0",
    started=NOW - timedelta(hours=3, minutes=59),
    host="",
    ready=Readiness(True, (PartStatus("store", True, "2 records"),)),
    store=StoreStatus(2),
    hosts=HostsStatus("/etc/hosts", "rename", NOW),
    dns=DNSStatus(("127.0.0.1:5053",), answers=7),
    clusters=(ClusterStatus("default", ("dtk.io",), (ADDRESS,), 2, 1),),
    names=(
        NameStatus("foo.dtk.io", (ADDRESS,), "default", "ingress/default/test", 0, NOW - timedelta(minutes=2)),
    ),
    hidden=(HiddenStatus("a-foo.dtk.io", "TXT", "", "default", "ownership", "a note", ("dns", "hosts")),),
    conflicts=(),
    external_dns=(ExternalDNSStatus("default", ADDRESS, NOW - timedelta(seconds=2), None, 1.0),),
)
"""One name, and all is as it should be."""

PICTURED = evolve(
    HEALTHY,
    clusters=(ClusterStatus("default", ("dtk.io",), (ADDRESS,), 5, 2),),
    names=(
        NameStatus("bar.dtk.io", (ADDRESS,), "default", "ingress/default/bar", 0, NOW - timedelta(hours=2)),
        *HEALTHY.names,
    ),
    dns=DNSStatus(("127.0.0.1:5053",), answers=41),
)
"""The same with a second name."""

WELL = Facts(
    "foo.dtk.io",
    HEALTHY,
    (Record("default", "CNAME", ("foo.dtk.io",), "ingress/default/test"),),
    (Line(7, f"{ADDRESS} foo.dtk.io # ingress/default/test", False),),
    (Answer(SYSTEM, (ADDRESS,)), Answer(OWN_DNS, (ADDRESS,), at="127.0.0.1:5053")),
    frozenset({(ADDRESS, 443), (ADDRESS, 80)}),
    "Put 'files' in front.",
    NOW,
)
"""A name with which all is well."""

SHADOWED = evolve(
    WELL,
    status=evolve(HEALTHY, hosts=evolve(HEALTHY.hosts, shadowed={"foo.dtk.io": "10.0.0.7"})),
    lines=(Line(9, "10.0.0.7  foo.dtk.io  # try the old machine", True),),
    answers=(
        Answer(SYSTEM, ("10.0.0.7",)),
        Answer(OWN_DNS, (ADDRESS,), at="127.0.0.1:5053"),
        Answer(STUB, ("10.0.0.7",), at="127.0.0.53:53"),
        Answer(NAMESERVER, (), "there is no such name (NXDOMAIN)", at="192.168.0.1:53"),
    ),
)
"""A name for which a line of the user's own stands in the hosts file."""
