"""A desktop with a systemd of its own, on which dtkdns is installed as a service."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import define

import installed
from box import Box, desktop, until
from debian import system

PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "libc-bin", "passwd"),
    *("procps", "sed", "mount", "util-linux", "systemd", "systemd-sysv", "dbus", "iproute2", "bind9-dnsutils"),
    *("curl", "man-db"),
    *installed.PACKAGES,
)
SUITES = ("bookworm", "forky")
"""Releases of Debian: the oldest systemd that is in use (252), and the newest."""
CLUSTER = "192.168.122.167"
HOSTS = "127.0.0.1 localhost desktop\n10.9.9.9 printer # no newline at the end"
MEDIA_TYPE = "application/external.dns.webhook+json;version=1"
OPTIONS = f"--domains dtk.io --cluster-ip {CLUSTER}"


@define
class Machine:
    """The desktop, and what a person does at it as root."""

    box: Box

    def typed(self, words: str, *, answer: str | None = None) -> subprocess.CompletedProcess[str]:
        """What a person types after `dtkdns`, and the answer to its question."""
        given = "" if answer is None else f"echo {answer} | "
        return self.box.run(f"{given}COLUMNS=80 {installed.COMMAND} {words}")

    def install(self, options: str = OPTIONS) -> str:
        """Install it; what was said."""
        done = self.typed(f"install --yes {options}")
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done.stdout

    def change(self, base: str = "", **changes: list[Mapping[str, object]]) -> None:
        """Send external-dns' changes, as it does."""
        data = json.dumps(changes)
        done = self.box.run(
            f"curl --fail --silent --show-error -H 'Content-Type: {MEDIA_TYPE}'"
            f" http://127.0.0.1:5000{base}/records --data-binary '{data}'"
        )
        assert done.returncode == 0, done.stderr

    def show(self, *properties: str, unit: str = "dtkdns.service") -> list[str]:
        """Properties of a unit."""
        return [
            self.box.run(f"systemctl show --value --property={one} {unit}", check=True).stdout.strip()
            for one in properties
        ]

    def hosts(self) -> str:
        return self.box.run("cat /etc/hosts; printf .", check=True).stdout[:-1]

    def log(self) -> str:
        return self.box.run("journalctl --no-pager --unit=dtkdns.service --output=short").stdout

    def is_ready(self) -> bool:
        return self.show("ActiveState") == ["active"]


@contextmanager
def machine(directory: Path, suite: str = SUITES[0], prepare: str = "") -> Iterator[Machine]:
    """A desktop that was just started."""
    script = f"printf '{HOSTS}' > etc/hosts\n{prepare}"
    with desktop(directory, system(suite, PACKAGES), script, bound=installed.bound()) as box:
        yield Machine(box)


def foo(*, name: str = "foo.dtk.io") -> dict[str, object]:
    """A record that external-dns sends."""
    labels = {"resource": "ingress/default/test"}
    return {"dnsName": name, "targets": ["10.32.0.9"], "recordType": "A", "labels": labels}


__all__ = ["CLUSTER", "HOSTS", "OPTIONS", "SUITES", "Machine", "foo", "machine", "until"]
