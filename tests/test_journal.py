"""The log as the journal reads it."""

from __future__ import annotations

import io
import os
import sys

import pytest
from twisted.logger import Logger, LogPublisher

from dtkdns.journal import JournalObserver, for_stderr, observer


def logged(out: io.StringIO) -> Logger:
    return Logger(namespace="dtkdns", observer=LogPublisher(JournalObserver(out)))


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warn", 4), ("error", 3), ("critical", 2)]
)
def test_each_line_has_its_priority_and_no_time(level: str, priority: int) -> None:
    out = io.StringIO()
    getattr(logged(out), level)("{name} appears:\n  for two\n\n  reasons", name="foo.dtk.io")
    assert out.getvalue() == "".join(
        f"<{priority}>{line}\n" for line in ("foo.dtk.io appears:", "  for two", "  reasons")
    )


def test_a_fault_has_its_traceback_in_lines_of_the_same_priority() -> None:
    out = io.StringIO()
    try:
        raise ZeroDivisionError("of a test")
    except ZeroDivisionError:
        logged(out).failure("A fault.")
    lines = out.getvalue().splitlines()
    assert lines[0] == "<2>A fault."
    assert lines[-1] == "<2>builtins.ZeroDivisionError: of a test"
    assert all(line.startswith("<2>") for line in lines)


def test_it_writes_where_twistd_would() -> None:
    assert observer() == JournalObserver(sys.stdout)


def test_last_words_have_a_priority_only_where_the_journal_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert for_stderr("dtkdns: no.") == "dtkdns: no."
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    assert for_stderr("dtkdns: no.") == "<3>dtkdns: no."
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:0")
    assert for_stderr("dtkdns: no.") == "dtkdns: no."
