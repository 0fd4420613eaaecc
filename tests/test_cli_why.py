"""What is found out about one name, and what it comes to."""

from __future__ import annotations

import io
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from rich.console import Console
from twisted.internet import reactor

from dtkdns.cli import way
from dtkdns.cli.conclusion import conclusion
from dtkdns.cli.unsent import MANY
from dtkdns.cli.way import NAMESERVER, OWN_DNS, STUB, SYSTEM, Answer, Facts, Line, Record, find_out
from dtkdns.cli.why import explanation, screen
from dtkdns.status import (
    ClusterStatus,
    ConflictStatus,
    ExternalDNSStatus,
    HiddenStatus,
    NameStatus,
    ServiceStatus,
    StoreStatus,
)
from examples import ADDRESS, HEALTHY, NOW, SHADOWED, WELL
from running import endpoint, running
from test_cli_names import calling

SILENT = (Answer(SYSTEM, ()), Answer(OWN_DNS, (ADDRESS,)))
WILD = evolve(
    HEALTHY, names=(NameStatus("*.apps.dtk.io", (ADDRESS,), "default", "", 0, NOW - timedelta(minutes=2)),)
)
NOTHING = Facts("nope.dtk.io", HEALTHY, answers=(Answer(SYSTEM, ()),), now=NOW)


UNSHOWN_WILDCARD = HiddenStatus(
    "*.apps.dtk.io", "A", "", "default", "wildcard", "a hosts file has no wildcards", ("hosts",)
)
ELSEWHERE = (Answer(SYSTEM, ("10.9.9.9",)), Answer(OWN_DNS, (ADDRESS,)))


def contested(kind: str, sentence: str) -> Facts:
    return evolve(WELL, status=evolve(HEALTHY, conflicts=(ConflictStatus("foo.dtk.io", kind, sentence),)))


def hidden(reason: str, record_type: str, sentence: str, *faces: str) -> ServiceStatus:
    one = HiddenStatus("foo.dtk.io", record_type, "", "default", reason, sentence, faces)
    return evolve(HEALTHY, names=(), hidden=(one,))


def test_a_name_with_which_all_is_well_has_no_complaint() -> None:
    assert conclusion(WELL) == (
        True,
        f"All is well: it resolves to {ADDRESS}, where something listens on port 80 and 443.",
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (evolve(NOTHING, name="a_b.dtk.io"), "a_b.dtk.io is no host name"),
        (
            evolve(NOTHING, status=evolve(HEALTHY, clusters=(ClusterStatus("default", (), (), 0, 0),))),
            "No domain is managed: start dtkdns with --domains",
        ),
        (evolve(NOTHING, name="foo.example.com"), "It lies in none of the managed domains (dtk.io)"),
        (
            evolve(NOTHING, status=evolve(HEALTHY, external_dns=())),
            "no external-dns was seen since dtkdns started",
        ),
        (NOTHING, "kubectl get ingress -A)? external-dns was last seen 2 s ago."),
        (
            evolve(NOTHING, now=NOW + timedelta(minutes=5)),
            "external-dns has been silent for 5 min: is it running (kubectl -n external-dns get pods)?",
        ),
        (
            evolve(NOTHING, status=evolve(HEALTHY, store=StoreStatus(0, "The disk is full."), clusters=())),
            "Whether one was sent is not known: The disk is full.",
        ),
        (
            evolve(NOTHING, status=evolve(HEALTHY, dns=evolve(HEALTHY.dns, held=True))),
            "The stored records were lost, and external-dns has not sent them again",
        ),
        (
            evolve(NOTHING, name="x.apps.dtk.io", status=evolve(HEALTHY, names=(), hidden=(UNSHOWN_WILDCARD,))),
            "*.apps.dtk.io was sent and covers it, but only DNS can show a wildcard, and dtkdns answers none",
        ),
        (
            evolve(
                WELL, status=hidden("unmanaged", "CNAME", "it lies in none of the managed domains", "dns", "hosts")
            ),
            "because its CNAME record is not shown: it lies in none of the managed domains. Manage its domain",
        ),
        (
            evolve(
                WELL,
                status=hidden("type", "TXT", "a hosts file holds addresses only", "hosts"),
                records=(Record("default", "TXT", ("x",), ""),),
            ),
            "no A, AAAA or CNAME record was sent, but TXT, which DNS answers.",
        ),
        (
            evolve(
                WELL,
                status=evolve(HEALTHY, hosts=evolve(HEALTHY.hosts, shadowed={"foo.dtk.io": "10.9.9.9"})),
                lines=(Line(3, "10.9.9.9 foo.dtk.io", True), WELL.lines[0]),
            ),
            f"A line of your own in /etc/hosts says 10.9.9.9, and it wins (line 3): remove it to see the cluster's"
            f" {ADDRESS}.",
        ),
        (
            evolve(WELL, status=evolve(HEALTHY, hosts=evolve(HEALTHY.hosts, failing="The disk is full."))),
            "/etc/hosts is not as it should be: The disk is full.",
        ),
        (
            evolve(WELL, status=evolve(HEALTHY, hosts=evolve(HEALTHY.hosts, held=True))),
            "/etc/hosts is not as it should be: it waits for external-dns",
        ),
        (
            contested("cluster", "cluster lab: cluster default had the name first and keeps it"),
            "(cluster lab: cluster default had the name first and keeps it): give one of the two Ingresses",
        ),
        (
            contested("fight", "two external-dns undo each other's A record in cluster default: give each a base"),
            "It comes and goes, because two external-dns undo each other's A record in cluster default: give each",
        ),
        (
            evolve(WELL, answers=SILENT, lines=()),
            "says nothing, and /etc/hosts does not have the name, which dtkdns shows: does it run with --dry-run",
        ),
        (
            evolve(WELL, answers=ELSEWHERE, lines=(Line(7, "10.9.9.9 foo.dtk.io # x", False),)),
            "says 10.9.9.9, as line 7 of /etc/hosts has it, in a block that is stale: start dtkdns again",
        ),
        (
            evolve(WELL, answers=ELSEWHERE, lines=(Line(7, "10.9.9.9 foo.dtk.io", True),)),
            "says 10.9.9.9, as line 7 of /etc/hosts has it, which is your own, and wins: remove it.",
        ),
        (
            evolve(
                WELL,
                answers=ELSEWHERE,
                lines=(Line(7, "10.9.9.9 foo.dtk.io # x", False),),
                status=evolve(HEALTHY, hosts=None),
            ),
            "although this one keeps no hosts file: if no other dtkdns keeps it, remove the lines from '# BEGIN",
        ),
        (
            evolve(
                WELL,
                status=evolve(HEALTHY, clusters=(ClusterStatus("default", ("dtk.io",), (), 1, 1),)),
                listening=frozenset(),
            ),
            f"It resolves to {ADDRESS}, as the cluster itself says, and nothing takes connections there",
        ),
        (
            evolve(WELL, answers=SILENT),
            f"This system's resolver says nothing, although the hosts file has the name. {WELL.resolver_advice}",
        ),
        (
            evolve(WELL, answers=SILENT, status=evolve(HEALTHY, hosts=evolve(HEALTHY.hosts, path="/tmp/hosts"))),
            "dtkdns keeps /tmp/hosts, and the resolver reads /etc/hosts. Give no --hosts-file.",
        ),
        (
            evolve(WELL, name="x.apps.dtk.io", status=WILD, records=(), lines=(), answers=SILENT),
            "because it does not ask dtkdns, which knows the name: set up your resolver",
        ),
        (
            evolve(WELL, status=evolve(HEALTHY, hosts=None), lines=(), answers=(Answer(SYSTEM, ("10.9.9.9",)),)),
            "This system's resolver says 10.9.9.9, and dtkdns' DNS server is off or does not answer",
        ),
        (
            evolve(WELL, listening=frozenset()),
            f"It resolves to {ADDRESS}, but nothing takes connections there on port 80 or 443",
        ),
    ],
)
def test_each_fault_is_named_with_what_to_do(facts: Facts, said: str) -> None:
    well, sentence = conclusion(facts)
    assert not well
    assert said in sentence


def seen(facts: Facts, *, width: int = 80, **how: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, **how).print(screen(facts))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_screen_has_the_whole_way_and_the_conclusion_last() -> None:
    sender = evolve(HEALTHY.external_dns[0], last_change=NOW - timedelta(minutes=2))
    text = HiddenStatus("foo.dtk.io", "TXT", "", "default", "data", "it is no text", ("dns", "hosts"))
    mixed = evolve(
        WELL,
        answers=(*WELL.answers, Answer(STUB, (ADDRESS,)), Answer(NAMESERVER, (), "no answer", "10.0.0.53:53")),
        status=evolve(HEALTHY, external_dns=(sender,), hidden=(text,)),
    )
    assert seen(mixed) == [
        "foo.dtk.io",
        "",
        "managed                   yes, dtk.io (cluster default)",
        "sent (default)            CNAME foo.dtk.io, from ingress/default/test",
        "external-dns (default)    last seen 2 s ago, last change 2 min ago",
        "shown                     192.168.122.167, for 2 min",
        "not shown                 TXT, in DNS and the hosts file: it is no text",
        "line 7                    192.168.122.167 foo.dtk.io # ingress/default/test",
        "this system's resolver    192.168.122.167",
        "dtkdns' DNS server        192.168.122.167",
        "systemd-resolved          192.168.122.167",
        "the nameserver 10.0.0.53  no answer",
        "192.168.122.167           listens on 80 and 443",
        "",
        "All is well: it resolves to 192.168.122.167, where something listens on port 80",
        "and 443.",
    ]


def test_a_name_that_nobody_sent_has_a_screen_too() -> None:
    said = "\n".join(seen(evolve(WELL, name="x.apps.dtk.io", status=WILD, records=(), lines=())))
    assert "sent                    nothing" in said
    assert "by *.apps.dtk.io, for 2 min" in said
    assert "no line has it" in said
    bare = evolve(NOTHING, status=evolve(HEALTHY, external_dns=(), clusters=()))
    assert "managed                 no, there is no managed domain" in seen(bare)
    assert "external-dns            not seen since dtkdns started" in seen(bare)
    other = evolve(NOTHING, name="nope.io", listening=frozenset())
    assert "managed                 no, only what lies in dtk.io" in seen(other)


def test_what_is_wrong_is_red_on_a_terminal_and_what_is_right_green() -> None:
    said = "\n".join(seen(SHADOWED, force_terminal=True, color_system="standard"))
    for wrong in ("10.0.0.7  foo.dtk.io  # try the old machine", "A line of your own in /etc/hosts"):
        assert f"\x1b[1;31m{wrong}" in said
    assert said.count("\x1b[1;31m10.0.0.7") == 3
    assert f"\x1b[32m{ADDRESS}" in said
    assert "\x1b[" not in "\n".join(seen(SHADOWED))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_that_is_long_is_cut_or_wider_than_the_terminal(width: int) -> None:
    name = f"{'a' * 62}.{'b' * 40}.dtk.io"
    address = "fd00:1234:5678:9abc:def0:1234:5678:9abc"
    facts = Facts(
        name,
        evolve(HEALTHY, names=(evolve(HEALTHY.names[0], name=name, addresses=(address,)),)),
        (Record("c" * 63, "CNAME", (name,), "ingress/default/test"),),
        (Line(1234567, f"{address} {name} # [red]x[/red]", True),),
        (Answer(SYSTEM, (address,)), Answer(NAMESERVER, (), "no answer", f"[{address}]:53")),
        now=NOW,
    )
    lines = seen(facts, width=width)
    assert max(map(len, lines)) <= width
    said = "".join("".join(lines).split())
    assert "[red]x[/red]" in said
    assert said.count("c") >= 63


def test_of_many_managed_domains_the_first_are_said() -> None:
    domains = tuple(f"d{number}.io" for number in range(MANY + 2))
    cluster = ClusterStatus("default", domains, (ADDRESS,), 0, 0)
    _, sentence = conclusion(evolve(NOTHING, status=evolve(HEALTHY, clusters=(cluster,))))
    assert "(d0.io, d1.io, d2.io, d3.io, d4.io and 2 more)" in sentence


def test_a_conflict_about_another_name_is_none_of_this_one() -> None:
    other = ConflictStatus("bar.dtk.io", "cluster", "cluster lab: cluster default had the name first and keeps it")
    assert conclusion(evolve(WELL, status=evolve(HEALTHY, conflicts=(other,))))[0]


def test_the_wildcard_that_covers_a_name_is_the_nearest_one() -> None:
    hidden = (evolve(UNSHOWN_WILDCARD, name="*.dtk.io"), UNSHOWN_WILDCARD, evolve(UNSHOWN_WILDCARD, name="*.o.io"))
    facts = evolve(NOTHING, name="x.apps.dtk.io", status=evolve(HEALTHY, hidden=hidden))
    assert facts.wildcard == UNSHOWN_WILDCARD
    assert evolve(facts, name="x.lab.dtk.io").wildcard == hidden[0]
    assert evolve(facts, name="apps.example.com").wildcard is None


def test_programs_get_the_facts_and_the_conclusion() -> None:
    peers = [ExternalDNSStatus("default", f"10.0.0.{at}", NOW - timedelta(hours=at), None, None) for at in (2, 1)]
    stranger = ExternalDNSStatus("lab", "10.0.0.9", NOW, None, None)
    facts = evolve(SHADOWED, status=evolve(SHADOWED.status, external_dns=(*peers, stranger)))
    assert msgspec.json.decode(msgspec.json.encode(explanation(facts))) == {
        "name": "foo.dtk.io",
        "well": False,
        "conclusion": conclusion(facts)[1],
        "managed": [{"cluster": "default", "domain": "dtk.io"}],
        "records": [
            {
                "cluster": "default",
                "record_type": "CNAME",
                "targets": ["foo.dtk.io"],
                "resource": "ingress/default/test",
            }
        ],
        "external_dns": [
            {
                "cluster": "default",
                "peer": "10.0.0.1",
                "last_pass": "2026-11-23T11:00:00Z",
                "last_change": None,
                "interval": None,
            }
        ],
        "shown": {
            "name": "foo.dtk.io",
            "addresses": [ADDRESS],
            "cluster": "default",
            "resource": "ingress/default/test",
            "ttl": 0,
            "since": "2026-11-23T11:58:00Z",
        },
        "hidden": [],
        "lines": [{"number": 9, "text": "10.0.0.7  foo.dtk.io  # try the old machine", "own": True}],
        "answers": [
            {"who": "system", "addresses": ["10.0.0.7"], "fault": "", "at": ""},
            {"who": "dtkdns", "addresses": [ADDRESS], "fault": "", "at": "127.0.0.1:5053"},
            {"who": "systemd-resolved", "addresses": ["10.0.0.7"], "fault": "", "at": "127.0.0.53:53"},
            {
                "who": "nameserver",
                "addresses": [],
                "fault": "there is no such name (NXDOMAIN)",
                "at": "192.168.0.1:53",
            },
        ],
        "listening": [{"address": ADDRESS, "ports": [80, 443]}],
    }


@pytest.mark.parametrize(
    ("text", "runs", "found"),
    [
        ("nameserver 127.0.0.53\n", "nameserver 10.0.0.1\n", {STUB: "127.0.0.53:53", NAMESERVER: "10.0.0.1:53"}),
        ("nameserver 127.0.0.53\n", "", {STUB: "127.0.0.53:53"}),
        ("# x\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n", None, {NAMESERVER: "10.0.0.53:53"}),
        ("nameserver fd00::53\n", None, {NAMESERVER: "[fd00::53]:53"}),
        ("nameserver 127.0.0.53\n", None, {}),
        ("", None, {}),
        (None, None, {}),
    ],
)
def test_the_nameservers_of_this_machine_are_asked(
    text: str | None, runs: str | None, found: dict[str, str], tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "resolv.conf").write_text(text)
    if runs is not None:
        (tmp_path / "resolve").mkdir()
        (tmp_path / "resolve" / "resolv.conf").write_text(runs)
    assert way._nameservers(tmp_path / "resolv.conf", tmp_path / "resolve") == found


@ensureDeferred
async def test_everybody_is_asked_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf,
    ):
        deaf.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        monkeypatch.setattr(way, "PORTS", (port,))
        monkeypatch.setattr(way, "LOOK_SECONDS", 0.2)
        servers = {NAMESERVER: f"127.0.0.1:{deaf.getsockname()[1]}"}
        monkeypatch.setattr(way, "_nameservers", lambda *_paths: servers)

        async def resolved(_name: str) -> list[str]:
            return ["127.0.0.1"]

        monkeypatch.setattr(way, "resolved", resolved)
        async with running(tmp_path, "--cluster-ip", "127.0.0.1,::1") as service, calling(service) as webhook:
            labels = {"resource": "ingress/default/test"}
            await service.change(create=[endpoint("foo.dtk.io", "foo.dtk.io", kind="CNAME", labels=labels)])
            facts = await find_out(webhook, "FOO.dtk.io", reactor)
            assert facts.status.dns is not None
            own_dns = facts.status.dns.addresses[0]
            assert facts.records == (Record("default", "CNAME", ("foo.dtk.io",), "ingress/default/test"),)
            assert [(line.text, line.own) for line in facts.lines] == [
                ("127.0.0.1 foo.dtk.io # ingress/default/test", False),
                ("::1 foo.dtk.io # ingress/default/test", False),
            ]
            assert facts.answers == (
                Answer(SYSTEM, ("127.0.0.1",)),
                Answer(OWN_DNS, ("127.0.0.1", "::1"), "", own_dns),
                Answer(NAMESERVER, (), "no answer", servers[NAMESERVER]),
            )
            assert facts.listening == {("127.0.0.1", port)}
            assert conclusion(facts)[0]
            missing = await find_out(webhook, "no.dtk.io", reactor)
            assert missing.answers[1] == Answer(OWN_DNS, (), "there is no such name (NXDOMAIN)", own_dns)
            refused = await find_out(webhook, "a.io", reactor)
            assert refused.answers[1] == Answer(OWN_DNS, (), "it fails (QueryRefused)", own_dns)


@ensureDeferred
async def test_a_line_of_the_users_own_is_told_from_that_of_dtkdns(tmp_path: Path) -> None:
    async with running(tmp_path, "--cluster-ip", "10.0.0.1,::1") as service, calling(service) as webhook:
        await service.change(create=[endpoint("foo.dtk.io", "10.0.0.9")])
        before = service.hosts.count(b"\n")
        with (tmp_path / "hosts").open("ab") as hosts:
            hosts.write(b"10.9.9.9\tFOO.dtk.io # \x1b[2J\r\n")
        facts = await find_out(webhook, "foo.dtk.io", reactor)
    assert facts.lines[-1] == Line(before + 1, "10.9.9.9\\tFOO.dtk.io # \\x1b[2J", True)
    assert [line.own for line in facts.lines] == [False, False, True]


@ensureDeferred
@pytest.mark.parametrize(
    ("name", "shown"),
    [("", ""), ("a..b", "a..b"), ("x\x1b[2J", "x\\x1b[2j"), ("a" * 300, "a" * 300)],
    ids=["empty", "no label", "escape sequence", "too long"],
)
async def test_nobody_is_asked_of_what_can_be_no_name(name: str, shown: str, tmp_path: Path) -> None:
    async with running(tmp_path) as service, calling(service) as webhook:
        facts = await find_out(webhook, name, reactor)
    assert (facts.name, facts.answers, facts.lines) == (shown, (), ())
    assert conclusion(facts)[1].endswith(" is no host name: letters, digits and hyphens, with dots between.")
