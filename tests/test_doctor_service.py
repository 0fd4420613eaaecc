"""What the doctor makes of the service, of who calls it, and of the address under which it is called."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import timedelta

import pytest
from attrs import evolve

from dtkdns.access import Interface
from dtkdns.cli.doctor.finding import Finding, Level
from dtkdns.cli.doctor.service import (
    callers,
    clusters,
    config,
    host_ip,
    parts,
    reachable,
    unreachable,
)
from dtkdns.cli.machine import Unit
from dtkdns.dtkconfig import DTKConfig
from dtkdns.smoke.report import FaultError
from dtkdns.status import ClusterStatus, ConflictStatus, DNSStatus, PartStatus, Readiness, StoreStatus
from examples import HEALTHY, NOW

REFUSED = FaultError("No answer from http://127.0.0.1:5000: refused.", "Is dtkdns running?")
OWN: list[tuple[str, Interface]] = [
    ("lo", ipaddress.ip_interface("127.0.0.1/8")),
    ("eth0", ipaddress.ip_interface("192.168.0.12/24")),
    ("eth0", ipaddress.ip_interface("fd00::12/64")),
    ("eth0", ipaddress.ip_interface("fe80::12/64")),
]


def unit(load: str = "", state: str = "") -> Unit:
    """How systemd has the service."""
    return Unit(state == "active", load == "loaded", 0, None, load=load, state=state)


def test_of_a_healthy_service_all_is_ok() -> None:
    findings = [
        reachable(HEALTHY, "http://127.0.0.1:5000"),
        *parts(HEALTHY),
        *clusters(HEALTHY),
        *callers(HEALTHY, NOW),
    ]
    assert [(one.check, one.level) for one in findings] == [
        ("service", Level.OK),
        ("parts", Level.OK),
        ("clusters", Level.OK),
        ("external-dns", Level.OK),
    ]


@pytest.mark.parametrize(
    ("had", "elsewhere", "detail", "advice"),
    [
        (unit(), "", "", "Is dtkdns running?"),
        (unit("not-found", "inactive"), "", "", "Is dtkdns running?"),
        (unit("loaded", "inactive"), "", "It is installed, but stopped.", "sudo systemctl start dtkdns"),
        (unit("loaded", "failed"), "", "Its unit has failed.", "journalctl -u dtkdns says why."),
        (
            unit("loaded", "active"),
            "",
            "Its unit is active.",
            "journalctl -u dtkdns says on which port it listens",
        ),
        (unit(), "http://127.0.0.1:5001", "", "One answers at http://127.0.0.1:5001: give that with --url"),
    ],
)
def test_why_the_service_does_not_answer_is_said(had: Unit, elsewhere: str, detail: str, advice: str) -> None:
    found = unreachable(REFUSED, had, elsewhere)
    assert (found.check, found.level) == ("service", Level.FAULT)
    assert found.detail.startswith(REFUSED.wrong)
    assert found.detail.endswith(detail)
    assert advice in found.advice


def test_each_part_that_is_not_ready_is_a_fault() -> None:
    wrong = (PartStatus("store", True, "2 records"), PartStatus("block", False, "changed by others just now"))
    (found,) = parts(evolve(HEALTHY, ready=Readiness(False, wrong)))
    assert (found.check, found.level, found.detail) == ("block", Level.FAULT, "changed by others just now.")


def test_what_follows_from_another_fault_is_none_of_its_own() -> None:
    """The hosts file and DNS have nothing to show while the records cannot be read, or are lost."""
    assert HEALTHY.dns is not None
    assert HEALTHY.hosts is not None
    waiting = (
        PartStatus("hosts file", False, "not written yet"),
        PartStatus("block", False, "left as it is until external-dns has sent its records again"),
        PartStatus("dns", False, "waits for records"),
    )
    unreadable = PartStatus("store", False, "The records cannot be read.")
    closed = evolve(
        HEALTHY,
        store=StoreStatus(0, unreadable.detail),
        ready=Readiness(False, (unreadable, *waiting)),
        clusters=(),
    )
    assert single(parts(closed), Level.FAULT).check == "store"
    assert list(clusters(closed)) == []
    lost = evolve(
        HEALTHY,
        hosts=evolve(HEALTHY.hosts, held=True),
        dns=evolve(HEALTHY.dns, held=True),
        ready=Readiness(False, waiting),
    )
    assert "were lost" in single(parts(lost), Level.FAULT).detail
    deaf = evolve(lost, dns=DNSStatus(), ready=Readiness(False, (PartStatus("dns", False, "not listening"),)))
    assert [one.check for one in parts(deaf)] == ["store", "dns"]
    failing = "/etc/hosts cannot be written."
    twice = (PartStatus("hosts file", False, failing), PartStatus("block", False, failing))
    read_only = evolve(HEALTHY, hosts=evolve(HEALTHY.hosts, failing=failing), ready=Readiness(False, twice))
    assert single(parts(read_only), Level.FAULT).check == "hosts file"


def test_a_cluster_of_which_nothing_is_shown_and_a_conflict_are_faults() -> None:
    bare = evolve(HEALTHY, clusters=(ClusterStatus("lab", (), (), 1, 0),))
    conflict = ConflictStatus("n.io", "line", "a line of your own wins")
    domainless = single(clusters(bare), Level.FAULT)
    assert "Cluster lab has no managed domain" in domainless.detail
    assert domainless.advice == "Give --domains, or POST /domains."
    assert single(clusters(evolve(HEALTHY, conflicts=(conflict,))), Level.FAULT).detail.startswith("n.io: a line")
    assert single(clusters(evolve(HEALTHY, clusters=())), Level.NOTE).detail == "None is known yet."


def test_a_silent_external_dns_is_a_fault_and_one_that_never_came_a_warning() -> None:
    gone = evolve(HEALTHY.external_dns[0], last_pass=NOW - timedelta(minutes=5), interval=10.0)
    silent = single(callers(evolve(HEALTHY, external_dns=(gone,)), NOW), Level.FAULT)
    assert silent.detail == "That of cluster default has been silent for 5 min; it came every 10 s."
    assert "kubectl -n external-dns get pods" in silent.advice
    never = single(callers(evolve(HEALTHY, external_dns=()), NOW), Level.WARNING)
    assert never.detail == "None of cluster default has called for 3 h."
    fresh = evolve(HEALTHY, external_dns=(), started=NOW)
    assert single(callers(fresh, NOW), Level.OK).detail == "It has not called yet."


@pytest.mark.parametrize(
    ("host", "resolved", "level", "detail"),
    [
        ("192.168.0.12", ["192.168.0.12"], Level.OK, "192.168.0.12 is this machine."),
        ("[fd00::12]", ["fd00::12"], Level.OK, "[fd00::12] is this machine."),
        ("desk.lan", ["10.9.9.9", "192.168.0.12"], Level.OK, "desk.lan (10.9.9.9, 192.168.0.12) is this machine."),
        ("192.168.0.13", ["192.168.0.13"], Level.FAULT, "192.168.0.13 is no address of this machine."),
        ("desk.lan", ["10.9.9.9"], Level.FAULT, "desk.lan (10.9.9.9) is no address of this machine."),
        ("desk.lan", [], Level.FAULT, "desk.lan does not resolve here."),
        (
            "localhost",
            ["127.0.0.1", "::1"],
            Level.FAULT,
            "localhost (127.0.0.1, ::1) is each machine to itself: the",
        ),
    ],
)
def test_the_host_ip_must_be_this_machine_to_the_vms(
    host: str, resolved: list[str], level: Level, detail: str
) -> None:
    found = host_ip(host, resolved, OWN)
    assert (found.check, found.level) == ("host-ip", level)
    assert found.detail.startswith(detail)
    assert level is Level.OK or not resolved or "192.168.0.12, fd00::12" in found.advice


def single(findings: Iterable[Finding], level: Level) -> Finding:
    """The only finding, of this level."""
    (found,) = findings
    assert found.level is level
    return found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (DTKConfig(("dtk.io",), "5000"), [(Level.OK, "It leads here.")]),
        (DTKConfig(), [(Level.OK, "It leads here.")]),
        (
            DTKConfig(("dtk.io",), "5001"),
            [(Level.FAULT, "Its webhook-port is 5001, and dtkdns is called at port 5000.")],
        ),
        (
            DTKConfig(("dtk.io", "a.io"), "5000"),
            [(Level.WARNING, "Its domain a.io is not managed in cluster default.")],
        ),
        (
            DTKConfig(("dtk.io",), "5000", "lab"),
            [(Level.WARNING, "Its domain dtk.io is not managed in cluster lab.")],
        ),
    ],
)
def test_dtks_file_must_lead_here(given: DTKConfig, found: list[tuple[Level, str]]) -> None:
    assert [(one.level, one.detail) for one in config(given, HEALTHY, 5000)] == found
