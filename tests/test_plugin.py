"""The plugin is found by twistd, and an import of it is cheap."""

from __future__ import annotations

import subprocess
import sys

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins


def test_twistd_finds_the_plugin() -> None:
    assert "dtkdns" in [maker.tapname for maker in getPlugins(IServiceMaker)]


def test_the_announcement_does_not_import_the_service() -> None:
    program = "import twisted.plugins.dtkdns_plugin, sys; print('dtkdns.tap' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
