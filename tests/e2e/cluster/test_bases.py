"""Under which URLs external-dns can call, and several clusters on one desktop."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.security import generate_password_hash

import peers
from certificates import certificate_for
from cluster import Namespaced
from desktop import CLUSTER_ADDRESS, HOSTS, desktop
from externaldns import external_dns, see_quiet_passes, wait_for_change
from manifests import ingress

pytestmark = pytest.mark.namespace

every_version = pytest.mark.parametrize("version", peers.EXTERNAL_DNS)
every_registry = pytest.mark.parametrize("registry", ["txt", "noop"])


@pytest.mark.parametrize(
    "path", ["", "/", "/clusters/a", "/clusters/a/"], ids=["none", "slash", "base", "base-slash"]
)
@every_version
def test_a_path_in_the_url_and_a_slash_at_its_end(
    tmp_path: Path, namespaced: Namespaced, version: str, path: str
) -> None:
    base = path.rstrip("/")
    with desktop(tmp_path) as at:
        at.learn(base)
        namespaced.apply(ingress("foo", "foo.dtk.io", target="foo.dtk.io"))
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url + path, log) as one:
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"], base)
            see_quiet_passes(at.service, base)
            namespaced.delete(ingress("foo"))
            wait_for_change(at.service, lambda: not at.records(base), base)
            assert at.hosts() == HOSTS
            one.stop()
        at.service.stop()


@every_version
def test_over_tls_with_a_certificate_of_ones_own(tmp_path: Path, namespaced: Namespaced, version: str) -> None:
    key, certificate = certificate_for("127.0.0.1", tmp_path)
    port = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with desktop(tmp_path, "--domains", "dtk.io", "--cluster-ip", CLUSTER_ADDRESS, port=port) as at:
        namespaced.apply(ingress("foo", "foo.dtk.io", target="foo.dtk.io"))
        url = at.url.replace("http:", "https:")
        log = tmp_path / "external-dns.log"
        trusted = {"SSL_CERT_FILE": str(certificate)}
        kubernetes = (namespaced.kubeconfig, namespaced.name)
        with external_dns(version, *kubernetes, url, log, environment=trusted) as one:
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"])
            assert at.resolves("foo.dtk.io") == CLUSTER_ADDRESS
            see_quiet_passes(at.service)
            one.stop()
        at.service.stop()


@pytest.mark.parametrize("kept", ["secret", generate_password_hash("secret")], ids=["secret", "hash"])
@every_version
def test_with_credentials_as_dtk_gives_them_to_curl_and_to_external_dns(
    tmp_path: Path, namespaced: Namespaced, version: str, kept: str
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(f"dtk:{kept}\n")
    credentials.chmod(0o600)
    with desktop(tmp_path, "--credentials", str(credentials)) as at:
        # What `host-ip: dtk:secret@127.0.0.1` in config.yaml makes of every URL.
        url = at.url.replace("//", "//dtk:secret@")
        at.learn(url=url)
        namespaced.apply(ingress("foo", "foo.dtk.io", target="foo.dtk.io"))
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, url, log) as one:
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"])
            see_quiet_passes(at.service)
            one.stop()
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log) as stranger:
            assert stranger.process.wait(timeout=60) != 0
        told = next(line for line in at.service.lines() if "Refused 127.0.0.1, GET /:" in line)
        assert "--webhook-provider-url=http://USER:SECRET@HOST:PORT" in told
        assert at.names == ["foo.dtk.io"]
        at.service.stop()


@every_registry
@every_version
def test_two_clusters_with_a_base_each_do_not_meet(
    tmp_path: Path, namespaced: Namespaced, other: Namespaced, version: str, registry: str
) -> None:
    flags = {"registry": registry}
    with desktop(tmp_path) as at:
        # What DTK's script makes of `webhook-port: 5000/clusters/a` in config.yaml.
        at.learn("/clusters/a", address="192.168.122.167")
        at.learn("/clusters/b", address="192.168.123.9")
        namespaced.apply(ingress("one", "one.dtk.io", "both.dtk.io", target="one.dtk.io"))
        with (
            external_dns(
                version,
                namespaced.kubeconfig,
                namespaced.name,
                f"{at.url}/clusters/a",
                tmp_path / "a.log",
                **flags,
            ) as a,
        ):
            wait_for_change(at.service, lambda: at.names == ["both.dtk.io", "one.dtk.io"], "/clusters/a")
            other.apply(ingress("two", "two.dtk.io", "both.dtk.io", target="two.dtk.io"))
            log = tmp_path / "b.log"
            with external_dns(version, other.kubeconfig, other.name, f"{at.url}/clusters/b", log, **flags) as b:
                every = ["both.dtk.io", "one.dtk.io", "two.dtk.io"]
                wait_for_change(at.service, lambda: at.names == every, "/clusters/b")
                assert [at.resolves(name) for name in every] == [
                    "192.168.122.167",
                    "192.168.122.167",
                    "192.168.123.9",
                ]
                see_quiet_passes(at.service, "/clusters/a")
                see_quiet_passes(at.service, "/clusters/b")
                namespaced.delete(ingress("one"))
                wait_for_change(at.service, lambda: not at.records("/clusters/a"), "/clusters/a")
                assert at.names == ["both.dtk.io", "two.dtk.io"]
                assert at.resolves("both.dtk.io") == "192.168.123.9"
                see_quiet_passes(at.service, "/clusters/b")
                a.stop()
                b.stop()
        assert at.call("DELETE", "/clusters/b")[0] == 200
        assert at.hosts() == HOSTS
        at.service.stop()


@every_registry
@every_version
def test_two_clusters_on_one_base_are_told_of_and_how_to_part_them(
    tmp_path: Path, namespaced: Namespaced, other: Namespaced, version: str, registry: str
) -> None:
    flags = {"registry": registry}
    with desktop(tmp_path) as at:
        at.learn()
        namespaced.apply(ingress("one", "one.dtk.io", target="one.dtk.io"))
        other.apply(ingress("two", "two.dtk.io", target="two.dtk.io"))
        log = tmp_path / "external-dns.log"
        with (
            external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, **flags) as one,
            external_dns(version, other.kubeconfig, other.name, at.url, log, **flags) as two,
        ):
            told = next(line for line in at.service.lines() if "/clusters/" in line)
            assert "one.dtk.io" in told or "two.dtk.io" in told, told
            one.stop()
            two.stop()
        at.service.stop()
