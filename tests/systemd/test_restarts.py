"""A real external-dns beside a service that restarts again and again: its calls wait, none is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import peers
from box import until

from .machine import OPTIONS, SUITES, Machine, machine

RESTARTS = 50
DOMAINS = "dtk.io,example.com"
"""Where the names lie that the source `fake` makes up: the newest version of it does not look at the template."""


@contextmanager
def external_dns(version: str, cluster: str, desktop: Machine, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One that sends new names and deletes old ones in every pass, once a second; in the desktop's network."""
    command = [
        *desktop.box.prefix,
        str(peers.external_dns(version)),
        *("--source=fake", "--fqdn-template=dtk.io", "--provider=webhook"),
        f"--webhook-provider-url=http://127.0.0.1:5000/clusters/{cluster}",
        *("--registry=txt", f"--txt-owner-id={cluster}", "--policy=sync", "--interval=1s"),
        "--metrics-address=127.0.0.1:0",
    ]
    with log.open("wb") as opened:
        process = subprocess.Popen(command, stdout=opened, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def changes(desktop: Machine) -> dict[str, Any]:
    """When each cluster's external-dns last changed something, as this process of the service knows."""
    done = desktop.box.run("curl --fail --silent --show-error http://127.0.0.1:5000/status")
    assert done.returncode == 0, done.stderr
    return {one["cluster"]: one["last_change"] for one in json.loads(done.stdout)["external_dns"]}


def test_external_dns_does_not_end_through_fifty_restarts(tmp_path: Path) -> None:
    clusters = {version: f"v{number}" for number, version in enumerate(peers.EXTERNAL_DNS)}
    with machine(tmp_path, SUITES[0]) as desktop, ExitStack() as running:
        desktop.install(OPTIONS)
        for name in clusters.values():
            url = f"http://127.0.0.1:5000/clusters/{name}/domains"
            desktop.box.run(f"curl --fail --silent --show-error -X POST {url} -d {DOMAINS}", check=True)
        logs = {version: tmp_path / f"{version}.log" for version in clusters}
        processes = {
            version: running.enter_context(external_dns(version, name, desktop, logs[version]))
            for version, name in clusters.items()
        }

        def all_changed() -> bool:
            found = changes(desktop)
            return all(found.get(name) for name in clusters.values())

        seen = set()
        for _ in range(RESTARTS):
            assert until(all_changed), {version: log.read_text()[-2000:] for version, log in logs.items()}
            seen.add(desktop.show("MainPID")[0])
            restarted = desktop.box.run("systemctl restart dtkdns")
            assert restarted.returncode == 0, desktop.log()[-4000:]
        assert until(all_changed)
        assert len(seen) == RESTARTS
        for version, process in processes.items():
            assert process.poll() is None, logs[version].read_text()[-4000:]
            assert "level=fatal" not in logs[version].read_text()
