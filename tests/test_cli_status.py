"""What `dtkdns status` says, as a person sees it in a terminal of 80 columns."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from dtkdns.cli.status import MANY, ago, faults, notes, show
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
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
HEALTHY = ServiceStatus(
    version="0.1.0",
    started=NOW - timedelta(hours=3, minutes=59),
    ready=Readiness(True, (PartStatus("store", True, "2 records"),)),
    store=StoreStatus(2),
    hosts=HostsStatus("/etc/hosts", "rename", NOW),
    dns=DNSStatus(("127.0.0.1:5053",), answers=7),
    clusters=(ClusterStatus("default", ("dtk.io",), ("192.168.122.167",), 2, 1),),
    names=(
        NameStatus(
            "foo.dtk.io", ("192.168.122.167",), "default", "ingress/default/test", 0, NOW - timedelta(minutes=2)
        ),
    ),
    hidden=(HiddenStatus("a-foo.dtk.io", "TXT", "", "default", "ownership", "a note", ("dns", "hosts")),),
    conflicts=(),
    external_dns=(ExternalDNSStatus("default", "192.168.122.167", NOW - timedelta(seconds=2), None),),
)


def hidden(number: int, *faces: str, reason: str = "unmanaged") -> HiddenStatus:
    return HiddenStatus(f"n{number}.io", "A", "", "default", reason, "it lies in none of the domains", faces)


def seen(status: ServiceStatus, **how: Any) -> str:
    out = io.StringIO()
    show(Console(file=out, width=80, **how), status, "http://127.0.0.1:5000", NOW)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def test_a_healthy_service_has_no_complaint_and_fits_the_terminal() -> None:
    assert (
        seen(HEALTHY)
        == """\
dtkdns 0.1.0 at http://127.0.0.1:5000, running for 3 h

All is as it should be.

Cluster  Domains  Address          Names  Records  external-dns
default  dtk.io   192.168.122.167  1      2        2 s ago

Hosts file  /etc/hosts
DNS         127.0.0.1:5053; 7 answers

Name        Address          From                  Since
foo.dtk.io  192.168.122.167  ingress/default/test  2 min
"""
    )


def test_nothing_that_anybody_has_named_is_taken_for_markup_and_only_a_terminal_gets_colour() -> None:
    name = evolve(HEALTHY.names[0], resource="[red]x[/red] :smile:")
    assert "[red]x[/red] :smile:" in seen(evolve(HEALTHY, names=(name,)))
    assert "\x1b[" not in seen(HEALTHY)
    assert "\x1b[32mAll is as it should be." in seen(HEALTHY, force_terminal=True, color_system="standard")


def test_what_is_wrong_comes_first() -> None:
    wrong = evolve(
        HEALTHY,
        ready=Readiness(False, (PartStatus("hosts file", False, "The disk is full."),)),
        hosts=evolve(HEALTHY.hosts, failing="The disk is full."),
        hidden=(hidden(1, "dns", "hosts"),),
    )
    lines = seen(wrong).splitlines()
    assert lines[2] == "! hosts file: The disk is full."
    assert lines[3] == "- n1.io (A) is not shown: it lies in none of the domains."
    assert "Hosts file  /etc/hosts, not as it should be" in lines


@pytest.mark.parametrize(
    ("cluster", "fault"),
    [
        (
            ClusterStatus("lab", (), ("10.0.0.1",), 1, 0),
            "Cluster lab has no managed domain, so none of its names is shown: --domains, or POST /domains.",
        ),
        (
            ClusterStatus("lab", ("lab.io",), (), 1, 0),
            "The address of cluster lab is not known: --cluster-ip, or POST /clusterip.",
        ),
    ],
)
def test_a_cluster_that_nothing_can_be_shown_of_is_a_fault(cluster: ClusterStatus, fault: str) -> None:
    assert list(faults(evolve(HEALTHY, clusters=(cluster,)))) == [fault]


def test_conflicts_are_faults_said_each_or_by_their_number() -> None:
    def conflicts(number: int) -> list[str]:
        found = tuple(ConflictStatus(f"n{at}.io", "line", "a line of yours wins") for at in range(number))
        return list(faults(evolve(HEALTHY, conflicts=found)))

    assert conflicts(1) == ["n0.io: a line of yours wins."]
    assert len(conflicts(MANY)) == MANY
    assert conflicts(MANY + 1) == [f"{MANY + 1} names are in conflict: --json lists them."]


def test_what_one_of_two_faces_shows_is_no_note_and_what_none_shows_is_one() -> None:
    some = (hidden(1, "hosts"), hidden(2, "dns", "hosts"), hidden(3, "dns", "hosts", reason="ownership"))
    said = "n2.io (A) is not shown: it lies in none of the domains."
    assert list(notes(evolve(HEALTHY, hidden=some))) == [said]
    assert len(list(notes(evolve(HEALTHY, dns=None, hidden=some[:1])))) == 1
    assert list(faults(evolve(HEALTHY, hidden=some))) == []


def test_what_is_off_or_not_there_is_said() -> None:
    bare = evolve(HEALTHY, hosts=None, dns=None, names=(), external_dns=())
    said = seen(bare)
    assert "Hosts file  none is kept\nDNS         off\n" in said
    assert "not seen yet" in said
    assert "Since" not in said
    silent = evolve(HEALTHY, dns=DNSStatus(), hosts=evolve(HEALTHY.hosts, way="in place, because of links"))
    assert "Hosts file  /etc/hosts, written in place\nDNS         not listening; 0 answers\n" in seen(silent)
    empty = evolve(HEALTHY, clusters=(ClusterStatus("default", (), (), 0, 0),))
    assert "default  none     not known  0" in seen(empty)


def test_names_of_several_clusters_say_which() -> None:
    other = evolve(HEALTHY.names[0], name="bar.lab.io", cluster="lab")
    said = seen(evolve(HEALTHY, names=(*HEALTHY.names, other)))
    assert "lab ingress/default/test" in said
    assert "default ingress/default/test" in said


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_a_time_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert ago(timedelta(seconds=seconds)) == said
