"""`dtkdns resolver --apply` and `--undo` below a scratch root, with programs that only note their calls."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve, frozen
from click.testing import CliRunner
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from dtkdns.cli import plan
from dtkdns.cli.machine import Machine
from dtkdns.cli.plan import make
from dtkdns.cli.resolver import asked, following
from dtkdns.cli.resolver.applied import keep, steps_to_apply, steps_to_undo, taken_back
from dtkdns.cli.resolver.asked import Asked, Example, example, leads_elsewhere, settled
from dtkdns.cli.resolver.command import recipe_settings, set_up_resolver
from dtkdns.cli.resolver.following import apply, undo
from dtkdns.cli.resolver.recipes import Recipe, recipe_for
from dtkdns.cli.resolver.required import DAEMONS, fitting, require, require_sound, without_what_is_there
from dtkdns.smoke.report import FaultError
from dtkdns.status import DNSStatus, HostsStatus, NameStatus, ServiceStatus
from running import running
from test_cli_status import HEALTHY, NOW

ADDRESS = "192.168.122.167"
OWN = ("127.0.0.1", 5053)
DNSMASQ_FILE = "/etc/dnsmasq.d/dtkdns.conf"
DELEGATE_FILE = "/etc/systemd/dns-delegate.d/dtkdns.dns-delegate"
LINK_FILE = "/etc/systemd/system/dtkdns-resolved.service"
LINK = "systemd-resolved before 258"
FIRST_OF_NETWORKMANAGER, SECOND_OF_NETWORKMANAGER = (
    "/etc/NetworkManager/conf.d/dtkdns.conf",
    "/etc/NetworkManager/dnsmasq.d/dtkdns.conf",
)

_PROGRAM = """\
#!/bin/sh
PATH=/usr/bin:/bin
echo "${0##*/} $*" >> "@/calls"
for last do :; done
case "${0##*/} $*" in
    "systemctl show "*) cat "@/units/$last" 2>/dev/null ;;
    *) cat "@/said/${0##*/}" 2>/dev/null ;;
esac
! grep -qxF "${0##*/} $*" "@/failing" 2>/dev/null || { echo "no such luck" >&2; exit 1; }
"""


@frozen
class Scratch:
    """A machine without a resolver, until it is given one."""

    directory: Path

    @property
    def machine(self) -> Machine:
        return Machine(self.directory / "root")

    def write(self, path: str, text: str) -> None:
        there = Path(self.machine.at(path))
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)

    def unit(
        self, name: str, *, active: bool = True, enabled: bool = True, since: float = 0, process: int = 0
    ) -> None:
        """What systemd says of a service."""
        states = (
            f"ActiveState={'active' if active else 'failed'}\nUnitFileState={'enabled' if enabled else 'static'}\n"
        )
        times = f"ActiveEnterTimestamp=@{int(since or time.time() + 60)}\nMainPID={process}\n"
        (self.directory / "units" / name).write_text(states + times)

    def says(self, program: str, text: str) -> None:
        (self.directory / "said" / program).write_text(text)

    def fails(self, *commands: str) -> None:
        (self.directory / "failing").write_text("\n".join(commands))

    def calls(self) -> list[str]:
        """What was called since the last look, but for questions."""
        path = self.directory / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return [line for line in lines if not line.startswith(("systemctl show", "journalctl", "resolvectl"))]

    def files(self) -> dict[str, str]:
        root = Path(self.machine.root)
        return {f"/{path.relative_to(root)}": path.read_text() for path in root.rglob("*") if path.is_file()}

    def apply(self, recipe: Recipe) -> None:
        make(steps_to_apply(recipe, self.machine))
        for name in {recipe.apply[-1].split()[-1], DAEMONS[recipe.resolver]}:
            self.unit(name)
        self.calls()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    for name in ("bin", "root", "units", "said"):
        (tmp_path / name).mkdir()
    for name in ("systemctl", "journalctl", "resolvectl", "dnsmasq", "unbound-checkconf"):
        program = tmp_path / "bin" / name
        program.write_text(_PROGRAM.replace("@", str(tmp_path)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    made = Scratch(tmp_path)
    for daemon in set(DAEMONS.values()):
        made.unit(daemon)
    return made


def recipe(resolver: str, *domains: str) -> Recipe:
    return recipe_for(resolver, domains or ["dtk.io"], *OWN)


def first_lines(steps: Sequence[object]) -> list[str]:
    return plan.described(steps)  # type: ignore[arg-type]


# What is to be done


@pytest.mark.parametrize("resolver", DAEMONS)
def test_what_is_done_and_undone_is_the_recipe(resolver: str, scratch: Scratch) -> None:
    wanted = recipe(resolver)
    make(steps_to_apply(wanted, scratch.machine))
    assert scratch.files() == dict(wanted.files)
    assert scratch.calls() == [command.removeprefix("sudo ") for command in wanted.apply]
    make(steps_to_undo(resolver, scratch.machine))
    assert scratch.files() == {}
    assert scratch.calls() == [
        command.removeprefix("sudo ") for command in wanted.undo if not command.startswith("sudo rm")
    ]


@pytest.mark.parametrize("resolver", DAEMONS)
def test_what_is_in_place_needs_nothing_and_what_is_not_there_no_removal(resolver: str, scratch: Scratch) -> None:
    scratch.apply(recipe(resolver))
    assert steps_to_apply(recipe(resolver), scratch.machine) == []
    assert [one for one in DAEMONS if steps_to_undo(one, scratch.machine)] == [resolver]


@pytest.mark.parametrize("resolver", DAEMONS)
def test_another_domain_is_written_and_read(resolver: str, scratch: Scratch) -> None:
    scratch.apply(recipe(resolver))
    steps = steps_to_apply(recipe(resolver, "dtk.io", "lab.io"), scratch.machine)
    assert first_lines(steps)[0] == f"change {scratch.machine.at(recipe(resolver).files[-1][0])}"
    make(steps)
    assert scratch.files() == dict(recipe(resolver, "dtk.io", "lab.io").files)
    assert scratch.calls()[-1] == f"systemctl restart {recipe(resolver).apply[-1].split()[-1]}"


@pytest.mark.parametrize("resolver", DAEMONS)
def test_a_file_that_was_written_after_the_start_is_read(resolver: str, scratch: Scratch) -> None:
    scratch.apply(recipe(resolver))
    unit = recipe(resolver).apply[-1].split()[-1]
    scratch.unit(unit, since=time.time() - 60)
    assert first_lines(steps_to_apply(recipe(resolver), scratch.machine))[-1] == f"run systemctl restart {unit}"


def test_a_link_that_is_not_brought_up_at_the_next_start_is_enabled(scratch: Scratch) -> None:
    scratch.apply(recipe(LINK))
    scratch.unit("dtkdns-resolved", enabled=False)
    assert first_lines(steps_to_apply(recipe(LINK), scratch.machine)) == [
        "run systemctl daemon-reload",
        "run systemctl enable --now dtkdns-resolved",
    ]


def test_the_other_recipe_for_the_same_service_goes(scratch: Scratch) -> None:
    scratch.apply(recipe("systemd-resolved"))
    make(steps_to_apply(recipe(LINK), scratch.machine))
    assert list(scratch.files()) == [LINK_FILE]
    assert scratch.calls()[0] == "systemctl restart systemd-resolved"


def test_undoing_does_not_start_a_service_that_does_not_run(scratch: Scratch) -> None:
    scratch.apply(recipe("dnsmasq"))
    scratch.unit("dnsmasq", active=False)
    assert first_lines(steps_to_undo("dnsmasq", scratch.machine)) == [f"remove {scratch.machine.at(DNSMASQ_FILE)}"]


# What a recipe needs


@pytest.mark.parametrize(
    ("version", "status", "chosen", "reason"),
    [
        ("systemd 258 (258)", "Global\n  Protocols: DNSSEC=no/unsupported\nLink 2\n DNSSEC=yes", None, ""),
        ("systemd 252 (252)", "", LINK, "before 258 knows no delegates"),
        (
            "systemd 258 (258)",
            "Global\n  Protocols: -DNSOverTLS DNSSEC=yes/supported\n",
            LINK,
            "With DNSSEC=yes no",
        ),
        (
            "systemd 258 (258)",
            "Global\n  Protocols: DNSSEC=allow-downgrade/x\n",
            LINK,
            "With DNSSEC=allow-downgrade no",
        ),
        ("systemd 258 (258)", "Global\n  Protocols: +DNSOverTLS DNSSEC=no\n", LINK, "With +DNSOverTLS no"),
    ],
)
def test_where_delegates_would_not_do_resolved_gets_a_link(
    version: str, status: str, chosen: str | None, reason: str, scratch: Scratch
) -> None:
    scratch.says("resolvectl", f"{version}\n{status}")
    found, said = fitting("systemd-resolved", scratch.machine)
    assert found == (chosen or "systemd-resolved")
    assert reason in said
    assert bool(said) is (chosen is not None)


def test_a_link_that_is_there_stays_and_other_recipes_are_what_was_asked_for(scratch: Scratch) -> None:
    scratch.says("resolvectl", "systemd 258 (258)\n")
    assert fitting("dnsmasq", scratch.machine) == ("dnsmasq", "")
    scratch.apply(recipe(LINK))
    assert fitting("systemd-resolved", scratch.machine)[0] == LINK


@pytest.mark.parametrize("resolver", DAEMONS)
def test_a_service_that_does_not_run_is_not_set_up(resolver: str, scratch: Scratch) -> None:
    scratch.unit(DAEMONS[resolver], active=False)
    with pytest.raises(FaultError, match=f"systemd does not run {DAEMONS[resolver]} here"):
        require(resolver, scratch.machine)


def test_resolved_needs_nothing_but_to_run(scratch: Scratch) -> None:
    require("systemd-resolved", scratch.machine)
    require(LINK, scratch.machine)


def test_without_a_systemd_nothing_is_set_up(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FaultError, match="systemd does not run dnsmasq here"):
        require("dnsmasq", scratch.machine)


def test_on_macos_it_is_done_by_hand(scratch: Scratch) -> None:
    with pytest.raises(FaultError, match="cannot be applied from here"):
        require("macOS", scratch.machine)
    with pytest.raises(FaultError, match="cannot be undone from here"):
        undo("macOS", scratch.machine, yes=True, as_json=False)


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({}, "NetworkManager does not write /etc/resolv.conf here"),
        ({"/etc/resolv.conf": "# Generated by NetworkManager\n"}, "NetworkManager needs dnsmasq"),
        (
            {
                "/etc/resolv.conf": "# Generated by NetworkManager\n",
                "/usr/sbin/dnsmasq": "",
                "/etc/NetworkManager/conf.d/zz.conf": "[main]\ndns=none\n",
            },
            "/etc/NetworkManager/conf.d/zz.conf has dns=none, which would win",
        ),
        (
            {
                "/etc/resolv.conf": "# Generated by NetworkManager\n",
                "/usr/bin/dnsmasq": "",
                "/etc/NetworkManager/conf.d/aa.conf": "[main]\ndns=none\n",
                "/etc/NetworkManager/conf.d/zz.conf": "no section\n",
            },
            "",
        ),
    ],
)
def test_networkmanager_has_to_write_resolv_conf_and_to_have_a_dnsmasq(
    files: dict[str, str], wrong: str, scratch: Scratch
) -> None:
    for path, text in files.items():
        scratch.write(path, text)
    if not wrong:
        require("NetworkManager", scratch.machine)
        return
    with pytest.raises(FaultError, match=wrong):
        require("NetworkManager", scratch.machine)


@pytest.mark.parametrize(
    ("path", "text", "left_out"),
    [
        ("/etc/NetworkManager/NetworkManager.conf", "[main]\ndns=dnsmasq\n", True),
        ("/usr/lib/NetworkManager/conf.d/distribution.conf", "[main]\ndns = dnsmasq\n", True),
        ("/etc/NetworkManager/conf.d/zz.conf", "[main]\ndns=default\n", False),
        (FIRST_OF_NETWORKMANAGER, "[main]\ndns=dnsmasq\n", False),
    ],
)
def test_networkmanager_is_not_told_twice_to_run_dnsmasq(
    path: str, text: str, left_out: bool, scratch: Scratch
) -> None:
    scratch.write(path, text)
    found = [path for path, _ in without_what_is_there(recipe("NetworkManager"), scratch.machine).files]
    assert found == [SECOND_OF_NETWORKMANAGER] if left_out else [FIRST_OF_NETWORKMANAGER, SECOND_OF_NETWORKMANAGER]
    assert without_what_is_there(recipe("dnsmasq"), scratch.machine) == recipe("dnsmasq")


@pytest.mark.parametrize(
    ("text", "arguments", "read"),
    [
        ("conf-dir=/etc/dnsmasq.d\n", "", True),
        ("# x\nconf-dir=/etc/dnsmasq.d/,*.conf\n", "", True),
        ("#conf-dir=/etc/dnsmasq.d\n", "dnsmasq\0-7\0/etc/dnsmasq.d,.dpkg-dist,.dpkg-old\0", True),
        ("", "dnsmasq\0--conf-dir=/etc/dnsmasq.d\0", True),
        ("#conf-dir=/etc/dnsmasq.d\n", "dnsmasq\0-7\0/etc/dnsmasq.d.old\0", False),
        ("", "", False),
    ],
)
def test_dnsmasq_has_to_read_the_directory(text: str, arguments: str, read: bool, scratch: Scratch) -> None:
    scratch.unit("dnsmasq", process=77)
    scratch.write("/etc/dnsmasq.conf", text)
    scratch.write("/proc/77/cmdline", arguments)
    if read:
        require("dnsmasq", scratch.machine)
        return
    with pytest.raises(FaultError, match=r"dnsmasq does not read /etc/dnsmasq\.d\."):
        require("dnsmasq", scratch.machine)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('include-toplevel: "/etc/unbound/unbound.conf.d/*.conf"\n', True),
        ("server:\n    include: /etc/unbound/unbound.conf.d/*.conf\n", True),
        ('# include: "/etc/unbound/unbound.conf.d/*.conf"\n', False),
        ('include: "/etc/unbound/conf.d/*.conf"\n', False),
    ],
)
def test_unbound_has_to_include_the_directory(text: str, read: bool, scratch: Scratch) -> None:
    scratch.write("/etc/unbound/unbound.conf", text)
    if read:
        require("unbound", scratch.machine)
        return
    with pytest.raises(FaultError, match=r"unbound does not read /etc/unbound/unbound\.conf\.d\."):
        require("unbound", scratch.machine)


@pytest.mark.parametrize(
    ("resolver", "command"),
    [("dnsmasq", "dnsmasq --test --conf-dir=/etc/dnsmasq.d,.dpkg-old"), ("unbound", "unbound-checkconf ")],
)
def test_a_service_that_would_not_start_again_anyway_is_left_alone(
    resolver: str, command: str, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.unit("dnsmasq", process=77)
    scratch.write("/proc/77/cmdline", "dnsmasq\0-7\0/etc/dnsmasq.d,.dpkg-old\0")
    require_sound(resolver, scratch.machine)
    require_sound(LINK, scratch.machine)
    assert scratch.calls() == [command]
    scratch.fails(command)
    with pytest.raises(FaultError, match=r"would not start again with the files that it has \(no such luck\)"):
        require_sound(resolver, scratch.machine)
    monkeypatch.setenv("PATH", "/nowhere")
    require_sound(resolver, scratch.machine)


# The way back


@pytest.mark.parametrize("resolver", DAEMONS)
def test_taken_back_nothing_is_left_of_what_was_new(resolver: str, scratch: Scratch) -> None:
    wanted = recipe(resolver)
    kept = keep(wanted, scratch.machine)
    make(steps_to_apply(wanted, scratch.machine))
    scratch.calls()
    unit = wanted.apply[-1].split()[-1]
    if resolver == LINK:
        scratch.unit(unit, active=False)
    fault = taken_back(wanted, scratch.machine, kept, "It is wrong.")
    assert fault.wrong.endswith("It was taken back: all is as before.")
    assert scratch.files() == {}
    typed = [command.removeprefix("sudo ") for command in wanted.undo if not command.startswith("sudo rm")]
    assert [call for call in scratch.calls() if "reset-failed" not in call] == typed


@pytest.mark.parametrize("resolver", DAEMONS)
def test_taken_back_what_was_there_before_is_there_again(resolver: str, scratch: Scratch) -> None:
    scratch.apply(recipe(resolver))
    (path,) = [scratch.machine.at(path) for path, _ in recipe(resolver).files][-1:]
    os.chmod(path, 0o600)
    wanted = recipe(resolver, "lab.io")
    kept = keep(wanted, scratch.machine)
    make(steps_to_apply(wanted, scratch.machine))
    scratch.calls()
    taken_back(wanted, scratch.machine, kept, "It is wrong.")
    assert scratch.files() == dict(recipe(resolver).files)
    assert os.stat(path).st_mode & 0o777 == 0o600
    unit = wanted.apply[-1].split()[-1]
    assert scratch.calls()[-2:] == [f"systemctl reset-failed {unit}", f"systemctl restart {unit}"]


def test_taken_back_the_other_recipe_of_the_service_is_there_again(scratch: Scratch) -> None:
    scratch.apply(recipe("systemd-resolved"))
    kept = keep(recipe(LINK), scratch.machine)
    make(steps_to_apply(recipe(LINK), scratch.machine))
    scratch.calls()
    taken_back(recipe(LINK), scratch.machine, kept, "It is wrong.")
    assert list(scratch.files()) == [DELEGATE_FILE]
    assert scratch.calls()[-1] == "systemctl restart systemd-resolved"


def test_a_service_that_does_not_start_is_quoted(scratch: Scratch) -> None:
    wanted = recipe("dnsmasq")
    kept = keep(wanted, scratch.machine)
    scratch.unit("dnsmasq", active=False)
    scratch.says("journalctl", "bad option at line 1\nFAILED to start up\n")
    fault = taken_back(wanted, scratch.machine, kept, "Something else.")
    assert fault.wrong == (
        "dnsmasq does not start with this (bad option at line 1; FAILED to start up). It was taken back, but"
        " dnsmasq does not start without it either (bad option at line 1; FAILED to start up)."
    )
    assert fault.advice == "journalctl -u dnsmasq says more. Mend that, and run this again."


def test_a_way_back_that_is_barred_is_said(scratch: Scratch) -> None:
    kept = keep(recipe("dnsmasq"), scratch.machine)
    Path(scratch.machine.at(DNSMASQ_FILE)).mkdir(parents=True)
    fault = taken_back(recipe("dnsmasq"), scratch.machine, kept, "It is wrong.")
    assert fault.wrong.startswith("It is wrong. And it could not be taken back (")
    with pytest.raises(FaultError, match=r"dtkdns\.conf cannot be read: Is a directory"):
        keep(recipe("dnsmasq"), scratch.machine)


# Whether the resolver asks dtkdns


@ensureDeferred
async def test_a_resolver_that_asks_dtkdns_says_what_dtkdns_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(asked, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(asked, "ANSWER_SECONDS", 0.2)
    assert await settled(["dtk.io"], OWN, reactor) == Asked(False, ("dtk.io",))
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    async with running(tmp_path) as service:
        address = service.service._dns.addresses[0]  # type: ignore[union-attr]
        monkeypatch.setattr(asked, "DNS_PORT", address.port)
        own = (address.host, address.port)
        assert await settled(["dtk.io"], own, reactor) == Asked(True, ())
        assert await settled(["dtk.io", "lab.io"], own, reactor) == Asked(True, ("lab.io",))
    monkeypatch.setattr(asked, "SETTLED_SECONDS", 0.3)
    assert await settled(["dtk.io"], own, reactor) == Asked(False, ("dtk.io",))
    await deferLater(reactor, 0)  # ports are closed in the next turn


def shown(name: str) -> NameStatus:
    return NameStatus(name, (ADDRESS,), "default", "", 0, NOW)


def test_a_name_under_a_wildcard_is_looked_up_before_one_that_a_hosts_file_may_have() -> None:
    both = evolve(HEALTHY, names=(shown("foo.dtk.io"), shown("*.apps.dtk.io")))
    assert example(both) == Example("dtkdns-check.apps.dtk.io", (ADDRESS,))
    assert example(HEALTHY) == Example("foo.dtk.io", (ADDRESS,))
    shadowed = evolve(HEALTHY, hosts=HostsStatus("/etc/hosts", shadowed={"foo.dtk.io": "10.9.9.9"}))
    assert example(shadowed) is None
    assert example(evolve(HEALTHY, hosts=None, names=())) is None


@ensureDeferred
async def test_a_name_that_leads_elsewhere_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = [ADDRESS, "::1"]

    async def resolved(_name: str) -> list[str]:
        return said

    monkeypatch.setattr(asked, "resolved", resolved)
    assert await leads_elsewhere(Example("foo.dtk.io", (ADDRESS,))) == ""
    said = ["10.9.9.9", "::1"]
    assert await leads_elsewhere(Example("foo.dtk.io", (ADDRESS,))) == "10.9.9.9, ::1"
    said = []
    assert await leads_elsewhere(Example("foo.dtk.io", (ADDRESS,))) == "nothing"


# The whole of it


@frozen
class Person:
    """Applies the recipe for dnsmasq on a scratch machine, where the resolver then says what it is told to."""

    scratch: Scratch
    monkeypatch: pytest.MonkeyPatch

    async def apply(
        self,
        found: Asked = Asked(True, ()),  # noqa: B008 (a value that does not change)
        leads: str = "",
        *,
        answer: bool = True,
        yes: bool = False,
        as_json: bool = False,
        status: ServiceStatus = HEALTHY,
    ) -> int:
        async def settled(_domains: Sequence[str], _own: tuple[str, int], _reactor: object) -> Asked:
            return found

        async def leads_elsewhere(_one: Example) -> str:
            return leads

        self.monkeypatch.setattr(following, "settled", settled)
        self.monkeypatch.setattr(following, "leads_elsewhere", leads_elsewhere)
        self.monkeypatch.setattr(plan, "confirm", lambda _question: answer)
        machine = self.scratch.machine
        return await apply("dnsmasq", ["dtk.io"], OWN, status, machine, reactor, yes=yes, as_json=as_json)


@pytest.fixture
def person(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Person:
    scratch.write("/etc/dnsmasq.conf", "conf-dir=/etc/dnsmasq.d\n")
    return Person(scratch, monkeypatch)


@ensureDeferred
async def test_the_person_sees_what_is_done_and_that_it_works(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await person.apply() == 0
    path = person.scratch.machine.at(DNSMASQ_FILE)
    assert capsys.readouterr().out == (
        "dnsmasq answers on this machine.\n"
        "\n"
        f"- write {path}:\n"
        "\n"
        "      server=/dtk.io/127.0.0.1#5053\n"
        "      rebind-domain-ok=/dtk.io/\n"
        "\n"
        "- run systemctl restart dnsmasq\n"
        "\n"
        f"This machine's resolver asks dtkdns for dtk.io.\nfoo.dtk.io is {ADDRESS}.\n"
    )
    assert await person.apply(status=evolve(HEALTHY, names=())) == 0
    assert capsys.readouterr().out == (
        "dnsmasq answers on this machine.\n"
        "Nothing to do: it is told to ask dtkdns.\n"
        "This machine's resolver asks dtkdns for dtk.io.\n"
    )


@ensureDeferred
async def test_what_is_declined_is_not_done(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    assert await person.apply(answer=False) == 1
    assert capsys.readouterr().out.endswith("\nNothing was done.\n")
    assert await person.apply(as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["done"] is False
    assert said["steps"] == [f"write {person.scratch.machine.at(DNSMASQ_FILE)}", "run systemctl restart dnsmasq"]
    assert list(person.scratch.files()) == ["/etc/dnsmasq.conf"]


@ensureDeferred
async def test_a_program_gets_the_same_as_an_object(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    assert await person.apply(yes=True, as_json=True) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["done"], first["steps"][1]) == (True, "run systemctl restart dnsmasq")
    assert first["steps"][0].startswith("write ")
    assert await person.apply(as_json=True) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["done"], again["steps"]) == (True, [])


@ensureDeferred
async def test_only_root_changes_something_and_anybody_may_look(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(FaultError, match="This changes the system"):
        await person.apply()
    assert list(person.scratch.files()) == ["/etc/dnsmasq.conf"]
    assert await person.apply(as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["done"] is False
    assert undo(None, person.scratch.machine, yes=False, as_json=False) == 0
    assert capsys.readouterr().out == "Nothing to undo.\n"


@ensureDeferred
async def test_a_command_that_fails_and_a_resolver_that_is_silent_bring_all_back(person: Person) -> None:
    person.scratch.fails("systemctl restart dnsmasq")
    with pytest.raises(
        FaultError, match=r"restart dnsmasq \(no such luck\)\. It was taken back: all is as before"
    ):
        await person.apply()
    assert list(person.scratch.files()) == ["/etc/dnsmasq.conf"]
    person.scratch.fails()
    with pytest.raises(FaultError, match=r"dnsmasq does not answer\. It was taken back: all is as before\."):
        await person.apply(Asked(False, ("dtk.io",)))
    assert list(person.scratch.files()) == ["/etc/dnsmasq.conf"]


@ensureDeferred
async def test_a_resolver_that_answers_but_does_not_ask_dtkdns_is_a_fault(person: Person) -> None:
    with pytest.raises(FaultError, match=r"resolver does not ask dtkdns for dtk\.io\."):
        await person.apply(Asked(True, ("dtk.io",)))
    assert DNSMASQ_FILE in person.scratch.files()
    with pytest.raises(FaultError, match=r"dnsmasq does not answer\.$"):
        await person.apply(Asked(False, ("dtk.io",)))
    with pytest.raises(FaultError, match=r"asks dtkdns, but foo\.dtk\.io leads to 10\.9\.9\.9\."):
        await person.apply(leads="10.9.9.9")


@ensureDeferred
async def test_undoing_shows_what_is_there_asks_and_removes_it(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await person.apply() == 0
    machine = person.scratch.machine
    capsys.readouterr()
    person.monkeypatch.setattr(plan, "confirm", lambda _question: False)
    assert undo(None, machine, yes=False, as_json=False) == 1
    assert undo("unbound", machine, yes=False, as_json=False) == 0
    assert DNSMASQ_FILE in person.scratch.files()
    capsys.readouterr()
    assert undo("dnsmasq", machine, yes=True, as_json=False) == 0
    assert capsys.readouterr().out == (
        f"To be taken away:\n\n- remove {machine.at(DNSMASQ_FILE)}\n- run systemctl restart dnsmasq\n\nUndone.\n"
    )
    assert list(person.scratch.files()) == ["/etc/dnsmasq.conf"]
    assert undo(None, machine, yes=True, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == []


# What goes into a recipe


def test_the_managed_domains_and_where_dns_answers_go_into_a_recipe() -> None:
    assert recipe_settings(HEALTHY) == (["dtk.io"], ("127.0.0.1", 5053))
    by_ipv6 = evolve(HEALTHY, dns=DNSStatus(("[::1]:5053",)))
    assert recipe_settings(by_ipv6)[1] == ("::1", 5053)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"dns": None}, "dtkdns answers no DNS"),
        ({"dns": DNSStatus()}, "dtkdns answers no DNS"),
        ({"clusters": ()}, "No domain is managed"),
        ({"dns": DNSStatus(("localhost:5053",))}, "What answers is no dtkdns"),
        ({"dns": DNSStatus(("127.0.0.1:x",))}, "What answers is no dtkdns"),
        ({"clusters": (evolve(HEALTHY.clusters[0], domains=('a"; rm',)),)}, "What answers is no dtkdns"),
        ({"clusters": (evolve(HEALTHY.clusters[0], domains=("DTK.io",)),)}, "it manages 'DTK.io'"),
    ],
)
def test_nothing_else_goes_into_a_recipe(changed: dict[str, object], wrong: str) -> None:
    with pytest.raises(FaultError, match=wrong):
        recipe_settings(evolve(HEALTHY, **changed))


@pytest.mark.parametrize("words", [["--yes"], ["--apply", "--undo"], ["--for", "nonsense"]])
def test_what_makes_no_sense_together_is_a_wrong_command_line(words: list[str]) -> None:
    assert CliRunner().invoke(set_up_resolver, words).exit_code == 2
