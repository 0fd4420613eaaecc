"""`dtkdns resolver --apply` and `--undo`, typed on desktops with the programs that they are for."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from box import until

from .desktops import (
    ALL,
    CLUSTER,
    DNSMASQ,
    ELSEWHERE,
    NETWORKMANAGER,
    RESOLVED,
    RESOLVED_258,
    UNBOUND,
    Desktop,
    Resolver,
    on,
)

each = pytest.mark.parametrize("resolver", ALL, ids=lambda one: one.recipe)
WITHOUT_A_FILE = ("--hosts-file", "none")
LUCKLESS = "no such luck"


def starts_only_without(desktop: Desktop, domain: str) -> None:
    """Have the service that the recipe starts fail if the domain stands in a file of the recipe."""
    files = " ".join(desktop.resolver.files)
    test = f'if cat {files} 2>/dev/null | grep -q {domain}; then echo "{LUCKLESS}"; exit 1; fi'
    unit = "dtkdns-resolved" if desktop.resolver is RESOLVED else desktop.unit
    desktop.box.write(
        f"/etc/systemd/system/{unit}.service.d/luckless.conf",
        f"[Service]\nExecStartPre=/bin/sh -c {shlex.quote(test)}\n",
    )
    desktop.box.run("systemctl daemon-reload", check=True)


@each
def test_the_resolver_asks_dtkdns_and_a_second_run_has_nothing_to_do(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        done = desktop.typed("resolver --apply --yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert all(f"- write {path}:\n" in done.stdout for path in resolver.files)
        assert done.stdout.endswith(
            f"This machine's resolver asks dtkdns for dtk.io.\ndtkdns-check.apps.dtk.io is {CLUSTER}.\n"
        )
        assert desktop.dig("foo.dtk.io") == CLUSTER
        assert desktop.getent("any.apps.dtk.io") == CLUSTER
        assert desktop.dig("www.example.org") == ELSEWHERE
        assert json.loads(desktop.typed("resolver --json").stdout)["files"][0]["path"] == resolver.files[0]
        again = desktop.typed("resolver --apply")
        assert (again.returncode, again.stderr) == (0, "")
        assert "\nNothing to do: it is told to ask dtkdns.\n" in again.stdout
        assert "dtkdns for dtk.io." in again.stdout


@each
def test_another_domain_changes_what_differs_and_undone_nothing_is_left(
    resolver: Resolver, tmp_path: Path
) -> None:
    with on(resolver, tmp_path) as desktop:
        before = desktop.watched()
        with desktop.dtkdns(*WITHOUT_A_FILE):
            assert desktop.typed("resolver --apply --yes").returncode == 0
            desktop.manage("lab.io")
            changed = desktop.typed("resolver --apply --yes")
            assert (changed.returncode, changed.stderr) == (0, "")
            assert f"- change {resolver.files[-1]}:\n" in changed.stdout
            assert "asks dtkdns for dtk.io, lab.io." in changed.stdout
            assert desktop.dig("lab.io", "SOA").startswith("localhost. nobody.invalid. ")
            assert desktop.dig("any.apps.dtk.io") == CLUSTER
        undone = desktop.typed("resolver --undo --yes")
        assert (undone.returncode, undone.stderr) == (0, "")
        assert undone.stdout.endswith("\nUndone.\n")
        assert desktop.settled()
        assert until(lambda: desktop.watched() == before), desktop.watched()
        assert desktop.typed("resolver --undo").stdout == "Nothing to undo.\n"


@each
def test_declined_it_changes_nothing(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        before = desktop.watched()
        assert desktop.typed("resolver --apply <<< n").stdout.endswith("Nothing was done.\n")
        assert desktop.typed("resolver --apply").stderr == "\nNothing was done.\n"
        asked_by_a_program = desktop.typed("resolver --apply --json")
        assert asked_by_a_program.returncode == 1
        assert json.loads(asked_by_a_program.stdout)["done"] is False
        assert desktop.watched() == before
        assert desktop.typed("resolver --apply --yes").returncode == 0
        applied = desktop.watched()
        assert desktop.typed("resolver --undo <<< n").returncode == 1
        assert desktop.watched() == applied


@each
def test_a_resolver_that_does_not_start_with_it_has_its_files_back(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        starts_only_without(desktop, "dtk.io")
        before = desktop.watched()
        failed = desktop.typed("resolver --apply --yes")
        assert failed.returncode == 1
        assert re.search(rf"does not start with this \(.*{LUCKLESS}", failed.stderr)
        assert "It was taken back: all is as before." in failed.stderr
        assert desktop.settled() == ELSEWHERE
        assert until(lambda: desktop.watched() == before), desktop.watched()


@each
def test_what_was_applied_before_stays_when_a_change_of_it_fails(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        assert desktop.typed("resolver --apply --yes").returncode == 0
        starts_only_without(desktop, "lab.io")
        desktop.manage("lab.io")
        failed = desktop.typed("resolver --apply --yes")
        assert failed.returncode == 1
        assert re.search(rf"does not start with this \(.*{LUCKLESS}", failed.stderr)
        assert "It was taken back: all is as before." in failed.stderr
        assert until(lambda: desktop.dig("any.apps.dtk.io") == CLUSTER)
        assert desktop.settled() == ELSEWHERE


@each
def test_a_file_that_the_service_has_not_read_yet_is_read(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        assert desktop.typed("resolver --apply --yes").returncode == 0
        assert desktop.box.run(f"touch --date='1 minute' {resolver.files[-1]}").returncode == 0
        again = desktop.typed("resolver --apply --yes")
        assert again.returncode == 0
        assert "- run systemctl restart " in again.stdout
        assert "- change" not in again.stdout


def test_with_dnssec_resolved_gets_a_link_in_place_of_a_delegate(tmp_path: Path) -> None:
    with on(RESOLVED_258, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        before = desktop.watched()
        assert desktop.typed("resolver --apply --yes").returncode == 0
        desktop.box.write("/run/systemd/resolved.conf.d/strict.conf", "[Resolve]\nDNSSEC=yes\n")
        desktop.box.run("systemctl restart systemd-resolved", check=True)
        done = desktop.typed("resolver --apply --yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("With DNSSEC=yes no delegate would work")
        assert f"- remove {RESOLVED_258.files[0]}\n" in done.stdout
        assert desktop.dig("foo.dtk.io") == CLUSTER
        assert "Nothing to do" in desktop.typed("resolver --apply").stdout
        desktop.box.run(
            "rm /run/systemd/resolved.conf.d/strict.conf; systemctl restart systemd-resolved", check=True
        )
        assert "Nothing to do" in desktop.typed("resolver --apply").stdout
        assert desktop.typed("resolver --undo --yes").returncode == 0
        assert until(lambda: desktop.watched() == before), desktop.watched()


def test_what_networkmanager_has_been_told_elsewhere_is_left_out(tmp_path: Path) -> None:
    with on(NETWORKMANAGER, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        desktop.box.write("/etc/NetworkManager/conf.d/own.conf", "[main]\ndns=dnsmasq\n")
        desktop.box.run("systemctl restart NetworkManager", check=True)
        assert desktop.settled()
        done = desktop.typed("resolver --apply --yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert NETWORKMANAGER.files[0] not in done.stdout
        assert desktop.dig("foo.dtk.io") == CLUSTER
        assert desktop.typed("resolver --undo --yes").returncode == 0
        assert desktop.settled()
        assert desktop.box.run("cat /etc/NetworkManager/conf.d/own.conf").stdout == "[main]\ndns=dnsmasq\n"


@pytest.mark.parametrize(
    ("resolver", "spoilt", "said"),
    [
        (
            DNSMASQ,
            "sed -i 's/^CONFIG_DIR=.*/CONFIG_DIR=/' /etc/default/dnsmasq; systemctl restart dnsmasq",
            "dnsmasq does not read /etc/dnsmasq.d.",
        ),
        (
            UNBOUND,
            "sed -i 's/^include/#include/' /etc/unbound/unbound.conf",
            "unbound does not read /etc/unbound/unbound.conf.d.",
        ),
        (NETWORKMANAGER, "rm /usr/sbin/dnsmasq", "NetworkManager needs dnsmasq."),
        (
            DNSMASQ,
            "echo nonsense > /etc/dnsmasq.d/broken.conf",
            "dnsmasq would not start again with the files that it has"
            " (dnsmasq: bad option at line 1 of /etc/dnsmasq.d/broken.conf).",
        ),
        (
            UNBOUND,
            "echo nonsense: 1 > /etc/unbound/unbound.conf.d/broken.conf",
            "unbound would not start again with the files that it has"
            " (/etc/unbound/unbound.conf.d/broken.conf:1: error: unknown keyword 'nonsense').",
        ),
    ],
    ids=lambda one: getattr(one, "recipe", ""),
)
def test_where_it_would_not_work_nothing_is_written(
    resolver: Resolver, spoilt: str, said: str, tmp_path: Path
) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        desktop.box.run(spoilt, check=True)
        before = desktop.watched()
        refused = desktop.typed("resolver --apply --yes")
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"dtkdns: {said} ")
        assert desktop.watched() == before


def test_a_recipe_of_a_resolver_that_no_longer_answers_is_undone_too(tmp_path: Path) -> None:
    with on(UNBOUND, tmp_path) as desktop:
        with desktop.dtkdns(*WITHOUT_A_FILE):
            assert desktop.typed("resolver --apply --yes").returncode == 0
        desktop.box.run(f"systemctl stop unbound; echo nameserver {ELSEWHERE} > /etc/resolv.conf", check=True)
        undone = desktop.typed("resolver --undo --yes --json")
        said = json.loads(undone.stdout)
        assert (said["done"], said["steps"]) == (True, [f"remove {UNBOUND.files[0]}"])
        assert desktop.box.run("systemctl is-active unbound").stdout == "inactive\n"
