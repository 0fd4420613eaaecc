"""What every test gets: errors that nobody looked at fail the test, and so do timers left behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from twisted.internet import reactor
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from kernels import OLD, StillKernel

# Without a database of examples nothing is written beside the tests, where the user may have no right to write.
settings.register_profile("dtkdns", database=None, deadline=None)
settings.load_profile("dtkdns")


@pytest.fixture(autouse=True)
def no_lost_errors(request: pytest.FixtureRequest) -> Iterator[list[LogEvent]]:
    """Fail on failures that reached the log and on delayed calls that are left.

    A test that expects a failure in the log takes it out of the list that this fixture gives.
    """
    failures: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    before = set(reactor.getDelayedCalls())
    try:
        yield failures
        gc.collect()
        gc.freeze()  # what stays is not searched again after every test
        left = [call for call in reactor.getDelayedCalls() if call not in before]
    finally:
        globalLogPublisher.removeObserver(observe)
    assert not failures, [event["log_failure"].getTraceback() for event in failures]
    assert not left


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """The lines that dtkdns logs while the test runs, as a person reads them."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if str(event.get("log_namespace", "")).startswith("dtkdns"):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(observe)


@pytest.fixture
def kernel() -> StillKernel:
    return StillKernel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A scratch hosts file."""
    path = tmp_path / "hosts"
    path.write_bytes(OLD)
    return path
