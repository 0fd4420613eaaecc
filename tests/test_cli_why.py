"""What is found out about one name, and what it comes to."""

from __future__ import annotations

import io
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from rich.console import Console
from twisted.internet import reactor

from dtkdns.cli import why
from dtkdns.cli.why import OWN_DNS, SYSTEM, Answer, Facts, Record, conclusion, find_out, screen
from dtkdns.status import ClusterStatus, HiddenStatus, NameStatus, ServiceStatus
from running import endpoint, running
from test_cli_names import calling
from test_cli_status import HEALTHY, NOW

ADDRESS = "192.168.122.167"
LINE = (7, f"{ADDRESS} foo.dtk.io # ingress/default/test")
ADVICE = "Put 'files' in front."
WELL = Facts(
    "foo.dtk.io",
    HEALTHY,
    (Record("default", "CNAME", ("foo.dtk.io",), "ingress/default/test"),),
    (LINE,),
    (Answer(SYSTEM, (ADDRESS,)), Answer(OWN_DNS, (ADDRESS,))),
    frozenset({(ADDRESS, 443), (ADDRESS, 80)}),
    ADVICE,
    NOW,
)
SILENT = (Answer(SYSTEM, ()), Answer(OWN_DNS, (ADDRESS,)))
WILD = evolve(
    HEALTHY, names=(NameStatus("*.apps.dtk.io", (ADDRESS,), "default", "", 0, NOW - timedelta(minutes=2)),)
)
NOTHING = Facts("nope.dtk.io", HEALTHY, answers=(Answer(SYSTEM, ()),), now=NOW)


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
            evolve(
                WELL, status=hidden("unmanaged", "CNAME", "it lies in none of the managed domains", "dns", "hosts")
            ),
            "It has no address, because its CNAME record is not shown: it lies in none of the managed domains.",
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
                lines=((3, "10.9.9.9 foo.dtk.io"),),
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
            evolve(WELL, answers=SILENT),
            f"This system's resolver says nothing, although the hosts file has the name. {ADVICE}",
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


def test_the_screen_has_the_whole_way_and_the_conclusion_last() -> None:
    out = io.StringIO()
    mixed = evolve(
        WELL,
        answers=(*WELL.answers, Answer("the nameserver 10.0.0.53", (), "no answer")),
        status=evolve(HEALTHY, hidden=hidden("data", "TXT", "it is no text", "dns", "hosts").hidden),
    )
    Console(file=out, width=80).print(screen(mixed))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines == [
        "foo.dtk.io",
        "",
        "sent (default)            CNAME foo.dtk.io, from ingress/default/test",
        "shown                     192.168.122.167, for 2 min",
        "not shown                 TXT: it is no text",
        "line 7                    192.168.122.167 foo.dtk.io # ingress/default/test",
        "this system's resolver    192.168.122.167",
        "dtkdns' DNS server        192.168.122.167",
        "the nameserver 10.0.0.53  no answer",
        "192.168.122.167           listens on 80, 443",
        "",
        "All is well: it resolves to 192.168.122.167, where something listens on port 80",
        "and 443.",
    ]


def test_a_name_that_nobody_sent_has_a_screen_too() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(
        screen(evolve(WELL, name="x.apps.dtk.io", status=WILD, records=(), lines=()))
    )
    said = out.getvalue()
    assert "sent                    nothing" in said
    assert "by *.apps.dtk.io, for 2 min" in said
    assert "no line has it" in said


@pytest.mark.parametrize(
    ("text", "runs", "found"),
    [
        ("nameserver 127.0.0.53\n", True, {"systemd-resolved": "127.0.0.53:53"}),
        ("# x\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n", False, {"the nameserver 10.0.0.53": "10.0.0.53:53"}),
        ("nameserver fd00::53\n", False, {"the nameserver fd00::53": "[fd00::53]:53"}),
        ("", False, {}),
        (None, False, {}),
    ],
)
def test_the_nameservers_of_this_machine_are_asked(
    text: str | None, runs: bool, found: dict[str, str], tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "resolv.conf").write_text(text)
    running_directory = tmp_path if runs else tmp_path / "missing"
    assert why._nameservers(tmp_path / "resolv.conf", running_directory) == found


@ensureDeferred
async def test_everybody_is_asked_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf,
    ):
        deaf.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        monkeypatch.setattr(why, "PORTS", (port,))
        monkeypatch.setattr(why, "LOOK_SECONDS", 0.2)
        servers = {"a deaf one": f"127.0.0.1:{deaf.getsockname()[1]}"}
        monkeypatch.setattr(why, "_nameservers", lambda *_paths: servers)

        async def resolved(_name: str) -> list[str]:
            return ["127.0.0.1"]

        monkeypatch.setattr(why, "resolved", resolved)
        async with running(tmp_path, "--cluster-ip", "127.0.0.1,::1") as service, calling(service) as webhook:
            labels = {"resource": "ingress/default/test"}
            await service.change(create=[endpoint("foo.dtk.io", "foo.dtk.io", kind="CNAME", labels=labels)])
            facts = await find_out(webhook, "FOO.dtk.io", reactor)
            assert facts.records == (Record("default", "CNAME", ("foo.dtk.io",), "ingress/default/test"),)
            assert [text for _, text in facts.lines] == [
                "127.0.0.1 foo.dtk.io # ingress/default/test",
                "::1 foo.dtk.io # ingress/default/test",
            ]
            assert facts.answers == (
                Answer(SYSTEM, ("127.0.0.1",)),
                Answer(OWN_DNS, ("127.0.0.1", "::1")),
                Answer("a deaf one", (), "no answer"),
            )
            assert facts.listening == {("127.0.0.1", port)}
            assert conclusion(facts)[0]
            own = next(
                one for one in (await find_out(webhook, "no.dtk.io", reactor)).answers if one.who == OWN_DNS
            )
            assert own == Answer(OWN_DNS, (), "there is no such name (NXDOMAIN)")
            own = next(one for one in (await find_out(webhook, "a.io", reactor)).answers if one.who == OWN_DNS)
            assert own == Answer(OWN_DNS, (), "it fails (QueryRefused)")
