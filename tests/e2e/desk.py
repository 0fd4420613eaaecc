"""A desktop with VMs, in namespaces of its own: dtkdns where the README puts it, and external-dns in one VM.

The desktop has the files of a fresh one, and one network, `virbr0`, on which the VM of the cluster is. That VM
makes the calls of external-dns, so that a firewall on the desktop really stands between the two.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from process import MEDIA_TYPE, Dtkdns, Namespace, dtkdns, scratch_etc

COMMAND = str(Path(sys.executable).with_name("dtkdns"))
VM = Path(__file__).with_name("vm.py")
HOSTS = b"127.0.0.1 localhost\n"
DESKTOP = "192.168.122.1"
"""The desktop as the VMs see it."""
CLUSTER = "192.168.122.167"
"""The VM: it has the ingress controller and external-dns, and beside these the network's nameserver."""
PORT = 5000
FOO = {
    "dnsName": "foo.dtk.io",
    "targets": ["foo.dtk.io"],
    "recordType": "CNAME",
    "labels": {"resource": "ingress/default/test"},
}
"""The record of the walk-through's Ingress, as external-dns sends it."""

_MADE = f"""
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
ip netns add desktop
ip netns add vm
ip -netns desktop link add virbr0 type veth peer name eth0 netns vm
ip -netns desktop address add {DESKTOP}/24 dev virbr0
ip -netns vm address add {CLUSTER}/24 dev eth0
for place in desktop vm; do ip -netns $place link set lo up; done
ip -netns desktop link set virbr0 up
ip -netns vm link set eth0 up
"""


@frozen
class Said:
    """What a command came to."""

    status: int
    found: dict[str, Any]
    """Its object; empty where it printed none."""
    sentence: str
    """Its line on standard error."""


@define
class Desk:
    """Where a person sits."""

    namespace: Namespace
    directory: Path
    running: ExitStack
    """What ends with the desktop."""
    ingress: subprocess.Popen[str] = field(init=False)
    """The ingress controller in the VM."""

    @property
    def prefix(self) -> list[str]:
        """What brings a program onto the desktop."""
        return [*self.namespace.prefix, "nsenter", "--net=/run/netns/desktop"]

    @property
    def etc(self) -> Path:
        """The directory that is /etc there."""
        return self.directory / "etc"

    def write(self, path: str, text: str) -> None:
        """A file under /etc."""
        whole = self.etc / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(text)

    def run(self, script: str) -> str:
        """What the person types, as root, and what it prints; a mount is one of this desktop alone."""
        return self._done([*self.prefix, "sh", "-ec", script])

    def serve(self, *options: str, domains: str = "dtk.io", within: Sequence[str] = ()) -> Dtkdns:
        """Start dtkdns; `within` is a command that runs it."""
        managed = ["--domains", domains] if domains else []
        dns = [] if "--dns" in options else ["--dns", "5053"]
        return self.running.enter_context(dtkdns(*managed, *dns, *options, prefix=[*self.prefix, *within]))

    def post(self, path: str, body: str) -> None:
        """The person's call, which must be taken."""
        curl = ["curl", "--fail", "--silent", "--show-error", "--noproxy", "*", "-X", "POST"]
        self._done([*self.prefix, *curl, f"http://127.0.0.1:{PORT}{path}", "-d", body])

    def call(self, path: str, body: object) -> int:
        """A call of external-dns, from its VM: the status, 0 where there is no answer."""
        curl = [
            "curl",
            "--silent",
            "--noproxy",
            "*",
            "--max-time",
            "12",
            "--connect-timeout",
            "0.3",
            "-o",
            "/dev/null",
        ]
        headers = ["-H", f"Content-Type: {MEDIA_TYPE}", "-w", "%{http_code}"]
        url = f"http://{DESKTOP}:{PORT}{path}"
        command = [*self._in_vm, *curl, *headers, url, "-d", json.dumps(body)]
        return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    def send(self, *records: object, base: str = "") -> int:
        """What external-dns does in a pass for new records: the status of its last call."""
        asked = self.call(f"{base}/adjustendpoints", records)
        return self.call(f"{base}/records", {"create": records}) if asked == 200 else asked

    def healthy(self, *options: str) -> Dtkdns:
        """Start dtkdns, and go through the README's walk-through."""
        service = self.serve(*options)
        self.post("/clusterip", CLUSTER)
        assert self.send(FOO) == 204
        return service

    def listen(self, *ports: int) -> subprocess.Popen[str]:
        """Have a program of the VM listen there; on 53 it is a nameserver."""
        return self._started([*self._in_vm, sys.executable, str(VM), CLUSTER, *map(str, ports)], "listens")

    def start(self, *command: str, ready: str) -> None:
        """Start a program on the desktop that runs on, and wait until it says this."""
        self._started([*self.prefix, *command], ready)

    def ask(self, *commands: Sequence[str], later: str = "") -> list[Said]:
        """What the commands of dtkdns say, `later` from now (faketime(1)); they run at the same time."""
        clock = ["faketime", "-f", later] if later else []
        environment = {key: value for key, value in os.environ.items() if key != "DTKDNS_URL"}
        started = [
            subprocess.Popen(
                [*self.prefix, *clock, COMMAND, *command, "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for command in commands
        ]
        said = []
        for program in started:
            out, error = program.communicate(timeout=60)
            said.append(Said(program.returncode, json.loads(out or "{}"), error.strip()))
        return said

    @property
    def _in_vm(self) -> list[str]:
        return [*self.namespace.prefix, "nsenter", "--net=/run/netns/vm"]

    def _started(self, command: Sequence[str], ready: str) -> subprocess.Popen[str]:
        program = self.running.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        self.running.callback(program.kill)
        assert program.stdout is not None
        assert any(ready in line for line in program.stdout), command
        return program

    def _done(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def desk(directory: Path) -> Iterator[Desk]:
    """A fresh one."""
    with scratch_etc(directory, HOSTS) as namespace, ExitStack() as running:
        # From a network of this machine, to which it would go back, ip(8) makes none for a user who is not root.
        made = namespace.run("unshare", "--net", "sh", "-ec", _MADE)
        assert made.returncode == 0, made.stderr
        found = Desk(namespace, directory, running)
        found.write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        found.write("resolv.conf", f"nameserver {CLUSTER}\n")
        found.listen(53)
        found.ingress = found.listen(80, 443)
        yield found


def need(program: str) -> None:
    """Skip the test where a program is missing, or fail it where all must run."""
    if shutil.which(program) is None:
        if os.environ.get("DTKDNS_TEST_ALL"):
            pytest.fail(f"This needs {program}")
        pytest.skip(f"There is no {program} here")
