"""Where the command line finds the service of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from dtkdns import local
from dtkdns.local import DEFAULT_URL, local_url
from running import running


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One's own state directory, and root's."""
    found = tmp_path / "own", tmp_path / "root"
    for path in found:
        path.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(local, "default_path", lambda _environment, user_id: str(found[0 if user_id else 1]))
    return found


def test_without_a_service_that_said_it_the_url_is_the_default(states: tuple[Path, Path]) -> None:
    assert local_url() == DEFAULT_URL


def test_ones_own_service_comes_before_that_of_root(states: tuple[Path, Path]) -> None:
    own, root = states
    (root / "url").write_text("http://127.0.0.1:5001\n")
    assert local_url() == "http://127.0.0.1:5001"
    (own / "url").write_text("http://127.0.0.1:5002\n")
    assert local_url() == "http://127.0.0.1:5002"


@pytest.mark.parametrize("text", [b"", b"\n", b"\xff"])
def test_what_is_no_url_is_passed_over(states: tuple[Path, Path], text: bytes) -> None:
    (states[0] / "url").write_bytes(text)
    assert local_url() == DEFAULT_URL


@ensureDeferred
@pytest.mark.parametrize(
    ("port", "url"),
    [
        ("tcp:0:interface=127.0.0.1", "http://127.0.0.1:{}"),
        ("tcp:0", "http://127.0.0.1:{}"),
        ("tcp6:0:interface=\\:\\:1", "http://[::1]:{}"),
    ],
)
async def test_a_service_says_where_it_is_called(tmp_path: Path, port: str, url: str) -> None:
    async with running(tmp_path, "--port", port) as service:
        assert (tmp_path / "state" / "url").read_text() == url.format(service.port) + "\n"


@ensureDeferred
async def test_one_that_has_no_address_or_writes_nothing_says_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, "--port", f"unix:{tmp_path}/socket"):
        assert not (tmp_path / "state" / "url").exists()
    async with running(tmp_path, "--dry-run"):
        assert not (tmp_path / "state" / "url").exists()
