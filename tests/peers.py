"""The real programs on the other side, built once from their published Go modules.

`python tests/peers.py` builds what is missing, into `$DTKDNS_PEERS` (by default `dtkdns/peers` under
`$XDG_CACHE_HOME`). Nothing of it is part of dtkdns.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

EXTERNAL_DNS = ("v0.16.1", "v0.19.0", "v0.21.0")
"""The last one that spells changes the old way, the one that DTK installs, the newest one that can be had."""
CHARTS = ("v0.19.0", "v0.21.0", "v0.22.0")
"""Modules of external-dns that hold its Helm chart: as 1.19.0, which DTK installs, but for the number; as between
1.20.0 and 1.21.0; as after 1.21.1.
"""
HELM = ("v3.22.0", "v4.1.1")
"""The newest one that runs a script after it has rendered, and the one that DTK is tested with, which does not."""
KUBERNETES = Path(__file__).with_name("kubernetes")
"""A Go module that pins kube-apiserver and kubectl."""


class BuildError(Exception):
    """A program cannot be built; the message is a sentence."""


def directory() -> Path:
    """Where the programs are kept."""
    named = os.environ.get("DTKDNS_PEERS")
    if named:
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dtkdns" / "peers"


def external_dns(version: str) -> Path:
    return directory() / version / "external-dns"


def chart(version: str) -> Path:
    """An archive, as helm takes it."""
    return directory() / f"chart-{version}.tgz"


def helm(version: str) -> Path:
    return directory() / f"helm-{version}" / "helm"


def kubernetes(program: str) -> Path:
    return directory() / f"kubernetes-{_kubernetes_version()}" / program


def _kubernetes_version() -> str:
    found = re.search(r"k8s\.io/kubernetes (v\d\S+)", (KUBERNETES / "go.mod").read_text())
    assert found is not None
    return found[1]


def build() -> None:
    """Build what is missing; raises `BuildError`. A second call at the same time waits for the first."""
    directory().mkdir(parents=True, exist_ok=True)
    with (directory() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for version in EXTERNAL_DNS:
            module = f"sigs.k8s.io/external-dns@{version}"
            _build(external_dns(version).parent, ["external-dns"], Path("/"), [module], "")
        for version in CHARTS:
            _pack_chart(version)
        for version in HELM:
            module = f"helm.sh/helm/{version.partition('.')[0]}/cmd/helm@{version}"
            _build(helm(version).parent, ["helm"], Path("/"), [module], "")
        programs = ["kube-apiserver", "kubectl"]
        packages = [f"k8s.io/kubernetes/cmd/{program}" for program in programs]
        say_version = f"-X k8s.io/component-base/version.gitVersion={_kubernetes_version()}"
        _build(kubernetes(programs[0]).parent, programs, KUBERNETES, packages, say_version)


def _pack_chart(version: str) -> None:
    """Take the chart out of the module that has it."""
    if chart(version).exists():
        return
    command = ["go", "mod", "download", "-json", f"sigs.k8s.io/external-dns@{version}"]
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError("Go is needed to fetch external-dns' chart: install it (https://go.dev/dl).") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)} has failed: {done.stdout}{done.stderr}")
    unfinished = chart(version).with_suffix(".unfinished")
    with tarfile.open(unfinished, "w:gz") as archive:
        archive.add(Path(json.loads(done.stdout)["Dir"]) / "charts" / "external-dns", "external-dns")
    unfinished.rename(chart(version))


def _build(into: Path, programs: list[str], module: Path, packages: list[str], link: str) -> None:
    """Have Go install these packages, all or none of them."""
    if all((into / program).exists() for program in programs):
        return
    if shutil.which("go") is None:
        raise BuildError("Go is needed to build external-dns and kube-apiserver: install it (https://go.dev/dl).")
    unfinished = into.with_name(f"{into.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    print(f"Building {', '.join(packages)} ...", file=sys.stderr, flush=True)
    begun = time.monotonic()
    # Without debugging tables: a third less to write, and linked sooner.
    command = ["go", "install", "-buildvcs=false", "-trimpath", f"-ldflags=-s -w {link}", *packages]
    with tempfile.TemporaryDirectory(dir=directory()) as cache:  # gigabytes that nobody needs a second time
        environment = os.environ | {"GOBIN": str(unfinished), "GOCACHE": cache, "CGO_ENABLED": "0"}
        built = subprocess.run(command, cwd=module, env=environment, check=False)
    if built.returncode:
        raise BuildError(f"{' '.join(command)} has failed, see above.")
    shutil.rmtree(into, ignore_errors=True)
    unfinished.rename(into)
    print(f"... built in {time.monotonic() - begun:.0f} s.", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(str(error))
