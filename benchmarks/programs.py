"""The programs and packages that dtkdns is measured beside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import peers

DEBIAN = {"dnsmasq": "dnsmasq-base", "dnsperf": "dnsperf"}
"""Program to the package of Debian that has it."""
MODULES = ("hostctl", "python_hosts")


class MissingError(Exception):
    """A peer cannot be had; the message is a sentence."""


def have_peers() -> None:
    """Install or build what is missing, where this user may. Raises `MissingError`."""
    if not all(find_spec(module) for module in MODULES):
        raise MissingError("The packages to compare with are missing: pip install '.[bench]'.")
    packages = [package for program, package in DEBIAN.items() if shutil.which(program) is None]
    if packages and (os.geteuid() != 0 or shutil.which("apt-get") is None):
        raise MissingError(f"Programs to compare with are missing: apt-get install {' '.join(packages)}.")
    if packages:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "--quiet", *command], env=environment, stdout=sys.stderr, check=True)
    try:
        peers.build()
    except peers.BuildError as error:
        raise MissingError(str(error)) from error
