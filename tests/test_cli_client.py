"""How a command ends: always with a sentence and an exit status."""

from __future__ import annotations

import click
import pytest

from dtkdns.cli.client import run_alone
from dtkdns.smoke.command import INTERRUPTED
from dtkdns.smoke.report import FaultError


def ended(error: Exception) -> int:
    def work() -> int:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_alone(work)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize("status", [0, 1])
def test_the_exit_status_is_that_of_the_work(status: int) -> None:
    with pytest.raises(SystemExit) as caught:
        run_alone(lambda: status)
    assert caught.value.code == status


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (FaultError("The disk\x1b is full.", "Make room."), 1, "dtkdns: The disk\\x1b is full. Make room.\n"),
        (click.Abort(), 1, "\nNothing was done.\n"),
        (click.UsageError("Give a NAME."), 2, "Error: Give a NAME.\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_what_does_not_work_is_one_line_and_what_to_do(
    error: Exception, status: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert ended(error) == status
    assert capsys.readouterr().err == said


def test_an_interruption_has_an_exit_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise click.Abort from None

    def work() -> int:
        raise KeyboardInterrupt

    for interrupted, said in ((ask, "\nNothing was done.\n"), (work, "\nInterrupted: what was begun may be")):
        with pytest.raises(SystemExit) as caught:
            run_alone(interrupted)
        assert caught.value.code == INTERRUPTED
        assert capsys.readouterr().err.startswith(said)


def test_a_fault_of_dtkdns_is_a_line_that_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(ZeroDivisionError("of a test")) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "dtkdns: a fault of dtkdns itself (ZeroDivisionError: of a test; test_cli_client.py, line "
    )
    assert said.endswith("). Report it.\n")
    assert said.count("\n") == 1
