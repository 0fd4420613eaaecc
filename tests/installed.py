"""dtkdns as it is installed here, for a desktop in a box: the same files in the same places, not to be changed.

The desktop needs the packages of `PACKAGES`, and the directories and files of `bound` before it is booted.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from pathlib import Path

import dtkdns

PACKAGES = ("libpython3-stdlib",)
"""Debian's own standard library depends on every library that the modules of another Python are linked to."""
SYSTEM = Path("/usr")
"""The prefix of a Python that came with the system; a desktop has its own directory of this name."""
COMMAND = str(Path(sys.executable).with_name("dtkdns"))
TWISTD = str(Path(sys.executable).with_name("twistd"))


def bound() -> list[Path]:
    """What a box needs of this machine to run `COMMAND` and `TWISTD`."""
    base = Path(sys.base_prefix)
    found = _interpreter() if base == SYSTEM else [base]
    for place in (Path(sys.prefix), *_modules()):
        if not any(place.is_relative_to(one) for one in found):
            found.append(place)
    return found


def _interpreter() -> list[Path]:
    """The program, by each of its names, and its standard library."""
    names = [Path(sys.executable), *_links(Path(sys.executable))]
    return [*(one for one in names if one.is_relative_to(SYSTEM)), Path(sysconfig.get_path("stdlib"))]


def _links(path: Path) -> list[Path]:
    """Where a symbolic link leads to, one after the other."""
    found = []
    while path.is_symlink():
        path = Path(os.path.normpath(path.parent / path.readlink()))
        found.append(path)
    return found


def _modules() -> list[Path]:
    """The directories of dtkdns and its plugin, which an editable installation leaves in the checkout."""
    plugin = importlib.import_module("twisted.plugins.dtkdns_plugin")
    assert plugin.__file__ is not None
    return [Path(dtkdns.__file__).parents[1], Path(plugin.__file__).parents[1]]
