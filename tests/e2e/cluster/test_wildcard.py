"""A wildcard Ingress, which a hosts file cannot hold: DNS answers for every name under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import peers
from cluster import Namespaced
from desktop import CLUSTER_ADDRESS, desktop
from externaldns import external_dns, see_quiet_passes, wait_for_change
from manifests import ingress

from .lookup import dig, no_such_name, nslookup

pytestmark = pytest.mark.namespace

NAMES = ("any.apps.dtk.io", "any.thing.apps.dtk.io")
EXPLICIT = "x.apps.dtk.io"
OWN_ADDRESS = "10.32.0.9"
WILDCARDS = {
    "target": ingress("all", "*.apps.dtk.io", target="apps.dtk.io"),
    "address": ingress("all", "*.apps.dtk.io", address="10.0.0.1"),
}
"""One as DTK documents them, of which external-dns makes a CNAME, and one that a load balancer has taken up."""


@pytest.mark.parametrize("wildcard", WILDCARDS.values(), ids=WILDCARDS)
@pytest.mark.parametrize("version", peers.EXTERNAL_DNS)
def test_every_name_under_a_wildcard_ingress_is_answered_but_for_those_that_have_their_own(
    tmp_path: Path, namespaced: Namespaced, version: str, wildcard: dict[str, Any]
) -> None:
    of_the_cluster = ("NOERROR", [CLUSTER_ADDRESS])
    with desktop(tmp_path, "--routable", "10.32.0.0/24") as at:
        at.learn()
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log) as one:
            assert [nslookup(at, name) for name in NAMES] == [no_such_name(name) for name in NAMES]

            namespaced.apply(wildcard)
            wait_for_change(at.service, lambda: dig(at, NAMES[0]) == of_the_cluster)
            assert [dig(at, name) for name in (*NAMES, EXPLICIT, "*.apps.dtk.io")] == [of_the_cluster] * 4
            assert [nslookup(at, name) for name in NAMES] == [(0, [CLUSTER_ADDRESS])] * 2
            assert dig(at, "apps.dtk.io") == ("NOERROR", []), "it is only above the names"
            assert at.names == []
            see_quiet_passes(at.service)

            explicit = ingress("one", EXPLICIT, address=OWN_ADDRESS)
            namespaced.apply(explicit)
            wait_for_change(at.service, lambda: dig(at, EXPLICIT) == ("NOERROR", [OWN_ADDRESS]))
            assert [dig(at, name) for name in NAMES] == [of_the_cluster] * 2
            assert dig(at, f"under.{EXPLICIT}") == ("NXDOMAIN", [])
            assert at.names == [EXPLICIT]
            see_quiet_passes(at.service)

            namespaced.delete(explicit)
            wait_for_change(at.service, lambda: dig(at, EXPLICIT) == of_the_cluster)

            namespaced.delete(wildcard)
            wait_for_change(at.service, lambda: dig(at, NAMES[0]) == ("NXDOMAIN", []))
            assert [nslookup(at, name) for name in (*NAMES, EXPLICIT)] == list(
                map(no_such_name, (*NAMES, EXPLICIT))
            )
            assert at.records() == []
            see_quiet_passes(at.service)
            one.stop()
        at.service.stop()
