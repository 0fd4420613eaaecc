"""What DTK's hostsfile-server.py left is shown with what dtkdns has, and goes when the person says so."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import click
import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from rich.console import Console
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from dtkdns.cli.takeover import command as takeover
from dtkdns.cli.takeover import oldserver, removal
from dtkdns.cli.takeover.command import Wanted, look_and_remove
from dtkdns.cli.takeover.oldlines import RESTART, describe, screen, what_is_left
from dtkdns.cli.takeover.oldserver import how_to_stop
from dtkdns.cli.takeover.removal import (
    LOOK_SECONDS,
    PATIENCE_SECONDS,
    QUIET_SECONDS,
    hosts_file_beside_a_service,
    mend,
    take_out,
)
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.inplace import Overwriting
from dtkdns.hosts.oldserver import OldLine
from dtkdns.hosts.replace import HostsFile
from dtkdns.hosts.text import splice
from dtkdns.hosts.versions import REMEMBERED
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from dtkdns.status import HiddenStatus, ServiceStatus
from examples import HEALTHY
from kernels import StillKernel, append
from running import endpoint, hosts_file, running, until
from test_cli_names import calling

FOO = OldLine(4, b"192.168.122.167 foo.dtk.io\n", "192.168.122.167", "foo.dtk.io")
MOVED = OldLine(5, b"192.168.122.150 foo.dtk.io\n", "192.168.122.150", "foo.dtk.io")
GONE = OldLine(6, b"192.168.122.150 gone.dtk.io\n", "192.168.122.150", "gone.dtk.io")
HIDDEN = evolve(
    HEALTHY,
    hidden=(
        HiddenStatus("gone.dtk.io", "TXT", "", "default", "ownership", "a note", ("dns", "hosts")),
        HiddenStatus("gone.dtk.io", "A", "", "default", "data", "it has no address", ("dns", "hosts")),
    ),
)
BEFORE = b"127.0.0.1 localhost\r\n# caf\xe9\n10.0.0.7 nas.dtk.io # mine\n"
OLD = BEFORE + FOO.text + GONE.text + b"last"
BOTH = frozenset({FOO.text, GONE.text})
NOW = 2_000_000_000.0
"""A long time after any file of a test was written (POSIX seconds)."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A hosts file after years of the old server."""
    path = tmp_path / "hosts"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture(autouse=True)
def no_old_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever runs on this machine, and nothing is left on it."""
    monkeypatch.setattr(takeover, "how_to_stop", lambda: "")
    monkeypatch.setattr(removal, "default_path", lambda _environment, _user_id: str(tmp_path / "own"))


def begun(file: HostsFile, clock: Clock, lines: frozenset[bytes] = BOTH) -> list[object]:
    """A removal that goes on as the clock is moved; what it comes to."""
    ended: list[object] = []
    Deferred.fromCoroutine(take_out(file, lines, clock)).addBoth(ended.append)
    return ended


def pass_time(clock: Clock, seconds: float) -> None:
    clock.pump([LOOK_SECONDS] * round(seconds / LOOK_SECONDS + 1))


# What dtkdns has for the name of a line


@pytest.mark.parametrize(
    ("line", "status", "state", "sentence"),
    [
        (FOO, HEALTHY, "shown", "has it too"),
        (MOVED, HEALTHY, "conflict", "has 192.168.122.167, but this line wins"),
        (GONE, HEALTHY, "unknown", "does not know it: the name goes with the line"),
        (GONE, HIDDEN, "hidden", "does not show it: it has no address"),
        (FOO, None, "unasked", "it does not answer"),
    ],
)
def test_each_line_stands_beside_what_dtkdns_has_for_its_name(
    line: OldLine, status: ServiceStatus | None, state: str, sentence: str
) -> None:
    found = describe(line, status)
    assert (found.line, found.text, found.name) == (line.number, line.text.decode().rstrip(), line.name)
    assert (found.state, found.sentence) == (state, sentence)
    assert found.addresses == (("192.168.122.167",) if state in {"shown", "conflict"} else ())


def test_the_screen_fits_the_terminal_and_says_how_a_line_of_ones_own_is_kept() -> None:
    out = io.StringIO()
    found = [describe(line, HEALTHY) for line in (FOO, MOVED, GONE)]
    Console(file=out, width=80).print(screen("/etc/hosts", found))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "Lines in /etc/hosts as hostsfile-server.py writes them:",
        "",
        "Line  As it stands                 dtkdns",
        "4     192.168.122.167 foo.dtk.io   has it too",
        "5     192.168.122.150 foo.dtk.io   has 192.168.122.167, but this line wins",
        "6     192.168.122.150 gone.dtk.io  does not know it: the name goes with the line",
        "",
        "If one is yours, put a comment behind it (# mine) and run this again: it is then",
        "left alone.",
        "",
    ]


def test_what_is_left_to_do_depends_on_what_dtkdns_was_told() -> None:
    url = "http://127.0.0.1:5000"
    untold = evolve(HEALTHY, clusters=(evolve(HEALTHY.clusters[0], addresses=()),))
    told = what_is_left("dtk.io", "10.0.0.1", HEALTHY, url)
    assert told[1:] == [RESTART]
    assert what_is_left("dtk.io", "10.0.0.1", untold, url)[1:] == [
        "curl -X POST http://127.0.0.1:5000/domains -d dtk.io",
        "curl -X POST http://127.0.0.1:5000/clusterip -d 10.0.0.1",
        *told,
    ]
    assert what_is_left("dtk.io", "10.0.0.1", None, url) == [
        "Start dtkdns on the port of hostsfile-server.py.",
        *told,
    ]


# Whether the old server is still there


def systemctl(monkeypatch: pytest.MonkeyPatch, *well: str) -> None:
    """What systemd says: these questions have the answer yes."""
    code = f'case "$2" in {"|".join((*well, "nothing"))}) exit 0;; *) exit 3;; esac'
    real = oldserver.run
    monkeypatch.setattr(oldserver, "run", lambda command: real(("sh", "-c", code, *command)))


def process(processes: Path, number: int, *words: str) -> None:
    (processes / str(number)).mkdir()
    (processes / str(number) / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))


@pytest.mark.parametrize("answer", ["is-active", "is-enabled"])
def test_a_unit_that_runs_or_will_be_started_is_stopped_by_systemd(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(monkeypatch, answer)
    process(tmp_path, 7, "/usr/bin/python3", "/usr/bin/hostsfile-server.py")
    assert how_to_stop(tmp_path) == "sudo systemctl disable --now hostsfile-server"


def test_one_that_was_started_by_hand_is_stopped_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(monkeypatch)
    assert how_to_stop(tmp_path) == ""
    process(tmp_path, 70, "python3.12", "-u", "./hostsfile-server.py", "--port=5000")
    process(tmp_path, 71, "/opt/bin/python", "hostsfile-server.py")
    process(tmp_path, 72, "vim", "hostsfile-server.py")
    process(tmp_path, 73, "python3", "other.py", "hostsfile-server.py")
    process(tmp_path, 74)
    (tmp_path / "75").mkdir()
    (tmp_path / "version").write_bytes(b"Linux\n")
    assert how_to_stop(tmp_path) == "sudo kill -KILL 70 71"


# The removal


def test_the_lines_go_and_every_other_byte_stays(path: Path, clock: Clock) -> None:
    ended = begun(hosts_file(path), clock)
    pass_time(clock, REMEMBERED)
    assert ended == [None]
    assert path.read_bytes() == BEFORE + b"last"


def test_where_a_rename_is_impossible_they_go_in_place(path: Path, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "hard link").hardlink_to(path)
    ended = begun(hosts_file_beside_a_service(str(path)), clock)
    pass_time(clock, REMEMBERED)
    assert ended == [None]
    assert (tmp_path / "hard link").read_bytes() == BEFORE + b"last"
    assert (tmp_path / "own" / "import.journal").read_bytes() == b""


def test_nothing_is_removed_until_nobody_has_written_for_a_while(path: Path, clock: Clock) -> None:
    clock.rightNow = path.stat().st_mtime
    ended = begun(hosts_file(path), clock)
    pass_time(clock, QUIET_SECONDS - 2 * LOOK_SECONDS)
    assert path.read_bytes() == OLD
    pass_time(clock, 2 * LOOK_SECONDS)
    assert path.read_bytes() == BEFORE + b"last"
    clock.advance(NOW)
    assert ended == [None]


@pytest.mark.parametrize("moment", ["exchange", "sync_directory"])
def test_what_others_write_meanwhile_stays_even_in_the_same_form(moment: str, path: Path, clock: Clock) -> None:
    kernel = StillKernel()
    came = b"\n192.168.122.150 new.dtk.io\n" + FOO.text
    kernel.before(moment, lambda: append(path, came))
    ended = begun(hosts_file(path, kernel), clock)
    pass_time(clock, 2 * REMEMBERED)
    assert ended == [None]
    assert path.read_bytes() == BEFORE + b"last\n192.168.122.150 new.dtk.io\n"


def service_of(path: Path) -> Callable[[], object]:
    """A service that has just written the file; what it does when it is called is to write it again."""
    file = hosts_file(path, StillKernel())
    numbers = count()

    def write() -> object:
        shown = Entries([make_entry("x.dtk.io", (f"10.0.0.{next(numbers) % 2 + 1}",), "", "ingress/a/b")])
        return file.edit(lambda text: splice(text, shown, "0123abcd").text)

    write()
    return write


def test_what_a_service_puts_back_is_removed_again(path: Path, clock: Clock) -> None:
    write = service_of(path)
    ended = begun(hosts_file(path), clock)
    assert FOO.text not in path.read_bytes()
    write()
    assert FOO.text in path.read_bytes()
    pass_time(clock, 2 * REMEMBERED)
    assert ended == [None]
    assert not BOTH & set(path.read_bytes().splitlines(keepends=True))


def test_lines_that_come_back_for_ever_are_a_sentence(path: Path, clock: Clock) -> None:
    write = service_of(path)
    ended = begun(hosts_file(path), clock)
    for _ in range(round(PATIENCE_SECONDS) + 1):
        write()
        clock.advance(1)
    assert "come back" in ended[0].value.wrong  # type: ignore[attr-defined]
    assert "Stop it, and run this again" in ended[0].value.advice  # type: ignore[attr-defined]
    assert path.read_bytes().startswith(BEFORE)


def test_a_removal_that_was_cut_is_finished_the_next_time(path: Path) -> None:
    file = hosts_file_beside_a_service(str(path))
    assert mend(file) == []
    new = BEFORE + b"last"
    file.journal.begin(Overwriting(str(path), 0, OLD, new))
    path.write_bytes(new[:57] + OLD[57:])
    assert mend(file) == [f"Finished writing {path}, which was interrupted."]
    assert path.read_bytes() == new
    assert mend(file) == []


# The command


async def typed(webhook: Webhook, clock: Clock, path: Path | None = None, **wanted: object) -> int:
    """What was typed, up to its exit status; all time that it waits passes at once."""
    whole = look_and_remove(webhook, Wanted(str(path) if path else None, **wanted), clock)  # type: ignore[arg-type]
    asked = Deferred.fromCoroutine(whole)
    while not asked.called:
        clock.advance(LOOK_SECONDS)
        await deferLater(reactor, 0)
    return await asked


def held(path: Path) -> bytes:
    return path.read_bytes()


def answering(monkeypatch: pytest.MonkeyPatch, answer: bool) -> list[str]:
    """The person says yes or no; what they were asked."""
    asked: list[str] = []
    monkeypatch.setattr(takeover, "confirm", lambda question: (asked.append(question), answer)[1])
    return asked


@ensureDeferred
async def test_the_lines_are_shown_and_go_when_the_person_says_so(
    path: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, "--cluster-ip", "192.168.122.99") as service, calling(service) as webhook:
        await service.change(create=[endpoint("foo.dtk.io", "10.0.0.1")])
        before = held(path)
        asked = answering(monkeypatch, False)
        assert await typed(webhook, clock) == 1
        assert held(path) == before
        said = capsys.readouterr().out
        assert "192.168.122.167 foo.dtk.io   has 192.168.122.99, but this line wins" in said
        assert asked == ["Remove these 2 lines?"]
        assert said.endswith("Nothing was done.\n")
        answering(monkeypatch, True)
        assert await typed(webhook, clock) == 0
        assert capsys.readouterr().out.endswith(f"  {RESTART}\n")
        assert await typed(webhook, clock) == 0
        assert "has no line of hostsfile-server.py." in " ".join(capsys.readouterr().out.split())
        await until(lambda: held(path).startswith(BEFORE + b"last\n# BEGIN dtkdns "))


@ensureDeferred
async def test_programs_are_asked_nothing_and_remove_only_with_yes(
    path: Path, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path) as service, calling(service) as webhook:
        assert await typed(webhook, clock, as_json=True) == 1
        found = json.loads(capsys.readouterr().out)
        assert (found["path"], found["removed"], found["to_do"]) == (str(path), False, [])
        assert [(one["line"], one["name"], one["state"]) for one in found["lines"]] == [
            (4, "foo.dtk.io", "unknown"),
            (5, "gone.dtk.io", "unknown"),
        ]
        assert held(path) == OLD
        assert await typed(webhook, clock, as_json=True, yes=True) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["removed"], found["to_do"][-1]) == (True, RESTART)
    assert held(path) == BEFORE + b"last"


@ensureDeferred
async def test_where_dtkdns_does_not_run_the_domains_are_to_be_given(
    path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = Webhook("http://127.0.0.1:1", None, 15.0, reactor)
    with pytest.raises(FaultError) as fault:
        await typed(silent, clock, path)
    assert fault.value.advice.endswith("Without it, give --domains.")
    assert await typed(silent, clock, path, domains=("dtk.io",), yes=True) == 0
    assert "it does not answer" in capsys.readouterr().out
    assert held(path) == BEFORE + b"last"
    await silent.close()


@ensureDeferred
async def test_while_the_old_server_is_there_nothing_is_removed(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "how_to_stop", lambda: "sudo kill -KILL 7")
    silent = Webhook("http://127.0.0.1:1", None, 15.0, reactor)
    with pytest.raises(FaultError) as fault:
        await typed(silent, clock, path, domains=("dtk.io",), yes=True)
    assert fault.value.advice == "Stop it first: sudo kill -KILL 7"
    assert held(path) == OLD
    await silent.close()


@ensureDeferred
async def test_a_file_that_cannot_be_written_or_is_none_is_a_sentence(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Webhook("http://127.0.0.1:1", None, 15.0, reactor)
    monkeypatch.setattr(takeover, "why_no_right", lambda _path: "No right.")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(FaultError) as fault:
        await typed(silent, clock, path, domains=("dtk.io",), yes=True)
    assert fault.value.advice.startswith("Run it as root: sudo ")
    with pytest.raises(FaultError) as fault:
        await typed(silent, clock, path.parent, domains=("dtk.io",))
    assert "is not a regular file" in fault.value.wrong
    await silent.close()


@ensureDeferred
async def test_where_no_domain_is_managed_there_is_nothing_to_look_for(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untold(_webhook: Webhook) -> ServiceStatus:
        return evolve(HEALTHY, clusters=(evolve(HEALTHY.clusters[0], domains=()),))

    monkeypatch.setattr(takeover, "fetch_status", untold)
    silent = Webhook("http://127.0.0.1:1", None, 15.0, reactor)
    with pytest.raises(FaultError) as fault:
        await typed(silent, clock, path, yes=True)
    assert fault.value.wrong == "No domain is managed."


def test_domains_that_are_none_are_a_wrong_command_line() -> None:
    with pytest.raises(click.BadParameter):
        takeover.take_over.make_context("import", ["--domains", "not a domain"])
