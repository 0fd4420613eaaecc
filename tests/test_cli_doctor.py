"""The doctor on a whole machine: healthy beside a real service, and with one fault after the other."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import frozen
from pytest_twisted import ensureDeferred
from rich.console import Console
from twisted.internet import reactor

from dtkdns.cli.doctor import examination
from dtkdns.cli.doctor.command import screen
from dtkdns.cli.doctor.examination import examine
from dtkdns.cli.doctor.finding import Finding, Level, fault, note, warning, well
from dtkdns.cli.machine import Machine
from dtkdns.smoke.webhook import Webhook
from patient import DELEGATE, NFT, SHOW_UNIT, Patient
from running import WEBHOOK, Running, endpoint, running
from test_cli_names import calling
from test_doctor_firewall import UFW, ruleset

ADDRESS = "192.168.122.167"


@frozen
class Case:
    """A machine, and the service that keeps its hosts file."""

    patient: Patient
    service: Running

    async def findings(self) -> list[Finding]:
        async with calling(self.service) as webhook:
            found = examine(self.patient.machine, webhook, webhook.url, reactor)
            return [one async for one in found]


@asynccontextmanager
async def case(directory: Path, *options: str) -> AsyncIterator[Case]:
    """A healthy one, with a name that is shown."""
    patient = Patient(directory / "root")
    own = ("--hosts-file", f"{patient.root}/etc/hosts", "--cluster-ip", ADDRESS)
    async with running(directory, *own, *options) as service:
        await service.change(create=[endpoint("foo.dtk.io", "10.0.0.1")])
        assert (await service.call("POST", "/adjustendpoints", b"[]", WEBHOOK)).status == 200
        server = service.service._dns
        assert server is not None
        patient.follow_recipe(str(server.addresses[0]))
        yield Case(patient, service)


def complaints(findings: list[Finding]) -> list[tuple[str, Level]]:
    return [(one.check, one.level) for one in findings if one.level is not Level.OK]


@ensureDeferred
async def test_a_healthy_machine_has_no_complaint_whatever_is_checked(tmp_path: Path) -> None:
    async with case(tmp_path) as healthy:
        findings = await healthy.findings()
    assert complaints(findings) == []
    assert [one.check for one in findings] == [
        "service",
        "parts",
        "clusters",
        "external-dns",
        "hosts file",
        "way of writing",
        "lookup order",
        "systemd-resolved",
        "resolver",
        "other writers",
        "browsers",
        "firewall",
    ]


def deny_root(patient: Patient) -> None:
    patient.write("etc/ufw/ufw.conf", "ENABLED=yes\n")
    patient.said["ufw status verbose"] = (1, "ERROR: You need to be root to run this script")


def switch_cloud_init_off(patient: Patient) -> None:
    patient.write("etc/cloud/cloud.cfg", "manage_etc_hosts: true\n")
    patient.write("etc/cloud/cloud-init.disabled", "")


def forbid_by_ufw(patient: Patient) -> None:
    patient.write("etc/ufw/ufw.conf", "ENABLED=yes\n")
    patient.said["ufw status verbose"] = (0, UFW.replace("192.168.122.0/24", "10.0.0.0/8"))


def only_by_file(patient: Patient, path: str, text: str) -> None:
    """Write a file, on a machine that does not follow the recipe for DNS."""
    (patient.root / DELEGATE).unlink()
    patient.write(path, text)


HURTS: dict[str, tuple[Callable[[Patient], object], list[tuple[str, Level]]]] = {
    "order of nsswitch": (
        lambda patient: patient.write("etc/nsswitch.conf", "hosts: dns [NOTFOUND=return] files\n"),
        [("lookup order", Level.WARNING)],
    ),
    "order of nsswitch without a recipe": (
        lambda patient: only_by_file(patient, "etc/nsswitch.conf", "hosts: dns [NOTFOUND=return] files\n"),
        [("lookup order", Level.FAULT), ("resolver", Level.NOTE)],
    ),
    "ReadEtcHosts in resolved.conf": (
        lambda patient: patient.write("etc/systemd/resolved.conf", "[Resolve]\nReadEtcHosts=no\n"),
        [],
    ),
    "ReadEtcHosts in resolved.conf without a recipe": (
        lambda patient: only_by_file(patient, "etc/systemd/resolved.conf", "[Resolve]\nReadEtcHosts=no\n"),
        [("systemd-resolved", Level.WARNING), ("resolver", Level.NOTE)],
    ),
    "ReadEtcHosts in a drop-in of the vendor without a recipe": (
        lambda patient: only_by_file(
            patient, "usr/lib/systemd/resolved.conf.d/a.conf", "[Resolve]\nReadEtcHosts=no\n"
        ),
        [("systemd-resolved", Level.WARNING), ("resolver", Level.NOTE)],
    ),
    "no recipe": (lambda patient: (patient.root / DELEGATE).unlink(), [("resolver", Level.NOTE)]),
    "a recipe for another port": (
        lambda patient: patient.follow_recipe("127.0.0.1:1"),
        [("resolver", Level.WARNING)],
    ),
    "cloud-init": (
        lambda patient: patient.write("etc/cloud/cloud.cfg.d/9.cfg", "manage_etc_hosts: true\n"),
        [("other writers", Level.WARNING)],
    ),
    "cloud-init that is off": (switch_cloud_init_off, []),
    "NixOS": (lambda patient: patient.write("etc/NIXOS", ""), [("other writers", Level.WARNING)]),
    "Chromium": (
        lambda patient: patient.write("etc/opt/chrome/policies/managed/a.json", '{"DnsOverHttpsMode": "secure"}'),
        [("browsers", Level.WARNING)],
    ),
    "Firefox": (
        lambda patient: patient.write(
            "usr/lib/firefox-esr/distribution/policies.json", '{"policies": {"DNSOverHTTPS": {"Enabled": true}}}'
        ),
        [("browsers", Level.WARNING)],
    ),
    "ufw": (forbid_by_ufw, [("firewall", Level.FAULT)]),
    "ufw that tells root only": (deny_root, [("firewall", Level.NOTE)]),
    "nftables": (
        lambda patient: patient.said.update({NFT: (0, ruleset(policy="drop"))}),
        [("firewall", Level.WARNING)],
    ),
}


@pytest.mark.parametrize("hurt", HURTS)
@ensureDeferred
async def test_what_is_wrong_with_the_machine_is_found_and_nothing_else(hurt: str, tmp_path: Path) -> None:
    harm, expected = HURTS[hurt]
    async with case(tmp_path) as patient:
        harm(patient.patient)
        findings = await patient.findings()
    assert complaints(findings) == expected
    assert all(one.advice for one in findings if one.level is not Level.OK)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("127.0.0.1 localhost\n", "has no block of dtkdns"),
        ("# Added by Docker Desktop\n", "has no block of dtkdns"),
    ],
)
@ensureDeferred
async def test_a_hosts_file_that_is_not_as_it_should_be_is_found_at_the_second_look(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "AGAIN_SECONDS", 0.0)
    async with case(tmp_path) as patient:
        assert patient.service.service._hosts is not None
        patient.service.service._hosts.watch.stop()
        patient.patient.write("etc/hosts", text)
        findings = await patient.findings()
    assert ("hosts file", Level.FAULT) in complaints(findings)
    assert ("block", Level.FAULT) in complaints(findings)
    assert said in next(one for one in findings if one.check == "hosts file").detail
    assert (("other writers", Level.WARNING) in complaints(findings)) is ("Docker" in text)


@ensureDeferred
async def test_a_hosts_file_that_is_mended_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with case(tmp_path) as patient:
        path = patient.patient.root / "etc" / "hosts"
        good = path.read_bytes()
        assert patient.service.service._hosts is not None
        patient.service.service._hosts.watch.stop()
        path.write_bytes(b"127.0.0.1 localhost\n")
        waited: list[float] = []

        async def mend(_clock: object, seconds: float) -> None:
            waited.append(seconds)
            path.write_bytes(good)

        monkeypatch.setattr(examination, "deferLater", mend)
        findings = await patient.findings()
    assert waited == [examination.AGAIN_SECONDS]
    assert ("hosts file", Level.FAULT) not in complaints(findings)


@ensureDeferred
async def test_a_hosts_file_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    async with case(tmp_path) as patient:
        path = patient.patient.root / "etc" / "hosts"
        path.unlink()
        path.mkdir()
        await patient.service.change(create=[endpoint("bar.dtk.io", "10.0.0.1")])
        findings = await patient.findings()
        path.rmdir()
    assert "hosts file" in {check for check, _ in complaints(findings)}
    assert [one.check for one in findings].count("hosts file") == 1


@ensureDeferred
async def test_a_link_into_the_nix_store_is_a_warning(tmp_path: Path) -> None:
    patient = Patient(tmp_path)
    (tmp_path / "etc" / "hosts").unlink()
    (tmp_path / "etc" / "hosts").symlink_to("/nix/store/0-hosts")
    findings = await examined_without_service(patient)
    assert ("other writers", Level.WARNING) in complaints(findings)


@ensureDeferred
async def test_without_a_hosts_file_all_depends_on_the_resolver(tmp_path: Path) -> None:
    async with case(tmp_path, "--hosts-file", "none") as patient:
        assert complaints(await patient.findings()) == []
        (patient.patient.root / DELEGATE).unlink()
        assert complaints(await patient.findings()) == [("resolver", Level.FAULT)]
        patient.patient.follow_recipe("127.0.0.1:1")
        patient.patient.write(
            "etc/hosts", "# BEGIN dtkdns state=0123abcd lines=0 check=0000000000000000 newline=kept\n"
        )
        found = complaints(await patient.findings())
        assert found == [("hosts file", Level.FAULT), ("resolver", Level.FAULT)]


@ensureDeferred
async def test_the_host_ip_of_dtks_file_is_looked_at(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("dns:\n  domain: dtk.io\n  host-ip: 192.168.0.13\n")
    async with case(tmp_path, "--config", str(config)) as patient:
        assert (await patient.service.call("GET", "/status")).json()["host"] == "192.168.0.13"
        assert complaints(await patient.findings()) == [("host-ip", Level.FAULT)]


@ensureDeferred
async def test_where_external_dns_calls_from_no_firewall_is_in_the_way(tmp_path: Path) -> None:
    async with case(tmp_path) as patient:
        forbid_by_ufw(patient.patient)
        passes, now = patient.service.service._overview.passes, time.time()
        passes.note_pass("default", "192.168.122.7", now)
        assert complaints(await patient.findings()) == []
        for peer in ("192.168.122.7", "127.0.0.1"):
            passes.note_pass("default", peer, now - 7200)
            passes.note_pass("default", peer, now - 7140)
        assert complaints(await patient.findings()) == [("external-dns", Level.FAULT), ("firewall", Level.FAULT)]


async def examined_without_service(patient: Patient, local_url: str = "") -> list[Finding]:
    """Where nothing listens at the URL."""
    webhook = Webhook("http://127.0.0.1:1", None, 15.0, reactor)
    try:
        return [one async for one in examine(patient.machine, webhook, local_url or webhook.url, reactor)]
    finally:
        await webhook.close()


@ensureDeferred
async def test_without_the_service_all_that_needs_none_is_checked(tmp_path: Path) -> None:
    patient = Patient(tmp_path)
    patient.said[SHOW_UNIT] = 0, "LoadState=loaded\nActiveState=inactive\n"
    findings = await examined_without_service(patient)
    assert complaints(findings) == [("service", Level.FAULT)]
    assert findings[0].advice == "Start it: sudo systemctl start dtkdns"
    assert [one.check for one in findings[1:]] == [
        "lookup order",
        "systemd-resolved",
        "other writers",
        "browsers",
        "firewall",
    ]


@ensureDeferred
async def test_another_file_than_programs_read_is_a_fault_unless_names_are_found_by_dns(tmp_path: Path) -> None:
    other = tmp_path / "root/other"
    other.parent.mkdir()
    other.write_bytes(b"127.0.0.1 localhost\n")
    async with case(tmp_path, "--hosts-file", str(other)) as kept:
        assert complaints(await kept.findings()) == []
        (kept.patient.root / DELEGATE).unlink()
        findings = await kept.findings()
    assert complaints(findings) == [("hosts file", Level.FAULT), ("resolver", Level.NOTE)]
    assert next(one.detail for one in findings if one.check == "hosts file").startswith(
        f"dtkdns keeps {other}, and"
    )


@ensureDeferred
async def test_a_wildcard_matters_only_where_the_resolver_does_not_ask_for_it(tmp_path: Path) -> None:
    async with case(tmp_path) as wild:
        await wild.service.change(create=[endpoint("*.apps.dtk.io", "10.0.0.1")])
        assert complaints(await wild.findings()) == []
        (wild.patient.root / DELEGATE).unlink()
        assert complaints(await wild.findings()) == [("resolver", Level.WARNING)]


@ensureDeferred
async def test_a_service_at_another_port_than_was_asked_for_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        first = (await examined_without_service(Patient(tmp_path / "root"), url))[0]
    assert (first.level, first.advice) == (
        Level.FAULT,
        f"One answers at {url}: give that with --url or DTKDNS_URL.",
    )


@ensureDeferred
async def test_that_the_service_of_this_machine_does_not_answer_either_is_not_said(tmp_path: Path) -> None:
    first = (await examined_without_service(Patient(tmp_path), "http://127.0.0.1:2"))[0]
    assert first.detail.startswith("No answer from http://127.0.0.1:1:")
    assert "Is dtkdns running" in first.advice


@ensureDeferred
async def test_what_a_machine_lacks_or_hides_is_no_traceback(tmp_path: Path) -> None:
    patient = Patient(tmp_path)
    for path in ("etc/nsswitch.conf", "etc/resolv.conf", "etc/hosts"):
        (tmp_path / path).unlink()
        (tmp_path / path).mkdir()
    patient.said.clear()
    patient.attached.clear()
    assert complaints(await examined_without_service(patient))[0] == ("service", Level.FAULT)


def test_a_path_that_lies_in_the_root_already_is_taken_as_it_is(tmp_path: Path) -> None:
    assert Machine(tmp_path).at("/etc/hosts") == tmp_path / "etc" / "hosts"
    assert Machine(tmp_path).at(f"{tmp_path}/etc/hosts") == tmp_path / "etc" / "hosts"
    assert Machine().at("/etc/hosts") == Path("/etc/hosts")


def seen(*findings: Finding) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80).print(screen(findings))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_screen_has_a_row_for_each_check_and_what_they_come_to_last() -> None:
    assert seen(
        well("service", "It answers."),
        note("firewall", "ufw was not asked.", "Run this with sudo."),
        warning(
            "resolver", "It does not ask dtkdns, so wildcards and what nslookup asks do not resolve.", "Do it."
        ),
        fault("hosts file", "/etc/hosts has [no] block.", "Start it."),
        fault("block", "It is not there.", ""),
    ) == [
        "ok       service     It answers.",
        "note     firewall    ufw was not asked.",
        "                     Run this with sudo.",
        "warning  resolver    It does not ask dtkdns, so wildcards and what nslookup asks",
        "                     do not resolve.",
        "                     Do it.",
        "fault    hosts file  /etc/hosts has [no] block.",
        "                     Start it.",
        "fault    block       It is not there.",
        "",
        "2 faults and 1 warning.",
    ]
    assert seen(well("service", "It answers."), note("x", "y"))[-1] == "All is as it should be."
    assert seen(warning("x", "y", "z"))[-1] == "1 warning."
