"""Thousands of Ingresses that external-dns sees for the first time in one pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import peers
from cluster import Namespaced
from desktop import CLUSTER_ADDRESS, desktop
from externaldns import calls, external_dns, see_quiet_passes
from manifests import ingress

pytestmark = pytest.mark.namespace

NAMES = [f"many-{number:04}.dtk.io" for number in range(5000)]


@pytest.fixture
def many(namespaced: Namespaced) -> Namespaced:
    """A Kubernetes namespace with an Ingress for each name."""
    objects = [ingress(name.removesuffix(".dtk.io"), name, target=name) for name in NAMES]
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda part: namespaced.apply(*objects[part::4]), range(4)))
    return namespaced


@pytest.mark.parametrize("version", peers.EXTERNAL_DNS)
def test_five_thousand_ingresses_in_one_pass(tmp_path: Path, many: Namespaced, version: str) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        log = tmp_path / "external-dns.log"
        with external_dns(version, many.kubeconfig, many.name, at.url, log) as one:
            assert next(call for call in calls(at.service) if call[0] == "apply") == ("apply", 204)
            assert at.names == NAMES
            found = at.namespace.run("getent", "hosts", *NAMES).stdout.splitlines()
            assert [line.split() for line in found] == [[CLUSTER_ADDRESS, name] for name in NAMES]
            see_quiet_passes(at.service)
            one.stop()
        at.service.stop()
