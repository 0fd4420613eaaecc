"""Programs that have to be built first."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .serving import need


@pytest.fixture(scope="session")
def musl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that looks names up by the C library musl, as those of Alpine Linux do."""
    need("musl-gcc")
    program = str(tmp_path_factory.mktemp("musl") / "addresses")
    source = str(Path(__file__).with_name("addresses.c"))
    subprocess.run(["musl-gcc", "-static", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return program
