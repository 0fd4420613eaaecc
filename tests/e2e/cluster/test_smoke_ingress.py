"""`python -m dtkdns.smoke --ingress` beside the real external-dns, and its record beside both registries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from cluster import Namespaced
from desktop import HOSTS, Desktop, desktop
from externaldns import calls, external_dns, see_quiet_passes, wait_for_change

pytestmark = pytest.mark.namespace

every_version = pytest.mark.parametrize("version", peers.EXTERNAL_DNS)


def command(at: Desktop, namespaced: Namespaced, port: int) -> list[str]:
    options = ["--ingress", "--kubeconfig", str(namespaced.kubeconfig), "--namespace", namespaced.name]
    return [sys.executable, "-m", "dtkdns.smoke", at.url, *options, "--ingress-port", str(port)]


@pytest.mark.parametrize("policy", ["sync", "upsert-only"])
@pytest.mark.parametrize("registry", ["txt", "noop"])
@every_version
def test_an_ingress_comes_answers_and_goes_or_it_is_said_why_not(
    tmp_path: Path, namespaced: Namespaced, web_server: int, version: str, registry: str, policy: str
) -> None:
    flags = {"policy": policy, "registry": registry}
    with desktop(tmp_path) as at:
        at.learn(address="127.0.0.1")
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, **flags) as one:
            next(call for call in calls(at.service) if call[0] == "adjust")
            timeout = "--timeout=30" if policy == "sync" else "--timeout=5"
            done = at.namespace.run(*command(at, namespaced, web_server), timeout)
            lines = done.stdout.splitlines()
            assert any(line.startswith("✓ its host answers: http://dtkdns-smoke-") for line in lines), lines
            crosses = [line for line in lines if line.startswith("✗")]
            if policy == "sync":
                assert (done.returncode, crosses) == (0, []), lines
            else:
                assert done.returncode == 1
                assert len(crosses) == 1, lines
                assert "policy: sync" in crosses[0]
            at.catch_up()
            see_quiet_passes(at.service)
            assert at.records() == []
            assert at.hosts() == HOSTS
            assert namespaced.names("Ingress") == []
            one.stop()
        at.service.stop()


@pytest.mark.parametrize("registry", ["txt", "noop"])
@every_version
def test_registry_txt_leaves_a_record_of_the_smoke_script_alone(
    tmp_path: Path, namespaced: Namespaced, version: str, registry: str
) -> None:
    labels = {"owner": "dtkdns-smoke", "resource": "dtkdns-smoke/record"}
    record = {
        "dnsName": "x.dtk.io",
        "targets": ["192.0.2.1"],
        "recordType": "A",
        "recordTTL": 60,
        "labels": labels,
    }
    with desktop(tmp_path) as at:
        at.learn()
        assert at.call("POST", "/records", json.dumps({"create": [record]}))[0] == 204
        next(call for call in calls(at.service) if call[0] == "apply")
        flags = {"registry": registry}
        log = tmp_path / "external-dns.log"
        with external_dns(version, namespaced.kubeconfig, namespaced.name, at.url, log, **flags) as one:
            if registry == "noop":
                wait_for_change(at.service, lambda: at.records() == [])
            see_quiet_passes(at.service)
            assert at.records() == ([record] if registry == "txt" else [])
            one.stop()
        at.service.stop()


def test_without_external_dns_it_says_so_and_leaves_no_ingress(tmp_path: Path, namespaced: Namespaced) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        done = at.namespace.run(*command(at, namespaced, 80), "--timeout=1")
        (cross,) = [line for line in done.stdout.splitlines() if line.startswith("✗")]
        assert "external-dns has not sent it" in cross
        assert done.returncode == 1
        assert namespaced.names("Ingress") == []
        at.service.stop()


def test_interrupted_it_deletes_its_ingress(tmp_path: Path, namespaced: Namespaced) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        full = [*at.namespace.prefix, *command(at, namespaced, 80)]
        with subprocess.Popen(full, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout is not None
            assert next(line for line in process.stdout if "kubectl creates an Ingress" in line)
            assert len(namespaced.names("Ingress")) == 1
            os.killpg(process.pid, signal.SIGINT)
            rest = process.stdout.read()
        assert process.returncode == 130
        assert "✓ kubectl deletes the Ingress" in rest
        assert namespaced.names("Ingress") == []
        assert at.records() == []
        at.service.stop()


def test_what_kubectl_says_is_passed_on(tmp_path: Path, namespaced: Namespaced) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        options = ["--ingress", "--kubeconfig", str(tmp_path / "missing")]
        done = at.namespace.run(sys.executable, "-m", "dtkdns.smoke", at.url, *options)
        (cross,) = [line for line in done.stdout.splitlines() if line.startswith("✗")]
        assert "kubectl says:" in cross
        assert "--kubeconfig" in cross
        assert done.returncode == 1
        at.service.stop()
