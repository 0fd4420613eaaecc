"""What the doctor makes of firewalls, from what each of them says."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dtkdns.access import Interface
from dtkdns.cli.doctor import firewalld, netfilter, ufw
from dtkdns.cli.doctor.finding import Finding, Level
from dtkdns.cli.doctor.firewall import firewall
from dtkdns.cli.doctor.networks import Attached, networks_of_vms, not_heard
from patient import NFT, NO_RULES, Patient

VMS = Attached("virbr0", ipaddress.ip_network("192.168.122.0/24"))
VMS6 = Attached("virbr0", ipaddress.ip_network("fd00:122::/64"))
OTHERS = Attached("vboxnet0", ipaddress.ip_network("192.168.56.0/24"))

UFW = """\
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
5000/tcp                   ALLOW IN    192.168.122.0/24           # dtk names
6000/tcp on virbr0         ALLOW IN    Anywhere                  \n\
22/tcp                     DENY IN     Anywhere                  \n\
22                         ALLOW IN    Anywhere                  \n\
80,443/tcp (Nginx Full)    ALLOW IN    Anywhere                  \n\
7000:7010/tcp              LIMIT IN    Anywhere                  \n\
7100/udp                   ALLOW IN    Anywhere                  \n\
Anywhere on br0            ALLOW IN    Anywhere                  \n\
192.168.122.1 8000/tcp     ALLOW IN    192.168.0.0/16            \n\
8100/tcp                   ALLOW IN    192.168.122.7             \n\
8200/tcp                   ALLOW IN    192.168.122.0/24 99/tcp   \n\
6000/tcp (v6) on virbr0    ALLOW IN    Anywhere (v6)             \n\
9000/tcp                   ALLOW IN    fd00:122::/48             \n\

9100                       ALLOW OUT   Anywhere                  \n\

9200 on eth1               ALLOW FWD   Anywhere on eth0          \n\
"""
ZONES = """\
libvirt
  interfaces: virbr0
docker (default)
  interfaces: docker0 br-1
work
  sources: 10.0.0.0/8 00:11:22:33:44:55
"""
LIBVIRT = """\
libvirt (active)
  target: ACCEPT
  icmp-block-inversion: no
  interfaces: virbr0
  sources: \n\
  services: dhcp dhcpv6 dns ssh tftp
  ports: {ports}
  protocols: icmp ipv6-icmp
  forward: yes
  masquerade: no
  forward-ports: \n\
  source-ports: \n\
  icmp-blocks: \n\
  rich rules: \n\
\trule priority="32767" reject
{rules}"""
PUBLIC = "public (default)\n  target: default\n  ports: \n  rich rules: \n"
TRUSTED = "trusted\n  target: ACCEPT\n  ports: \n  rich rules: \n"


# Whom it is about


def addresses(**found: str) -> list[tuple[str, Interface]]:
    """An address of each interface."""
    return [(name, ipaddress.ip_interface(text)) for name, text in found.items()]


MACHINE = addresses(
    lo="127.0.0.1/8",
    eth0="192.168.0.12/24",
    virbr0="192.168.122.1/24",
    vboxnet0="192.168.56.1/24",
    br0="10.5.0.1/16",
    docker0="fe80::1/64",
)


def test_the_network_that_holds_the_clusters_address_is_the_one() -> None:
    assert networks_of_vms(MACHINE, {"br0"}, ["192.168.122.167"]) == ([VMS], True)
    lan = Attached("eth0", ipaddress.ip_network("192.168.0.0/24"))
    assert networks_of_vms(MACHINE, {"br0"}, ["fd00::7", "192.168.0.99"]) == ([lan], True)


@pytest.mark.parametrize("known", [[], ["203.0.113.7"]])
def test_else_those_that_are_made_for_vms_are_meant(known: list[str]) -> None:
    bridge = Attached("br0", ipaddress.ip_network("10.5.0.0/16"))
    assert networks_of_vms(MACHINE, {"br0", "docker0"}, known) == ([VMS, OTHERS, bridge], False)
    assert networks_of_vms(MACHINE[:2], set(), known) == ([], False)


def test_from_where_somebody_has_called_nothing_is_in_the_way() -> None:
    assert not_heard([VMS, OTHERS], ["192.168.122.167", "a local program"]) == [OTHERS]
    assert not_heard([VMS, VMS6], ["127.0.0.1", "fd00:122::7"]) == [VMS]


# Each of them


@pytest.mark.parametrize("port", [5000, 6000, 80, 443, 7000, 7005, 7010, 8000])
def test_ufw_lets_in_what_a_rule_allows(port: int) -> None:
    assert ufw.lets_in(UFW, VMS, port)


@pytest.mark.parametrize("port", [22, 5001, 81, 6999, 7011, 7100, 8100, 8200, 9000, 9100, 9200])
def test_ufw_refuses_what_no_rule_allows_for_the_whole_network_or_one_denies_first(port: int) -> None:
    assert not ufw.lets_in(UFW, VMS, port)


def test_ufw_tells_networks_interfaces_and_families_apart() -> None:
    assert not ufw.lets_in(UFW, OTHERS, 5000)
    assert not ufw.lets_in(UFW, OTHERS, 6000)
    assert ufw.lets_in(UFW, Attached("br0", VMS.network), 1234)
    assert ufw.lets_in(UFW, VMS6, 9000)
    assert not ufw.lets_in(UFW, VMS6, 5000)
    assert not ufw.lets_in(UFW, VMS6, 8000)


def test_ufw_that_is_off_or_allows_all_lets_in_everything() -> None:
    assert ufw.lets_in("Status: inactive\n", VMS, 1234)
    assert ufw.lets_in(UFW.replace("deny (incoming)", "allow (incoming)"), VMS, 1234)


@pytest.mark.parametrize(
    ("configuration", "on"),
    [("# ENABLED=yes\nENABLED=yes\n", True), ("ENABLED=no\n", False), ("#ENABLED=yes\n", False), ("", False)],
)
def test_whether_ufw_is_on_stands_in_a_file_that_everybody_may_read(configuration: str, on: bool) -> None:
    assert ufw.is_on(configuration) is on


@pytest.mark.parametrize(
    ("interface", "network", "zone"),
    [
        ("virbr0", "192.168.122.0/24", "libvirt"),
        ("br-1", "172.18.0.0/16", "docker"),
        ("virbr0", "10.1.0.0/16", "work"),
        ("vboxnet0", "192.168.56.0/24", "public"),
    ],
)
def test_the_zone_of_firewalld_is_that_of_the_source_the_interface_or_the_default(
    interface: str, network: str, zone: str
) -> None:
    assert firewalld.zone_of(Attached(interface, ipaddress.ip_network(network)), ZONES, "public\n") == zone


@pytest.mark.parametrize(
    ("zone", "open_for_vms"),
    [
        (LIBVIRT.format(ports="", rules=""), False),
        (LIBVIRT.format(ports="5000/tcp", rules=""), True),
        (LIBVIRT.format(ports="4000-5000/tcp 22/tcp", rules=""), True),
        (LIBVIRT.format(ports="5000/udp 5001/tcp", rules=""), False),
        (LIBVIRT.format(ports="", rules='\trule family="ipv4" port port="5000" protocol="tcp" accept\n'), True),
        (LIBVIRT.format(ports="", rules='\trule family="ipv6" port port="5000" protocol="tcp" accept\n'), False),
        (LIBVIRT.format(ports="", rules='\trule family="ipv4" port port="5001" protocol="tcp" accept\n'), False),
        (LIBVIRT.format(ports="", rules='\trule service name="ssh" accept\n'), False),
        (
            LIBVIRT.format(ports="", rules='\trule family="ipv4" source address="192.168.0.0/16" accept\n'),
            True,
        ),
        (LIBVIRT.format(ports="", rules='\trule family="ipv4" source address="10.0.0.0/8" accept\n'), False),
        (PUBLIC, False),
        (TRUSTED, True),
        ("", False),
    ],
)
def test_firewalld_lets_in_what_a_port_a_rule_or_the_target_of_the_zone_allows(
    zone: str, open_for_vms: bool
) -> None:
    assert firewalld.lets_in(zone, VMS, 5000) is open_for_vms


def ruleset(*rules: Sequence[dict[str, Any]], policy: str = "accept", hook: str = "input") -> str:
    """What nft says of one chain with these rules."""
    place = {"family": "inet", "table": "filter"}
    chain = place | {"name": "first", "handle": 1, "type": "filter", "hook": hook, "prio": 0, "policy": policy}
    said = [{"rule": place | {"chain": "first", "handle": 2, "expr": rule}} for rule in rules]
    return json.dumps({"nftables": [{"metainfo": {}}, {"table": place}, {"chain": chain}, *said]})


def to_port(right: object, verdict: str = "accept") -> list[dict[str, Any]]:
    left = {"payload": {"protocol": "tcp", "field": "dport"}}
    return [{"match": {"op": "==", "left": left, "right": right}}, {verdict: None}]


ESTABLISHED = [
    {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established"]}},
    {"accept": None},
]
REJECT = [{"counter": {"packets": 0, "bytes": 0}}, {"reject": {"type": "icmpx", "expr": "port-unreachable"}}]


@pytest.mark.parametrize(
    ("said", "refuses"),
    [
        (NO_RULES, False),
        (ruleset(), False),
        (ruleset(ESTABLISHED, policy="drop"), True),
        (ruleset(ESTABLISHED, REJECT), True),
        (ruleset(to_port(22, "drop")), False),
        (ruleset(policy="drop", hook="forward"), False),
        (ruleset(to_port(22), policy="drop"), True),
        (ruleset(to_port(5000), policy="drop"), False),
        (ruleset(to_port(5000, "drop"), policy="drop"), True),
        (ruleset(to_port({"set": [22, {"range": [4000, 5000]}]}), policy="drop"), False),
        (ruleset(to_port({"range": [5001, 6000]}), policy="drop"), True),
        (ruleset(to_port("@ports"), REJECT), True),
        ("Error: syntax error", False),
    ],
)
def test_rules_that_refuse_unless_the_port_is_named_are_seen(said: str, refuses: bool) -> None:
    assert netfilter.ruleset_refuses(said, 5000) is refuses


LIMITED = [*to_port(5000)[:1], {"limit": {"rate": 10, "per": "second", "inv": True}}, {"drop": None}]
BY_IPTABLES = [*to_port(5000)[:1], {"counter": {}}, {"xt": {"type": "target", "name": "REJECT"}}]


@pytest.mark.parametrize(
    ("said", "forbids"),
    [
        (NO_RULES, False),
        (ruleset(policy="drop"), False),
        (ruleset(to_port(22, "drop")), False),
        (ruleset(to_port(5000, "drop")), True),
        (ruleset(to_port({"range": [4000, 6000]}, "reject")), True),
        (ruleset(BY_IPTABLES), True),
        (ruleset(LIMITED), False),
        (ruleset(LIMITED, to_port(5000, "drop")), True),
        (ruleset(to_port(5000), to_port(5000, "drop")), False),
        (ruleset(to_port(5000, "drop"), hook="forward"), False),
        ("Error: syntax error", False),
    ],
)
def test_a_rule_that_refuses_the_port_by_its_number_is_seen(said: str, forbids: bool) -> None:
    assert netfilter.ruleset_forbids(said, 5000) is forbids


@pytest.mark.parametrize(
    ("said", "forbids"),
    [
        ("-P INPUT DROP\n", False),
        ("-P INPUT ACCEPT\n-A INPUT -i virbr0 -p tcp -m tcp --dport 5000 -j REJECT --reject-with x\n", True),
        ("-A INPUT -p tcp -m tcp --dport 5000 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 5000 -j DROP\n", False),
        ("-A INPUT -p tcp -m tcp --dport 50001 -j DROP\n", False),
    ],
)
def test_a_rule_of_iptables_that_refuses_the_port_by_its_number_is_seen(said: str, forbids: bool) -> None:
    assert netfilter.chain_forbids(said, 5000) is forbids


@pytest.mark.parametrize(
    ("said", "refuses"),
    [
        ("-P INPUT ACCEPT\n", False),
        ("-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n", True),
        ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 5000 -j ACCEPT\n", False),
        ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 5000 -j DROP\n", True),
    ],
)
def test_a_chain_of_iptables_that_refuses_is_seen(said: str, refuses: bool) -> None:
    assert netfilter.chain_refuses(said, 5000) is refuses


# What it comes to


def judged(
    patient: Patient, *networks: Attached, configuration: str = "", certain: bool = True
) -> tuple[Level, str, str]:
    (found,) = firewall(patient.run, configuration, networks, 5000, certain=certain)
    assert isinstance(found, Finding)
    return found.level, found.detail, found.advice


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def test_without_anybody_to_let_in_nothing_is_asked(patient: Patient) -> None:
    patient.said.clear()
    assert judged(patient)[0] is Level.OK


def test_ufw_that_keeps_vms_out_is_a_fault_with_the_command_that_lets_them_in(patient: Patient) -> None:
    patient.said["ufw status verbose"] = (0, UFW)
    assert judged(patient, VMS, configuration="ENABLED=yes\n")[0] is Level.OK
    level, detail, advice = judged(patient, OTHERS, configuration="ENABLED=yes\n")
    assert (level, advice) == (
        Level.FAULT,
        "Open it: sudo ufw allow from 192.168.56.0/24 to any port 5000 proto tcp",
    )
    assert "192.168.56.0/24 (vboxnet0)" in detail
    assert judged(patient, OTHERS, configuration="ENABLED=yes\n", certain=False)[0] is Level.WARNING


def test_firewalld_that_keeps_vms_out_is_a_fault_with_the_command_for_its_zone(patient: Patient) -> None:
    patient.said |= {
        "firewall-cmd --state": (0, "running\n"),
        "firewall-cmd --get-active-zones": (0, ZONES),
        "firewall-cmd --get-default-zone": (0, "public\n"),
        "firewall-cmd --zone=libvirt --list-all": (0, LIBVIRT.format(ports="", rules="")),
        "firewall-cmd --zone=public --list-all": (0, TRUSTED),
    }
    level, _, advice = judged(patient, VMS)
    assert (level, advice) == (
        Level.FAULT,
        "Open it: sudo firewall-cmd --permanent --zone=libvirt --add-port=5000/tcp && sudo firewall-cmd --reload",
    )
    assert judged(patient, OTHERS)[0] is Level.OK


@pytest.mark.parametrize(
    ("command", "output", "look"),
    [
        (NFT, ruleset(policy="drop"), "sudo nft list ruleset"),
        (NFT, ruleset(to_port(5000, "drop")), "sudo nft list ruleset"),
        ("iptables -S INPUT", "-P INPUT DROP\n", "sudo iptables -S INPUT"),
    ],
)
def test_rules_of_ones_own_that_refuse_are_a_warning_with_the_command_to_look(
    patient: Patient, command: str, output: str, look: str
) -> None:
    patient.said = {command: (0, output), "firewall-cmd --state": (252, "")}
    level, detail, advice = judged(patient, VMS)
    assert (level, "port 5000" in detail, look in advice) == (Level.WARNING, True, True)


@pytest.mark.parametrize(
    ("configuration", "said", "who"),
    [
        ("ENABLED=yes\n", {"ufw status verbose": (1, "")}, "ufw"),
        (
            "",
            {"firewall-cmd --state": (0, "running\n"), "firewall-cmd --get-active-zones": (253, "")},
            "firewalld",
        ),
        ("", {NFT: (1, "")}, "The rules of the kernel"),
        ("", {"iptables -S INPUT": (4, "")}, "The rules of the kernel"),
    ],
)
def test_a_firewall_that_does_not_tell_this_user_is_a_note(
    patient: Patient, configuration: str, said: dict[str, tuple[int, str]], who: str
) -> None:
    patient.said = said
    level, detail, advice = judged(patient, VMS, configuration=configuration)
    assert (level, advice) == (Level.NOTE, "Run this with sudo.")
    assert detail.startswith(who)


def test_a_machine_without_a_firewall_is_ok(patient: Patient) -> None:
    assert judged(patient, VMS)[0] is Level.OK
    patient.said.clear()
    assert judged(patient, VMS)[0] is Level.OK
