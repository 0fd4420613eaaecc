"""The README's recipes, word by word, with the programs that they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from box import rebooted, until

from .desktops import (
    ALL,
    CLUSTER,
    DNSMASQ,
    ELSEWHERE,
    NETWORKMANAGER,
    RESOLVED,
    RESOLVED_258,
    UNBOUND,
    Resolver,
    on,
)

each = pytest.mark.parametrize("resolver", ALL, ids=lambda one: one.recipe)
WITHOUT_A_FILE = ("--hosts-file", "none")


@each
def test_the_names_of_the_domain_are_found(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        assert desktop.dig("any.apps.dtk.io") == CLUSTER
        assert desktop.dig("foo.dtk.io", "TXT") == '"of foo"'
        assert desktop.getent("foo.dtk.io") == CLUSTER
        assert desktop.getent("other.apps.dtk.io") == CLUSTER


@each
def test_a_name_comes_and_goes_as_soon_as_the_table_says(resolver: Resolver, tmp_path: Path) -> None:
    late = {"dnsName": "late.dtk.io", "targets": [CLUSTER], "recordType": "A"}
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        assert desktop.dig("late.dtk.io") == ""
        desktop.change(create=[late])
        assert until(lambda: desktop.dig("late.dtk.io") == CLUSTER, seconds=resolver.remembers)
        assert desktop.getent("late.dtk.io") == CLUSTER
        desktop.change(delete=[late])
        assert until(lambda: desktop.dig("late.dtk.io") == "", seconds=resolver.remembers)
        assert desktop.getent("late.dtk.io") == ""


@each
def test_no_other_name_is_asked_of_dtkdns(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        desktop.office.asked.clear()
        desktop.wire.asked()
        assert desktop.dig("www.example.org") == ELSEWHERE
        assert desktop.getent("intranet.example.org") == ELSEWHERE
        assert desktop.dig("nowhere.example") == ""
        assert desktop.getent("nowhere.example") == ""
        desktop.box.run("getent --service=hosts:dns hosts nowhere.example")  # as without the module of resolved
        assert {"www.example.org", "intranet.example.org"} <= desktop.office.names()
        assert not {name for name in desktop.office.names() if name.endswith("dtk.io")}
        assert desktop.wire.asked() == []


@each
def test_other_names_resolve_while_dtkdns_is_stopped(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop:
        desktop.apply()
        assert until(lambda: desktop.dig("first.example.org") == ELSEWHERE)
        desktop.box.run("timeout 2 getent hosts foo.dtk.io")
        assert desktop.dig("www.example.org") == ELSEWHERE
        assert desktop.getent("intranet.example.org") == ELSEWHERE
        with desktop.dtkdns(*WITHOUT_A_FILE):
            assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER, seconds=30)
        assert desktop.dig("then.example.org") == ELSEWHERE


@each
def test_it_holds_after_restarts_and_a_reboot(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        desktop.box.run(f"systemctl restart {desktop.unit}", check=True)
        assert until(lambda: desktop.dig("any.apps.dtk.io") == CLUSTER)
        with rebooted(desktop.box):
            assert until(lambda: desktop.dig("other.apps.dtk.io") == CLUSTER), desktop.said()
            assert until(lambda: desktop.getent("www.example.org") == ELSEWHERE)


@each
def test_undone_it_leaves_nothing(resolver: Resolver, tmp_path: Path) -> None:
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        before = desktop.watched()
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        desktop.undo()
        assert desktop.settled()
        desktop.wire.asked()
        desktop.office.asked.clear()
        assert desktop.dig("foo.dtk.io") == ""
        assert desktop.getent("any.apps.dtk.io") == ""
        assert desktop.wire.asked() == []
        assert until(lambda: desktop.watched() == before), desktop.watched()


@pytest.mark.parametrize("resolver", [RESOLVED, RESOLVED_258, NETWORKMANAGER, UNBOUND], ids=lambda one: one.recipe)
def test_it_agrees_with_the_hosts_file(resolver: Resolver, tmp_path: Path) -> None:
    gone = {"dnsName": "foo.dtk.io", "targets": [CLUSTER], "recordType": "A"}
    with on(resolver, tmp_path) as desktop, desktop.dtkdns(f"--hosts-file={desktop.box.root}/etc/hosts"):
        assert "foo.dtk.io" in desktop.box.run("cat /etc/hosts").stdout
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        assert desktop.getent("foo.dtk.io") == CLUSTER
        desktop.change(delete=[gone])
        assert until(lambda: desktop.dig("foo.dtk.io") == "", seconds=7)
        assert desktop.getent("foo.dtk.io") == ""


def test_dnsmasq_keeps_a_name_of_the_hosts_file_until_it_reads_it_again(tmp_path: Path) -> None:
    gone = {"dnsName": "foo.dtk.io", "targets": [CLUSTER], "recordType": "A"}
    with on(DNSMASQ, tmp_path) as desktop, desktop.dtkdns(f"--hosts-file={desktop.box.root}/etc/hosts"):
        desktop.apply()
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        desktop.change(delete=[gone])
        assert "foo.dtk.io" not in desktop.box.run("cat /etc/hosts").stdout
        assert desktop.dig("foo.dtk.io") == CLUSTER
        desktop.box.run(
            "printf 'no-hosts\\n' >> /etc/dnsmasq.d/dtkdns.conf; systemctl restart dnsmasq", check=True
        )
        assert desktop.settled()
        assert desktop.dig("foo.dtk.io") == ""


def test_from_256_on_resolved_asks_nothing_else_about_a_name_of_the_hosts_file(tmp_path: Path) -> None:
    with on(RESOLVED_258, tmp_path) as desktop, desktop.dtkdns(f"--hosts-file={desktop.box.root}/etc/hosts"):
        desktop.apply()
        assert until(lambda: desktop.dig("any.apps.dtk.io") == CLUSTER)
        assert desktop.dig("foo.dtk.io") == CLUSTER
        assert desktop.dig("foo.dtk.io", "TXT") == ""


def test_without_a_recipe_resolved_knows_the_hosts_file_only(tmp_path: Path) -> None:
    with on(RESOLVED, tmp_path) as desktop, desktop.dtkdns(f"--hosts-file={desktop.box.root}/etc/hosts"):
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER, seconds=5)
        assert desktop.dig("any.apps.dtk.io") == ""
        assert desktop.dig("foo.dtk.io", "TXT") == ""
        assert desktop.wire.asked() == []


def test_servers_in_resolved_conf_are_asked_for_every_name(tmp_path: Path) -> None:
    with on(RESOLVED, tmp_path) as desktop, desktop.dtkdns(*WITHOUT_A_FILE):
        advised = "[Resolve]\nDNS=127.0.0.1:5053\nDomains=~dtk.io\n"
        desktop.box.write("/etc/systemd/resolved.conf.d/dtkdns.conf", advised)
        desktop.box.run("systemctl restart systemd-resolved", check=True)
        assert until(lambda: desktop.dig("foo.dtk.io") == CLUSTER)
        assert desktop.dig("www.example.org") == ELSEWHERE
        assert "www.example.org" in desktop.wire.asked()
