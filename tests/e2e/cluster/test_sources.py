"""What people write into their manifests: names, records as external-dns means them, and then quiet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import peers
from cluster import Namespaced
from desktop import CLUSTER_ADDRESS, HOSTS, Desktop, desktop
from externaldns import external_dns, see_quiet_passes, wait_for_change
from manifests import ingress, service

pytestmark = pytest.mark.namespace

Record = tuple[str, str, tuple[str, ...]]

OBJECTS = [
    ingress("hosts", "shop.dtk.io", "api.dtk.io", "shop.example.com", address="10.32.0.5"),
    ingress("wildcard", "*.apps.dtk.io", address="10.32.0.5"),
    ingress("apex", "dtk.io", address="10.32.0.5"),
    ingress("ttl", "ttl.dtk.io", address="10.32.0.5", ttl="90"),
    ingress("six", "six.dtk.io", address="2001:db8::5"),
    ingress("blue", "set.dtk.io", address="10.32.0.5", set_identifier="blue"),
    ingress("green", "set.dtk.io", address="10.32.0.6", set_identifier="green"),
    ingress("hook", "hook.dtk.io", address="10.32.0.5", webhook_colour="red"),
    ingress("punycode", "xn--bcher-kva.dtk.io", address="10.32.0.5"),
    ingress("mixed", "mixed.dtk.io", target="10.32.0.7,lb.example.com"),
    ingress("itself", "foo.dtk.io", target="foo.dtk.io"),
    service("service", address="10.32.0.8", hostname="service.dtk.io"),
    service("external", external_name="db.example.com", hostname="external.dtk.io"),
]
NAMES = ["api", "external", "foo", "hook", "mixed", "service", "set", "shop", "six", "ttl", "xn--bcher-kva"]
RECORDS: set[Record] = {
    ("shop.dtk.io", "A", ("10.32.0.5",)),
    ("api.dtk.io", "A", ("10.32.0.5",)),
    ("*.apps.dtk.io", "A", ("10.32.0.5",)),
    ("dtk.io", "A", ("10.32.0.5",)),
    ("ttl.dtk.io", "A", ("10.32.0.5",)),
    ("six.dtk.io", "AAAA", ("2001:db8::5",)),
    ("set.dtk.io", "A", ("10.32.0.5",)),
    ("set.dtk.io", "A", ("10.32.0.6",)),
    ("hook.dtk.io", "A", ("10.32.0.5",)),
    ("xn--bcher-kva.dtk.io", "A", ("10.32.0.5",)),
    ("mixed.dtk.io", "A", ("10.32.0.7",)),
    ("foo.dtk.io", "CNAME", ("foo.dtk.io",)),
    ("service.dtk.io", "A", ("10.32.0.8",)),
    ("external.dtk.io", "CNAME", ("db.example.com",)),
}


def kept(at: Desktop) -> set[Record]:
    """The stored records, without those that only tell their owner."""
    return {
        (record["dnsName"], record["recordType"], tuple(record["targets"]))
        for record in at.records()
        if record["recordType"] != "TXT"
    }


def field(at: Desktop, name: str, key: str) -> Any:
    (one,) = [record for record in at.records() if record["dnsName"] == name and record["recordType"] != "TXT"]
    return one.get(key)


@pytest.mark.parametrize("policy", ["sync", "upsert-only"])
@pytest.mark.parametrize("registry", ["txt", "noop"])
@pytest.mark.parametrize("version", peers.EXTERNAL_DNS)
def test_each_kind_of_source_is_shown_changed_and_taken_away_and_passes_go_quiet(
    tmp_path: Path, namespaced: Namespaced, version: str, registry: str, policy: str
) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        namespaced.apply(*OBJECTS)
        log = tmp_path / "external-dns.log"
        flags = {"policy": policy, "registry": registry}
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, **flags) as one:
            wait_for_change(at.service, lambda: kept(at) == RECORDS)
            assert at.names == sorted([*(f"{name}.dtk.io" for name in NAMES), "dtk.io"])
            for name in at.names:
                assert at.resolves(name) == CLUSTER_ADDRESS
            assert at.resolves("shop.example.com") is None
            assert at.resolves("any.apps.dtk.io") is None
            assert field(at, "ttl.dtk.io", "recordTTL") == 90
            assert {"name": "webhook/colour", "value": "red"} in field(at, "hook.dtk.io", "providerSpecific")
            assert any("*.apps.dtk.io" in line for line in at.service.log), "the wildcard is explained"
            see_quiet_passes(at.service)

            namespaced.apply(
                ingress("hosts", "shop.dtk.io", "new.dtk.io", address="10.32.0.5"),
                ingress("ttl", "ttl.dtk.io", address="10.32.0.5", ttl="120"),
                ingress("blue", "set.dtk.io", address="10.32.0.9", set_identifier="blue"),
                ingress("hook", "hook.dtk.io", address="10.32.0.5", webhook_colour="green"),
                ingress("six", "six.dtk.io", address="2001:db8::6"),
                ingress("apex", "dtk.io", target="lb.example.com") if policy == "sync" else OBJECTS[2],
            )
            changed = RECORDS - {("six.dtk.io", "AAAA", ("2001:db8::5",)), ("set.dtk.io", "A", ("10.32.0.5",))}
            changed |= {("new.dtk.io", "A", ("10.32.0.5",)), ("six.dtk.io", "AAAA", ("2001:db8::6",))}
            changed |= {("set.dtk.io", "A", ("10.32.0.9",))}
            if policy == "sync":
                changed -= {("api.dtk.io", "A", ("10.32.0.5",)), ("dtk.io", "A", ("10.32.0.5",))}
                changed |= {("dtk.io", "CNAME", ("lb.example.com",))}
            hook = {"name": "webhook/colour", "value": "green"}
            wait_for_change(
                at.service,
                lambda: (
                    kept(at) == changed
                    and field(at, "ttl.dtk.io", "recordTTL") == 120
                    and hook in field(at, "hook.dtk.io", "providerSpecific")
                ),
            )
            assert at.resolves("new.dtk.io") == CLUSTER_ADDRESS
            assert at.resolves("api.dtk.io") == (None if policy == "sync" else CLUSTER_ADDRESS)
            see_quiet_passes(at.service)

            namespaced.delete(*OBJECTS)
            if policy == "sync":
                wait_for_change(at.service, lambda: not at.records())
                assert at.hosts() == HOSTS
            see_quiet_passes(at.service)
            if policy == "upsert-only":
                assert kept(at) == changed
            one.stop()
        at.service.stop()
