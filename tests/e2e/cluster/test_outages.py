"""dtkdns dies, stops, or cannot write, while the real external-dns works."""

from __future__ import annotations

from pathlib import Path

import pytest

import peers
from cluster import Namespaced
from desktop import CLUSTER_ADDRESS, HOSTS, Mounted, desktop
from externaldns import calls, external_dns, see_quiet_passes, wait_for_change
from manifests import ingress
from process import bind_mounted_hosts, scratch_etc

pytestmark = pytest.mark.namespace

every_version = pytest.mark.parametrize("version", peers.EXTERNAL_DNS)
every_registry = pytest.mark.parametrize("registry", ["txt", "noop"])

FEW = [ingress(f"few-{number}", f"few-{number}.dtk.io", address="10.32.0.5") for number in range(3)]
MORE = [ingress(f"more-{number}", f"more-{number}.dtk.io", address="10.32.0.5") for number in range(100)]


def hosts_of(objects: list[dict[str, object]]) -> list[str]:
    return sorted(f"{one['metadata']['name']}.dtk.io" for one in objects)  # type: ignore[index]


@every_registry
@every_version
def test_killed_and_started_again_it_has_everything_and_external_dns_which_has_exited_goes_on(
    tmp_path: Path, namespaced: Namespaced, version: str, registry: str
) -> None:
    flags = {"registry": registry}
    kubernetes = (namespaced.kubeconfig, namespaced.name)
    log = tmp_path / "external-dns.log"
    with desktop(tmp_path) as at:
        at.learn()
        namespaced.apply(*FEW)
        with external_dns(version, *kubernetes, at.url, log, **flags) as one:
            wait_for_change(at.service, lambda: at.names == hosts_of(FEW))
            namespaced.apply(*MORE)
            assert next(call for call in calls(at.service) if call[0] == "records")[1] == 200
            at.service.kill()
            assert one.ended() == 1, "external-dns gives up when the port is closed"
            assert "connection refused" in one.log or "EOF" in one.log or "connection reset" in one.log
        for name in hosts_of(FEW):
            assert at.resolves(name) == CLUSTER_ADDRESS, "what was shown stays while dtkdns is down"
        with external_dns(version, *kubernetes, at.url, log, **flags) as one:
            assert one.ended() == 1, "started by Kubernetes before dtkdns is back, it gives up again"
        with at.restarted() as again:
            assert set(hosts_of(FEW)) <= set(again.names)
            with external_dns(version, *kubernetes, again.url, log, **flags) as one:
                if again.names != hosts_of(FEW + MORE):
                    wait_for_change(again.service, lambda: again.names == hosts_of(FEW + MORE))
                see_quiet_passes(again.service)
                one.stop()
            again.service.stop()


@every_registry
@every_version
def test_stopped_during_a_pass_and_started_again_nothing_is_lost(
    tmp_path: Path, namespaced: Namespaced, version: str, registry: str
) -> None:
    flags = {"registry": registry}
    kubernetes = (namespaced.kubeconfig, namespaced.name)
    log = tmp_path / "external-dns.log"
    with desktop(tmp_path) as at:
        at.learn()
        namespaced.apply(*FEW)
        with external_dns(version, *kubernetes, at.url, log, **flags) as one, one.kept_running():
            wait_for_change(at.service, lambda: at.names == hosts_of(FEW))
            namespaced.apply(*MORE)
            next(call for call in calls(at.service) if call[0] == "records")
            at.service.stop()
            with at.restarted() as again:
                assert set(hosts_of(FEW)) <= set(again.names)
                if again.names != hosts_of(FEW + MORE):
                    wait_for_change(again.service, lambda: again.names == hosts_of(FEW + MORE))
                see_quiet_passes(again.service)
                again.service.stop()


@pytest.mark.parametrize("mounted", [bind_mounted_hosts, scratch_etc], ids=["in-place", "by-rename"])
@every_version
def test_a_hosts_file_that_is_read_only_for_a_while_costs_soft_errors_only(
    tmp_path: Path, namespaced: Namespaced, version: str, mounted: Mounted
) -> None:
    mount = "/etc/hosts" if mounted is bind_mounted_hosts else "/etc"
    with desktop(tmp_path, mounted=mounted) as at:
        at.learn()
        namespaced.apply(*FEW)
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log) as one:
            wait_for_change(at.service, lambda: at.names == hosts_of(FEW))
            before = at.hosts()
            done = at.namespace.run("mount", "-o", "remount,bind,ro", mount)
            assert done.returncode == 0, done.stderr
            namespaced.apply(*MORE)
            refused = next(call for call in calls(at.service) if call[0] == "apply")
            assert refused == ("apply", 503)
            passes = (call for call in calls(at.service) if call[0] == "adjust")
            assert [next(passes), next(passes)] == [("adjust", 200)] * 2
            assert one.running
            assert at.hosts() == before
            done = at.namespace.run("mount", "-o", "remount,bind,rw", mount)
            assert done.returncode == 0, done.stderr
            assert next(line for line in at.service.lines() if "The hosts file can be written again" in line)
            assert at.names == hosts_of(FEW + MORE)
            assert at.resolves("more-0.dtk.io") == CLUSTER_ADDRESS
            # On a slow machine the Ingresses come in several passes, and the last one may still be answered.
            next(call for call in calls(at.service) if call[0] == "records")
            see_quiet_passes(at.service)
            namespaced.delete(*FEW, *MORE)
            wait_for_change(at.service, lambda: not at.records())
            assert at.hosts() == HOSTS
            one.stop()
        at.service.stop()
