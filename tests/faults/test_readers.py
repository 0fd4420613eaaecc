"""Programs that read the file and look names up while dtkdns changes its block as fast as it can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import changing
import pytest
import readers

from process import Namespace, bind_mounted_hosts, scratch_etc

COUNT = int(os.environ.get("DTKDNS_TEST_READS", "3000"))
CHANGES = min(COUNT // 10, 1000)
EACH = 2
"""Processes of each kind."""
POLITE = "0.002"
"""The longest pause (seconds) of a reader that leaves the file alone from time to time, as all on a desktop do."""


@contextmanager
def hosts(way: str, directory: Path) -> Iterator[Namespace]:
    """A mount namespace whose /etc/hosts can be replaced by rename, or only be written in place."""
    make = {"rename": scratch_etc, "in place": bind_mounted_hosts}[way]
    with make(directory, changing.prepared()) as namespace:
        yield namespace


def read(
    namespace: Namespace, kinds: Sequence[str], pause: str, journal: Path, count: int = CHANGES
) -> tuple[dict[str, Any], Any]:
    """What readers of these kinds saw, `EACH` of each, while the block changed; and what its writer did."""
    seen: dict[str, Any] = {}
    with ExitStack() as stack:
        changes = stack.enter_context(changing.changing("/etc/hosts", journal, prefix=namespace.prefix))
        started = [
            (kind, stack.enter_context(reader(namespace, kind, pause))) for kind in kinds for _ in range(EACH)
        ]
        changes.wait_for(count)
        changes.keep_reading()
        for _, process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == b"enough\n"
        for kind, process in started:
            process.terminate()
            output, _ = process.communicate()
            found = json.loads(output)
            if kind in seen:
                found = {what: _both(seen[kind][what], found[what]) for what in found}
            seen[kind] = found
        return seen, changes.finish()


def _both(one: Any, other: Any) -> Any:
    return max(one, other) if isinstance(one, (float, str)) else one + other


@contextmanager
def reader(namespace: Namespace, kind: str, pause: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*namespace.prefix, sys.executable, readers.__file__, kind, "/etc/hosts", str(COUNT // EACH), pause]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(120 + COUNT // 20)
def test_by_rename_every_read_and_every_lookup_sees_one_whole_version(tmp_path: Path) -> None:
    with hosts("rename", tmp_path) as namespace:
        seen, did = read(namespace, ["whole", "steps", "lookup"], "0", tmp_path / "journal")
    print(seen, did)
    assert set(did["ways"]) == {"rename"}
    assert {kind: (found["bad"], found["example"]) for kind, found in seen.items()} == dict.fromkeys(
        seen, (0, "b''")
    )


@pytest.mark.timeout(120 + COUNT // 20)
def test_in_place_every_read_and_every_lookup_sees_one_whole_version_where_readers_pause(tmp_path: Path) -> None:
    """The write lease is granted while nobody has the file open; whoever opens it then waits until it is whole.

    So all that is needed is one moment without a reader within the 0.25 s for which the lease is asked.
    """
    with hosts("in place", tmp_path) as namespace:
        seen, did = read(namespace, ["whole", "steps", "lookup"], POLITE, tmp_path / "journal")
    print(seen, did)
    assert did == {"ways": {"in place": did["granted"]}, "granted": did["granted"]}
    assert {kind: (found["bad"], found["example"]) for kind, found in seen.items()} == dict.fromkeys(
        seen, (0, "b''")
    )


@pytest.mark.timeout(120 + COUNT // 20)
@pytest.mark.parametrize("kind", ["whole", "steps", "lookup"])
def test_in_place_readers_that_never_pause_cannot_stop_the_changes(tmp_path: Path, kind: str) -> None:
    """Nearly always there is a moment without a reader; where none comes within 0.25 s, it is written anyway.

    Guaranteed is that the changes go on, and that no read is torn as long as each change had the lease.
    """
    with hosts("in place", tmp_path) as namespace:
        seen, did = read(namespace, [kind], "0", tmp_path / "journal")
    print(seen, did)
    assert set(did["ways"]) == {"in place"}
    assert seen[kind]["bad"] == 0 or did["granted"] < did["ways"]["in place"], seen


@pytest.mark.timeout(120 + COUNT // 20)
@pytest.mark.parametrize("pause", ["0", POLITE])
def test_in_place_a_program_that_keeps_the_file_open_cannot_stop_the_changes(tmp_path: Path, pause: str) -> None:
    """As `tail -f` does: the lease is never granted, so each change is written without it, after 0.25 s.

    A read that runs in that moment may then be torn. Guaranteed is only that the changes go on and that the file
    is whole between them, so what others read is measured and not asserted.
    """
    with hosts("in place", tmp_path) as namespace, (tmp_path / "hosts").open("rb"):
        seen, did = read(namespace, ["whole", "steps", "lookup"], pause, tmp_path / "journal", CHANGES // 10)
        assert changing.whole((tmp_path / "hosts").read_bytes())
    print(seen, did)
    assert did["granted"] == 0
    assert set(did["ways"]) == {"in place"}
