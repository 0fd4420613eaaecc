"""What `dtkdns status` says, as a person sees it in a terminal of 80 columns."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from dtkdns.cli.status import MANY, MOST_NAMES, ago, faults, notes, screen
from dtkdns.status import (
    ClusterStatus,
    ConflictStatus,
    DNSStatus,
    HiddenStatus,
    PartStatus,
    Readiness,
    ServiceStatus,
)
from examples import ADDRESS, HEALTHY, NOW


def hidden(number: int, *faces: str, reason: str = "unmanaged") -> HiddenStatus:
    return HiddenStatus(f"n{number}.io", "A", "", "default", reason, "it lies in none of the domains", faces)


def seen(status: ServiceStatus, *, width: int = 80, most: int | None = MOST_NAMES, **how: Any) -> str:
    out = io.StringIO()
    shown = screen(status, "http://127.0.0.1:5000", NOW, most)
    Console(file=out, width=width, **how).print(shown)
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
    assert list(faults(evolve(HEALTHY, clusters=(cluster,)), NOW)) == [fault]


def test_an_external_dns_that_has_fallen_silent_is_a_fault() -> None:
    gone = evolve(HEALTHY.external_dns[0], last_pass=NOW - timedelta(minutes=5), interval=10.0)
    assert list(faults(evolve(HEALTHY, external_dns=(gone,)), NOW)) == [
        "external-dns of cluster default has been silent for 5 min (it came every 10 s): is it running (kubectl -n"
        " external-dns get pods)?"
    ]


def test_conflicts_are_faults_said_each_or_by_their_number() -> None:
    def conflicts(number: int) -> list[str]:
        found = tuple(ConflictStatus(f"n{at}.io", "line", "a line of yours wins") for at in range(number))
        return list(faults(evolve(HEALTHY, conflicts=found), NOW))

    assert conflicts(1) == ["n0.io: a line of yours wins."]
    assert len(conflicts(MANY)) == MANY
    assert conflicts(MANY + 1) == [f"{MANY + 1} names are in conflict: --json lists them."]


def test_what_one_of_two_faces_shows_is_no_note_and_what_none_shows_is_one() -> None:
    some = (hidden(1, "hosts"), hidden(2, "dns", "hosts"), hidden(3, "dns", "hosts", reason="ownership"))
    said = "n2.io (A) is not shown: it lies in none of the domains."
    assert list(notes(evolve(HEALTHY, hidden=some))) == [said]
    assert len(list(notes(evolve(HEALTHY, dns=None, hidden=some[:1])))) == 1
    assert list(faults(evolve(HEALTHY, hidden=some), NOW)) == []


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


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_that_is_long_is_cut_or_wider_than_the_terminal(width: int) -> None:
    long = f"{'a' * 62}.{'b' * 40}.dtk.io"
    name = evolve(HEALTHY.names[0], name=long, addresses=(ADDRESS, "fd00:1234:5678:9abc:def0:1234:5678:9abc"))
    cluster = ClusterStatus("c" * 63, ("a.dtk.io", "b.dtk.io"), name.addresses, 200000, 200000)
    said = seen(evolve(HEALTHY, names=(name,), clusters=(cluster,)), width=width)
    assert max(map(len, said.splitlines())) <= width
    for text in (ADDRESS, "200000", "2 min"):
        assert text in said
    columns = "".join(line[:width] for line in said.splitlines())
    assert columns.count("a") + columns.count("b") >= 102


def test_of_many_domains_the_first_are_said() -> None:
    domains = tuple(f"d{number}.io" for number in range(MANY + 3))
    said = seen(evolve(HEALTHY, clusters=(evolve(HEALTHY.clusters[0], domains=domains),)))
    assert "d4.io" in said
    assert "d5.io" not in said
    assert "and 3 more" in said


def test_of_many_names_the_newest_are_listed_and_all_on_request() -> None:
    old = tuple(
        evolve(HEALTHY.names[0], name=f"n{at}.dtk.io", since=NOW - timedelta(days=1 + at))
        for at in range(MOST_NAMES)
    )
    many = evolve(HEALTHY, names=(*old, *HEALTHY.names))
    said = seen(many)
    assert f"foo.dtk.io  {ADDRESS}" in said
    assert f"n{MOST_NAMES - 2}.dtk.io" in said
    assert f"n{MOST_NAMES - 1}.dtk.io" not in said
    assert said.endswith(f"\nThe newest {MOST_NAMES} of {MOST_NAMES + 1} names: --all lists the others too.\n")
    assert f"n{MOST_NAMES - 1}.dtk.io" in seen(many, most=None)
    assert "--all" not in seen(many, most=None)
    assert "--all" not in seen(evolve(HEALTHY, names=old))
