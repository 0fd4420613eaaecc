"""Changes to a machine: which are needed, how they are shown, and what is said when one does not work."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from dtkdns.cli import plan
from dtkdns.cli.plan import (
    Call,
    Link,
    Remove,
    Run,
    Write,
    agreed,
    declined,
    described,
    make,
    needed,
    require_root,
    run,
)
from dtkdns.smoke.report import FaultError


def test_a_file_is_written_whole_with_its_directory_and_mode(tmp_path: Path) -> None:
    step = Write(f"{tmp_path}/a/b.conf", "x = 1\n", 0o600)
    assert step.needed()
    assert step.shown() == f"write {tmp_path}/a/b.conf:\n\n      x = 1\n"
    make([step])
    assert (tmp_path / "a/b.conf").read_text() == "x = 1\n"
    assert stat.S_IMODE((tmp_path / "a/b.conf").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "a") == ["b.conf"]
    assert not step.needed()


def test_of_a_file_that_differs_the_difference_is_shown(tmp_path: Path) -> None:
    (tmp_path / "b.conf").write_text("a = 1\nb = 2\nc = 3\nd = 4\n")
    step = Write(f"{tmp_path}/b.conf", "a = 1\nb = 2\nc = 3\nd = 5\n")
    assert step.shown() == (
        f"change {tmp_path}/b.conf:\n\n      @@ -3,2 +3,2 @@\n       c = 3\n      -d = 4\n      +d = 5\n"
    )


def test_a_link_is_put_right_and_what_is_no_link_stays(tmp_path: Path) -> None:
    path = tmp_path / "bin/dtkdns"
    step = Link(str(path), "/opt/dtkdns/bin/dtkdns")
    assert step.shown() == f"link {path} to /opt/dtkdns/bin/dtkdns"
    make(needed([step]))
    assert os.readlink(path) == "/opt/dtkdns/bin/dtkdns"
    assert not step.needed()
    other = Link(str(path), "/srv/dtkdns")
    make(needed([other]))
    assert os.readlink(path) == "/srv/dtkdns"
    (tmp_path / "bin/dtkdns.dtkdns-new").symlink_to("what a cut left")
    make(needed([step]))
    assert os.readlink(path) == "/opt/dtkdns/bin/dtkdns"
    path.unlink()
    path.write_text("somebody's own")
    assert not step.needed()


def test_commands_go_with_other_steps_unless_they_say_when(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    reload, always, never = Run(("true",)), Run(("id",), lambda: True), Run(("false",), lambda: False)
    gone = Remove(f"{tmp_path}/gone")
    assert needed([gone, reload, never]) == []
    assert needed([gone, reload, always, never]) == [reload, always]
    assert needed([Remove(f"{tmp_path}/there"), reload]) == [Remove(f"{tmp_path}/there"), reload]


def test_steps_are_taken_in_order_and_one_that_fails_says_what_was_not_done(tmp_path: Path) -> None:
    done: list[str] = []
    (tmp_path / "old").touch()
    steps = [
        Call("note it", lambda: done.append("first")),
        Remove(f"{tmp_path}/old"),
        Run(("sh", "-c", "echo out; echo no such unit >&2; exit 5")),
        Call("go on", lambda: done.append("never")),
    ]
    assert described(steps)[0::2] == ["note it", "run sh -c 'echo out; echo no such unit >&2; exit 5'"]
    with pytest.raises(FaultError) as caught:
        make(steps)
    assert done == ["first"]
    assert not (tmp_path / "old").exists()
    assert caught.value.wrong == (
        "It did not work to run sh -c 'echo out; echo no such unit >&2; exit 5' (no such unit). 1 further step not"
        " taken."
    )
    with pytest.raises(FaultError, match=r"\(exit status 3\)\."):
        make([Run(("sh", "-c", "exit 3"))])
    with pytest.raises(FaultError, match=r"\(Permission denied|Not a directory\)\."):
        make([Write(f"{sys.executable}/x/y", "")])


def test_a_program_that_does_not_end_is_an_exit_status() -> None:
    done = run(["sleep", "60"], 0.01)
    assert (done.returncode, done.stderr) == (124, "sleep did not end within 0.01 s")


def test_a_program_that_is_not_there_is_an_exit_status() -> None:
    done = run(["no-such-program"])
    assert (done.returncode, done.stderr) == (127, "no-such-program: No such file or directory")


@pytest.mark.parametrize(
    ("yes", "answer", "as_json", "result"),
    [
        (True, False, False, True),
        (False, True, False, True),
        (False, False, False, False),
        (False, True, True, False),
    ],
)
def test_the_person_decides_and_a_program_by_its_option(
    yes: bool,
    answer: bool,
    as_json: bool,
    result: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plan, "confirm", lambda _question: answer)
    steps = [Remove("/no/such\x1b[31mfile")]
    assert agreed(steps, "To go:", "Nothing.", yes=yes, as_json=as_json) is result
    shown = "To go:\n\n- remove /no/such\\x1b[31mfile\n\n"
    assert capsys.readouterr().out == ("" if as_json else shown)


def test_nothing_to_do_is_said_and_needs_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert agreed([], "To go:", "Nothing.", yes=False, as_json=False)
    assert capsys.readouterr().out == "Nothing.\n"


def test_what_was_declined_is_said_to_a_person_and_to_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert declined(["run x"], as_json=False) == 1
    assert capsys.readouterr().out == "Nothing was done.\n"
    assert declined(["run x"], as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {"done": False, "steps": ["run x"], "left": []}


def test_who_is_not_root_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["/opt/dtkdns/bin/dtkdns", "install", "--domains", "a b"])
    with pytest.raises(FaultError) as caught:
        require_root()
    assert caught.value.advice == "Run it as root: sudo /opt/dtkdns/bin/dtkdns install --domains 'a b'"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    require_root()
