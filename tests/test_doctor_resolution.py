"""What the doctor makes of nsswitch.conf, systemd-resolved, the recipe for DNS, and the policies of browsers."""

from __future__ import annotations

import pytest
from attrs import evolve

from dtkdns.cli.doctor import browsers
from dtkdns.cli.doctor.finding import Level
from dtkdns.cli.doctor.resolution import (
    Asked,
    in_order,
    order,
    reads_hosts,
    recipe,
    recipe_paths,
    resolved,
    uses_resolved,
)
from dtkdns.cli.resolver.recipes import RESOLVERS, recipe_for
from dtkdns.status import DNSStatus

DNS = DNSStatus(("127.0.0.1:5053",))


@pytest.mark.parametrize(
    ("hosts", "used", "level"),
    [
        ("files dns", False, Level.OK),
        ("files mdns4_minimal [NOTFOUND=return] dns", False, Level.OK),
        ("mdns4_minimal [NOTFOUND=return] files dns", False, Level.OK),
        ("mymachines resolve [!UNAVAIL=return] files myhostname dns", True, Level.OK),
        ("mymachines resolve [!UNAVAIL=return] files myhostname dns", False, Level.FAULT),
        ("resolve dns", True, Level.OK),
        ("resolve dns", False, Level.FAULT),
        ("dns files", False, Level.WARNING),
        ("dns [SUCCESS=return] files", False, Level.WARNING),
        ("dns [NOTFOUND=return] files", False, Level.FAULT),
        ("dns [ notfound = return ] files", False, Level.FAULT),
        ("dns", True, Level.FAULT),
        (None, True, Level.WARNING),
    ],
)
def test_the_hosts_file_must_come_before_others_that_answer(hosts: str | None, used: bool, level: Level) -> None:
    text = "passwd: files\n" if hosts is None else f"passwd: files\nhosts: {hosts} # as it was\n"
    found = order(text, used=used)
    assert found.level is level
    assert bool(found.advice) is (level is not Level.OK)
    assert order(text, used=used, by_dns=True).level is (Level.OK if level is Level.OK else Level.WARNING)


@pytest.mark.parametrize(
    ("nsswitch", "resolv_conf", "used"),
    [
        ("hosts: files dns\n", "nameserver 127.0.0.53\n", True),
        ("hosts: files resolve\n", "", True),
        ("hosts: files dns\n", "nameserver 10.0.0.1\n", False),
        ("", "", False),
    ],
)
def test_systemd_resolved_counts_where_programs_ask_it(nsswitch: str, resolv_conf: str, used: bool) -> None:
    assert uses_resolved(nsswitch, resolv_conf) is used


NO = "[Resolve]\nReadEtcHosts=no\n"
YES = "[Resolve]\n ReadEtcHosts = yes\n"


@pytest.mark.parametrize(
    ("main", "drop_ins", "told_in"),
    [
        ({}, {}, ""),
        ({"/etc/main": NO}, {}, "/etc/main"),
        ({"/etc/main": YES, "/usr/main": NO}, {}, ""),
        ({"/etc/main": NO}, {"/etc/d/a.conf": YES}, ""),
        ({"/etc/main": YES}, {"/usr/d/a.conf": YES, "/etc/d/b.conf": NO}, "/etc/d/b.conf"),
        ({"/etc/main": NO}, {"/etc/d/a.conf": "[Resolve]\nReadEtcHosts=\n"}, ""),
        ({"/etc/main": "#ReadEtcHosts=no\n[Resolve]\n#ReadEtcHosts=no\nCache=no\n"}, {}, ""),
        ({"/etc/main": "[Other]\nReadEtcHosts=no\n"}, {}, ""),
        ({"/etc/main": NO.replace("no", "Off")}, {}, "/etc/main"),
    ],
)
def test_where_systemd_resolved_is_told_not_to_read_the_hosts_file_is_found(
    main: dict[str, str], drop_ins: dict[str, str], told_in: str
) -> None:
    assert reads_hosts(main, drop_ins) == told_in
    found = resolved(told_in, "hosts: resolve [!UNAVAIL=return] files\n", by_dns=False)
    assert found.level is (Level.FAULT if told_in else Level.OK)
    assert told_in in found.detail


def test_that_systemd_resolved_does_not_read_the_hosts_file_matters_less_where_names_are_found_otherwise() -> None:
    assert resolved("/etc/main", "hosts: files dns\n", by_dns=False).level is Level.WARNING
    assert resolved("/etc/main", "hosts: resolve dns\n", by_dns=True).level is Level.OK


def test_drop_ins_are_read_by_name_and_each_from_the_first_directory_that_has_it() -> None:
    etc = {"/etc/d/b.conf": "etc b"}
    usr = {"/usr/d/a.conf": "usr a", "/usr/d/b.conf": "usr b", "/usr/d/c.conf": "usr c"}
    assert list(in_order([etc, usr]).items()) == [
        ("/usr/d/a.conf", "usr a"),
        ("/etc/d/b.conf", "etc b"),
        ("/usr/d/c.conf", "usr c"),
    ]


@pytest.mark.parametrize("name", RESOLVERS)
def test_a_resolver_that_follows_its_recipe_is_ok(name: str) -> None:
    asked = Asked(DNS, ("dtk.io", "lab.io"), name, True)
    files = dict(recipe_for(name, asked.domains, "127.0.0.1", 5053).files)
    there = {path: text for path, text in files.items() if path in recipe_paths(asked.domains)}
    assert recipe(asked, there).level is Level.OK
    for other in (evolve(asked, domains=("dtk.io", "new.io")), evolve(asked, dns=DNSStatus(("127.0.0.1:5054",)))):
        assert recipe(other, there).level is Level.WARNING
        assert recipe(evolve(other, hosts_kept=False), there).level is Level.FAULT


def test_the_setting_of_networkmanager_that_may_stand_elsewhere_is_not_required() -> None:
    assert "/etc/NetworkManager/conf.d/dtkdns.conf" not in recipe_paths(["dtk.io"])


def test_the_recipe_for_older_versions_will_do_for_newer_ones_and_not_the_other_way_round() -> None:
    old, new = (dict(recipe_for(name, ["dtk.io"], "127.0.0.1", 5053).files) for name in list(RESOLVERS)[1::-1])
    assert recipe(Asked(DNS, ("dtk.io",), "systemd-resolved", True), old).level is Level.OK
    assert recipe(Asked(DNS, ("dtk.io",), "systemd-resolved before 258", True), new).level is Level.NOTE


@pytest.mark.parametrize(
    ("resolver", "kept", "level", "said"),
    [
        ("dnsmasq", True, Level.NOTE, "dnsmasq does not ask dtkdns, so names resolve by the hosts file alone"),
        ("dnsmasq", False, Level.FAULT, "no name resolves: no hosts file is kept."),
        (None, True, Level.NOTE, "It cannot be told which one answers"),
        (None, False, Level.FAULT, "It cannot be told which one answers"),
    ],
)
def test_a_resolver_that_does_not_follow_its_recipe_matters_more_without_a_hosts_file(
    resolver: str | None, kept: bool, level: Level, said: str
) -> None:
    found = recipe(Asked(DNS, ("dtk.io",), resolver, kept), {})
    assert found.level is level
    assert said in found.detail
    assert "dtkdns resolver" in found.advice


@pytest.mark.parametrize("resolver", ["dnsmasq", None])
def test_a_wildcard_that_only_dns_can_show_is_a_warning(resolver: str | None) -> None:
    asked = Asked(DNS, ("dtk.io",), resolver, True, ("*.apps.dtk.io",))
    for missing in (asked, evolve(asked, dns=None)):
        found = recipe(missing, {})
        assert found.level is Level.WARNING
        assert "no name of *.apps.dtk.io resolves." in found.detail
        assert "dtkdns resolver" in found.advice


@pytest.mark.parametrize("dns", [None, DNSStatus()])
def test_a_recipe_for_dns_that_is_off_is_a_fault(dns: DNSStatus | None) -> None:
    asked = Asked(dns, ("dtk.io",), "dnsmasq", True)
    assert recipe(asked, {}).level is Level.OK
    found = recipe(asked, {"/etc/dnsmasq.d/dtkdns.conf": ""})
    assert found.level is Level.FAULT
    assert "sudo rm /etc/dnsmasq.d/dtkdns.conf" in found.advice


@pytest.mark.parametrize(
    ("policy", "warned"),
    [
        ('{"DnsOverHttpsMode": "secure", "DnsOverHttpsTemplates": "https://x/q"}', True),
        ('{"DnsOverHttpsMode": "automatic"}', False),
        ('{"HomepageLocation": "x"}', False),
        ("[]", False),
        ("// no JSON", False),
    ],
)
def test_chromium_that_asks_by_https_only_is_a_warning(policy: str, warned: bool) -> None:
    found = list(browsers.chromium({"/etc/chromium/policies/managed/a.json": policy}))
    assert [one.level for one in found] == [Level.WARNING] * warned
    assert all('"automatic"' in one.advice and "/managed/a.json" in one.detail for one in found)


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ('{"policies": {"DNSOverHTTPS": {"Enabled": true, "Locked": true}}}', '"dtk.io","lab.io"'),
        ('{"policies": {"DNSOverHTTPS": {"Enabled": true, "ExcludedDomains": ["dtk.io"]}}}', '"lab.io"'),
        ('{"policies": {"DNSOverHTTPS": {"Enabled": true, "ExcludedDomains": ["Lab.io.", "io"]}}}', ""),
        ('{"policies": {"DNSOverHTTPS": {"Enabled": true, "ExcludedDomains": "io"}}}', '"dtk.io","lab.io"'),
        ('{"policies": {"DNSOverHTTPS": {"Enabled": false, "Locked": true}}}', ""),
        ('{"policies": {"DNSOverHTTPS": true}}', ""),
        ('{"policies": []}', ""),
        ("{", ""),
    ],
)
def test_firefox_that_asks_by_https_for_a_managed_domain_is_a_warning(policy: str, left: str) -> None:
    found = list(browsers.firefox({"/etc/firefox/policies/policies.json": policy}, ["dtk.io", "lab.io"]))
    assert [one.advice for one in found] == [f'Add to "ExcludedDomains" there: {left}.'] * bool(left)
    assert all(one.level is Level.WARNING for one in found)
