"""How long a developer waits: from the creation of an Ingress until its name resolves.

    tox -e reaction

runs it beside a real external-dns and a real Kubernetes API. For each way of letting external-dns look, Ingresses
are created at arbitrary moments. Three figures are taken: the whole time; the part of dtkdns, which is that of its
`POST /records` from the last byte received to the answer (the name resolves before that); and their ratio. Then
thousands of Ingresses are seen at once.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster import Namespaced
from desktop import Desktop, desktop
from externaldns import external_dns
from manifests import ingress

LOOPS = {"--interval=1s": ["--interval=1s"], "--events": ["--events"], "--interval=1m (default)": []}
WATCH = """
import socket, sys, time
for line in sys.stdin:
    while True:
        try:
            socket.getaddrinfo(line.strip(), None)
            break
        except OSError:
            time.sleep(0.001)
    print(time.monotonic(), flush=True)
"""
"""Waits inside the namespace until a name resolves, and says when that was (CLOCK_MONOTONIC is everybody's)."""
APPLIED = re.compile(r"POST /records 204 in ([\d.]+) ms")


@contextmanager
def watcher(at: Desktop) -> Iterator[subprocess.Popen[str]]:
    command = [*at.namespace.prefix, sys.executable, "-c", WATCH]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def applied(at: Desktop) -> float:
    """The seconds that the next `POST /records` takes."""
    return next(float(found[1]) / 1000 for line in at.service.lines(90) if (found := APPLIED.search(line)))


def reactions(version: str, flags: Sequence[str], number: int) -> list[tuple[float, float]]:
    """For each Ingress the whole time and dtkdns' part of it, in seconds."""
    namespaced = Namespaced.of(Path(os.environ["KUBECONFIG"]), f"reaction-{uuid.uuid4().hex[:8]}")
    with tempfile.TemporaryDirectory() as directory, desktop(Path(directory)) as at, watcher(at) as watch:
        at.learn()
        log = Path(directory) / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, *flags, loop=()):
            next(line for line in at.service.lines() if "POST /adjustendpoints" in line)
            times = []
            for count in range(number):
                time.sleep(random.uniform(0.5, 1.5))
                name = f"foo-{count}.dtk.io"
                print(name, file=watch.stdin, flush=True)
                begun = time.monotonic()
                namespaced.apply(ingress(f"foo-{count}", name, target=name))
                own = applied(at)
                times.append((float(watch.stdout.readline()) - begun, own))
            return times


def at_once(version: str, number: int) -> tuple[float, float]:
    """The seconds of the pass in which external-dns first sees that many Ingresses, and dtkdns' part of it."""
    namespaced = Namespaced.of(Path(os.environ["KUBECONFIG"]), f"reaction-{uuid.uuid4().hex[:8]}")
    names = sorted(f"many-{count:05}.dtk.io" for count in range(number))
    namespaced.apply(*(ingress(name.removesuffix(".dtk.io"), name, target=name) for name in names))
    with tempfile.TemporaryDirectory() as directory, desktop(Path(directory)) as at, watcher(at) as watch:
        at.learn()
        log = Path(directory) / "external-dns.log"
        print(names[-1], file=watch.stdin, flush=True)
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, "--interval=1s", loop=()):
            next(line for line in at.service.lines() if "GET /records" in line)
            begun = time.monotonic()
            own = applied(at)
            return float(watch.stdout.readline()) - begun, own


@click.command()
@click.option("--external-dns", "version", default="v0.19.0", show_default=True)
@click.option("--number", default=20, show_default=True, help="Ingresses for each way; a fifth for the default.")
@click.option("--many", default=5000, show_default=True, help="Ingresses that are seen at once.")
def main(version: str, number: int, many: int) -> None:
    """Measure, and print a table."""
    print(f"external-dns {version}: seconds from the call to the API until the name resolves")
    print(f"{'':24} {'median':>8} {'least':>8} {'most':>8} {'of it dtkdns':>14} {'ratio':>8}")
    for name, flags in LOOPS.items():
        times = reactions(version, flags, number if flags else max(1, number // 5))
        whole = [one for one, _own in times]
        own = median(own for _one, own in times)
        print(
            f"{name:24} {median(whole):8.2f} {min(whole):8.2f} {max(whole):8.2f} {own * 1000:11.1f} ms"
            f" {own / median(whole):8.4f}",
            flush=True,
        )
    whole_pass, own = at_once(version, many)
    print(f"{f'{many} at once':24} {whole_pass:8.2f} {'':8} {'':8} {own * 1000:11.1f} ms {own / whole_pass:8.4f}")


if __name__ == "__main__":
    main()
