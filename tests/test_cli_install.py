"""What `dtkdns install` and `uninstall` would do, on a scratch machine; for real: tests/systemd."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from attrs import evolve, frozen
from click.testing import CliRunner

from dtkdns.cli.machine import Machine, Unit
from dtkdns.cli.plan import Call, Remove, Run, Step, Write, described, make
from dtkdns.cli.service import block, installation, uninstall
from dtkdns.cli.service import install as installing
from dtkdns.cli.service.installation import Wanted, doubts, program, read
from dtkdns.cli.service.unit import HOLDER, SERVICE, SOCKET, UNIT, Program
from dtkdns.hosts.claim import HostsClaim
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.text import splice
from dtkdns.settings import SettingError
from dtkdns.smoke.report import FaultError
from dtkdns.state import StateDirectory, StateError

MINE = ("mine", "url-list.txt", "posted.json-mine", "locksmith.md")
"""Files in a state directory that dtkdns has not made."""
PROGRAM = Program("/opt/dtkdns/bin/twistd", ("/opt/dtkdns",))
STOPPED = Unit(active=False, enabled=False, process=0, since=None)
RUNS = Unit(active=True, enabled=True, process=7, since=2**40)


@frozen
class Scratch(Machine):
    """A machine whose systemd is what a test says."""

    service: Unit = STOPPED
    socket: Unit = STOPPED

    def unit(self, name: str) -> Unit:
        return {UNIT: self.service, HOLDER: self.socket}[name]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    monkeypatch.setattr(installation, "COMMAND", f"{tmp_path}/usr/local/bin/dtkdns")
    monkeypatch.setattr(installation, "MANUAL", f"{tmp_path}/usr/local/share/man/man1/dtkdns.1")
    return Scratch(tmp_path)


def wanted(*words: str) -> Wanted:
    return read(["--domains", "dtk.io", *words], PROGRAM)


def commands(steps: list[Step]) -> list[str]:
    return [" ".join(step.command[1:]) for step in steps if isinstance(step, Run)]


def in_place(scratch: Scratch, *words: str) -> Scratch:
    """The machine after these options were installed."""
    files = [step for step in installing.steps_to_install(wanted(*words), scratch) if not isinstance(step, Run)]
    make(files)
    return evolve(scratch, service=RUNS, socket=RUNS)


def test_the_first_time_everything_is_done(scratch: Scratch) -> None:
    steps = installing.steps_to_install(wanted(), scratch)
    assert [step.path.removeprefix(str(scratch.root)) for step in steps if isinstance(step, Write)] == [
        SERVICE,
        SOCKET,
    ]
    assert commands(steps) == [
        "daemon-reload",
        f"enable {HOLDER} {UNIT}",
        f"restart {HOLDER}",
        f"restart {UNIT}",
    ]
    assert any(one.startswith(f"link {scratch.root}/usr/local/bin/dtkdns to ") for one in described(steps))


def test_what_is_in_place_and_runs_needs_nothing(scratch: Scratch) -> None:
    assert installing.steps_to_install(wanted(), in_place(scratch)) == []


@pytest.mark.parametrize(
    ("service", "socket", "done"),
    [
        (STOPPED, RUNS, [f"enable {HOLDER} {UNIT}", f"reset-failed {HOLDER} {UNIT}", f"restart {UNIT}"]),
        (RUNS, evolve(RUNS, active=False), [f"restart {HOLDER}", f"restart {UNIT}"]),
        (evolve(RUNS, since=1), RUNS, [f"restart {UNIT}"]),
        (evolve(RUNS, enabled=False), RUNS, [f"enable {HOLDER} {UNIT}"]),
    ],
)
def test_what_does_not_run_or_is_older_than_the_program_is_started_again(
    service: Unit, socket: Unit, done: list[str], scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "_own_metadata", lambda: "/")
    machine = evolve(in_place(scratch), service=service, socket=socket)
    assert commands(installing.steps_to_install(wanted(), machine)) == done


def test_another_option_changes_the_service_and_another_port_the_socket(scratch: Scratch) -> None:
    machine = in_place(scratch)
    assert commands(installing.steps_to_install(wanted("--debug"), machine)) == [
        "daemon-reload",
        f"enable {HOLDER} {UNIT}",
        f"restart {UNIT}",
    ]
    assert commands(installing.steps_to_install(wanted("--port", "5001"), machine)) == [
        f"stop {UNIT}",
        "daemon-reload",
        f"enable {HOLDER} {UNIT}",
        f"restart {HOLDER}",
        f"restart {UNIT}",
    ]


def test_a_port_that_systemd_cannot_hold_takes_the_socket_away(scratch: Scratch) -> None:
    steps = installing.steps_to_install(wanted("--port", "unix:/run/dtkdns.sock"), in_place(scratch))
    assert Remove(f"{scratch.root}{SOCKET}") in steps
    assert commands(steps) == [
        f"stop {UNIT}",
        f"disable --now {HOLDER}",
        "daemon-reload",
        f"enable {UNIT}",
        f"restart {UNIT}",
    ]


def test_the_options_are_read_as_the_service_will_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names").mkdir()
    (tmp_path / "config.yaml").write_text("dns:\n  domain: dtk.io\n  webhook-port: 5005\n")
    one = read(
        ["--config", "config.yaml", "--state=state", "--hosts-file", "names/hosts", "--debug"], PROGRAM
    ).unit
    assert one.files == {"config": f"{tmp_path}/config.yaml"}
    assert one.listen == "5005"
    assert set(one.options) == {f"--hosts-file={tmp_path}/names/hosts", f"--state={tmp_path}/state", "--debug"}
    assert (one.state, one.hosts_directory) == (f"{tmp_path}/state", f"{tmp_path}/names")
    assert set(one.given) == {f"--config={tmp_path}/config.yaml", *one.options}
    bare = read([], PROGRAM).unit
    assert (bare.options, bare.listen, bare.state, bare.hosts_directory) == ((), "5000", None, "/etc")
    assert not bare.low_port
    assert not bare.network
    no_file = read(["--hosts-file", "none", "--dns", "192.0.2.1:53"], PROGRAM).unit
    assert no_file.options == ("--hosts-file=none", "--dns=192.0.2.1:53")
    assert no_file.low_port
    assert no_file.network
    assert read(["--port", "ssl:443:privateKey=/k:certKey=/c"], PROGRAM).unit.low_port


def test_files_of_an_endpoint_are_found_where_homes_are_hidden() -> None:
    endpoint = r"ssl:5443:privateKey=/home/me/a\:key.pem:certKey=/etc/cert.pem"
    one = read(["--port", endpoint], PROGRAM).unit
    assert one.program.directories == ("/opt/dtkdns", "/home/me/a:key.pem")
    with pytest.raises(SettingError, match=r"write the whole path of key\.pem\.$"):
        read(["--port", "ssl:5443:privateKey=key.pem"], PROGRAM)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nonsense"], "option --nonsense not recognized. twistd dtkdns --help lists the options."),
        (["--domains", "a_b"], "--domains: "),
        (["--credentials", "/no/such"], "/no/such cannot be read (No such file or directory)."),
        (["--port", "systemd"], "--port systemd is what the service will be given: say which port."),
        (["--hosts-file", "none", "--dns", "off"], "nothing would show the names"),
        (["--port", "systemd:domain=INET:index=0"], "is what the service will be given: say which port."),
        (["--port", "0"], "--port: 0 is no port: give one from 1 to 65535."),
        (["--port", "tcp:70000"], "--port: 70000 is no port: give one from 1 to 65535."),
        (["--state", "/a\nExecStartPre=/b"], "--state: a line break or another control character cannot stand"),
        (["--hosts-file", "/no/such/hosts"], "--hosts-file: there is no directory /no/such: make it"),
    ],
)
def test_options_that_cannot_work_are_said_before_anything_is_done(words: list[str], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(words, PROGRAM)
    assert said in str(caught.value)
    done = CliRunner().invoke(installing.install, words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_this_installation_is_found() -> None:
    found = program()
    assert os.access(found.twistd, os.X_OK)
    assert any(Path(sys.prefix).resolve().is_relative_to(place) for place in found.directories)
    assert any(Path(installation.dtkdns.__file__).is_relative_to(place) for place in found.directories)


def test_an_installation_that_had_better_be_elsewhere_is_doubted(tmp_path: Path) -> None:
    assert doubts(Program("/bin/sh", ("/usr",))) == []
    assert doubts(Program("/bin/sh", ("/tmp",))) == [
        "Mind that a boot may empty /tmp, and dtkdns is gone then.",
        "Better install it into /opt/dtkdns.",
    ]
    mine = tmp_path / "mine"
    mine.mkdir()
    if os.geteuid() == 0:
        os.chown(mine, 12345, -1)
    name = "12345" if os.geteuid() == 0 else installation.pwd.getpwuid(os.geteuid()).pw_name
    said = doubts(Program("/bin/sh", (str(mine),)))
    assert f"Mind that {name} can change {mine}, and what stands there runs as root." in said


def test_the_units_are_printed_for_anybody() -> None:
    done = CliRunner().invoke(installing.install, ["--print", "--domains", "dtk.io"])
    assert done.exit_code == 0
    assert f"# {SERVICE}\n" in done.output
    assert f"# {SOCKET}\n" in done.output


def test_without_systemd_it_says_how_else_to_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installing, "RUNS", f"{tmp_path}/missing")
    done = CliRunner().invoke(installing.install, ["--yes"])
    assert done.exit_code == 1
    assert "systemd does not run here. Start dtkdns by twistd dtkdns" in done.output


def test_what_is_left_to_do_is_said_for_dtks_file() -> None:
    here = Program("/bin/sh", ("/usr",))
    lines = installing.what_is_left(read(["--domains", "dtk.io", "--port", "5001"], here))
    assert lines[0] == "dtkdns runs, and will after every boot. In DTK's config.yaml:"
    assert lines[1:3] == ["  dns:", "    domain: dtk.io"]
    assert lines[4] == "    webhook-port: 5001"
    assert lines[-1] == "dtkdns doctor says whether all is well."


def test_a_hosts_file_that_is_kept_no_longer_loses_its_block(scratch: Scratch, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for directory in (old, new):
        directory.mkdir()
    state = ("--state", f"{tmp_path}/state")
    machine = in_place(scratch, "--hosts-file", f"{old}/hosts", *state)
    entry = make_entry("foo.dtk.io", ("192.168.122.167",), "", "ingress/default/test")
    identity = StateDirectory(f"{tmp_path}/state").identity
    (old / "hosts").write_bytes(splice(b"", Entries([entry]), identity, None).text)
    steps = installing.steps_to_install(wanted("--hosts-file", f"{new}/hosts", *state), machine)
    assert described(steps)[:2] == [
        f"run systemctl stop {UNIT}",
        f"take the block of dtkdns out of {old}/hosts",
    ]
    same = installing.steps_to_install(wanted("--hosts-file", f"{old}/hosts", *state, "--debug"), machine)
    assert not [step for step in same if isinstance(step, Call)]


def test_a_state_directory_that_is_not_there_is_made(scratch: Scratch, tmp_path: Path) -> None:
    steps = installing.steps_to_install(wanted("--state", f"{tmp_path}/a/state"), scratch)
    make([step for step in steps if isinstance(step, Call)])
    assert (tmp_path / "a/state").is_dir()


def test_a_unit_that_is_masked_is_left_so(scratch: Scratch) -> None:
    path = Path(scratch.root) / SOCKET.lstrip("/")
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/null")
    with pytest.raises(FaultError, match=r"dtkdns\.socket is masked"):
        installing._check(wanted(), scratch)


@pytest.mark.parametrize(("listen", "port"), [("5000", "5000"), ("[fd00::1]:5001", "5001"), ("", "")])
def test_the_port_that_is_held_is_read_from_the_socket(listen: str, port: str) -> None:
    assert installing._port_of(f"[Socket]\nListenStream={listen}\n") == port


# The way back


def test_uninstalling_takes_away_what_was_installed(scratch: Scratch, tmp_path: Path) -> None:
    options = ("--hosts-file", f"{tmp_path}/hosts", "--state", f"{tmp_path}/state")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    machine = in_place(scratch, *options)
    values = block.installed(machine)
    assert values.hosts_file == f"{tmp_path}/hosts"
    for name in ("records.sqlite", "records.sqlite-wal", "posted.json.previous", *MINE):
        (tmp_path / "state" / name).touch()
    steps = uninstall.steps_to_uninstall(values, machine, purge=True)
    assert commands(steps) == [f"disable --now {HOLDER} {UNIT}", "daemon-reload"]
    make([step for step in steps if not isinstance(step, Run)])
    assert not (tmp_path / SERVICE.lstrip("/")).exists()
    assert not (tmp_path / "usr/local/bin/dtkdns").is_symlink()
    assert sorted(os.listdir(tmp_path / "state")) == sorted(MINE)
    assert uninstall.steps_to_uninstall(values, machine, purge=False) == []


def test_a_block_is_taken_out_of_the_file_unless_somebody_keeps_it(scratch: Scratch, tmp_path: Path) -> None:
    path, state = tmp_path / "hosts", StateDirectory(f"{tmp_path}/state")
    state.make()
    entry = make_entry("foo.dtk.io", ("192.168.122.167",), "", "ingress/default/test")
    path.write_bytes(splice(b"10.9.9.9 printer", Entries([entry]), state.identity, None).text)
    assert b"foo.dtk.io" in path.read_bytes()
    assert block.has_block(str(path), state)
    kept = HostsClaim(str(path))
    kept.take()
    with pytest.raises(FaultError, match="Another dtkdns"):
        block.take_block_out(str(path), state)
    kept.release()
    block.take_block_out(str(path), state)
    assert path.read_bytes() == b"10.9.9.9 printer"
    assert not block.has_block(str(path), state)


def test_a_hosts_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FaultError):
        block.has_block(str(tmp_path), StateDirectory(f"{tmp_path}/state"))


def test_what_is_left_behind_is_said(scratch: Scratch, tmp_path: Path) -> None:
    values = read(["--state", str(tmp_path)], PROGRAM).values
    recipe = tmp_path / "etc/dnsmasq.d"
    recipe.mkdir(parents=True)
    (recipe / "dtkdns.conf").touch()
    said = uninstall._what_is_left(values, scratch)
    assert said[1] == "This machine's resolver still asks it: dtkdns resolver --undo."
    assert said[2] == f"Its records are still in {tmp_path}."


def test_the_state_of_a_dtkdns_that_runs_is_not_removed(tmp_path: Path) -> None:
    there = StateDirectory(str(tmp_path))
    there.take()
    (tmp_path / "records.sqlite").touch()
    with pytest.raises(StateError, match="Another dtkdns uses"):
        StateDirectory(str(tmp_path)).remove()
    with pytest.raises(FaultError, match="Another dtkdns uses"):
        uninstall._purge(StateDirectory(str(tmp_path)))
    assert (tmp_path / "records.sqlite").exists()
    there.release()
    StateDirectory(str(tmp_path)).remove()
    assert not tmp_path.exists()
