"""The story that DTK's documentation tells: an empty server, the script's two calls, external-dns, an Ingress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import peers
from cluster import Namespaced
from desktop import HOSTS, desktop
from externaldns import EVERY_SECOND, ON_EVENTS, calls, external_dns, see_quiet_passes, wait_for_change
from manifests import ingress

from .lookup import dig, no_such_name, nslookup

pytestmark = pytest.mark.namespace

INGRESS = ingress("test", "foo.dtk.io", target="foo.dtk.io")


@pytest.mark.parametrize("loop", [EVERY_SECOND, ON_EVENTS], ids=["every-second", "on-events"])
@pytest.mark.parametrize("policy", ["sync", "upsert-only"])
@pytest.mark.parametrize("registry", ["txt", "noop"])
@pytest.mark.parametrize("version", peers.EXTERNAL_DNS)
def test_an_ingress_resolves_until_it_is_deleted_or_forgotten(
    tmp_path: Path,
    namespaced: Namespaced,
    web_server: int,
    version: str,
    registry: str,
    policy: str,
    loop: Sequence[str],
) -> None:
    page = f"http://foo.dtk.io:{web_server}/"
    curl = ["curl", "--silent", "--show-error", "--noproxy", "*", page]
    flags = {"policy": policy, "registry": registry}
    with desktop(tmp_path) as at:
        assert at.call("GET", "/domains") == (200, b"[]\n")
        at.learn(address="127.0.0.1")
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, loop=loop, **flags) as one:
            first = [next(calls(at.service)) for _ in range(3)]
            assert first == [("negotiate", 200), ("records", 200), ("adjust", 200)]
            assert at.resolves("foo.dtk.io") is None
            assert nslookup(at, "foo.dtk.io") == no_such_name("foo.dtk.io")

            namespaced.apply(INGRESS)
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"])
            assert at.resolves("foo.dtk.io") == "127.0.0.1"
            assert nslookup(at, "foo.dtk.io") == (0, ["127.0.0.1"])
            assert dig(at, "foo.dtk.io") == ("NOERROR", ["127.0.0.1"])
            assert at.namespace.run(*curl).stdout == f"hello from foo.dtk.io:{web_server}"
            if loop == EVERY_SECOND:
                see_quiet_passes(at.service)

            namespaced.delete(INGRESS)
            if policy == "sync":
                wait_for_change(at.service, lambda: not at.names)
            else:
                if loop == ON_EVENTS:
                    # That this pass does nothing is known when the next one begins, for which it takes an event.
                    assert next(calls(at.service)) == ("records", 200)
                    assert next(calls(at.service)) == ("adjust", 200)
                    namespaced.apply(ingress("other", "other.example.com", target="other.example.com"))
                see_quiet_passes(at.service, number=2 if loop == EVERY_SECOND else 0)
                assert at.resolves("foo.dtk.io") == "127.0.0.1"
                assert at.call("DELETE", "/names/foo.dtk.io")[0] == 200
            assert at.resolves("foo.dtk.io") is None
            assert nslookup(at, "foo.dtk.io") == no_such_name("foo.dtk.io")
            assert dig(at, "foo.dtk.io") == ("NXDOMAIN", [])
            assert at.namespace.run(*curl).returncode == 6, "curl cannot resolve it"
            assert at.hosts() == HOSTS
            assert at.records() == []
            if loop == EVERY_SECOND:
                see_quiet_passes(at.service)
            one.stop()
        at.service.stop()
