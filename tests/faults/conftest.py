"""Faults made for real: other editors, kills, full disks, power cuts. Root in a mount namespace of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def private_mounts() -> None:
    """See that mounts made here are nobody else's."""
    if os.environ.get("DTKDNS_TEST_FAULTS") != "private":
        pytest.fail("These tests mount file systems: run them by `tox -e faults`, as root.")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file mounted over another, which no rename can replace."""
    path, source = tmp_path / "hosts", tmp_path / "source"
    path.touch()
    source.touch()
    subprocess.run(["mount", "--bind", str(source), str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)
