"""What the desktops need."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def root() -> None:
    """See that desktops can be made."""
    if os.geteuid() != 0:
        pytest.fail("These tests start a systemd in namespaces of its own: run them as root.")
