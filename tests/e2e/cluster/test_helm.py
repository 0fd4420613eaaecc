"""What `dtkdns helm-values` prints, in the hands of the real helm, Kubernetes API and external-dns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import peers
from cluster import Namespaced
from desktop import desktop
from dtkdns.cli.helm import sidecar
from externaldns import ExternalDNS, external_dns, see_quiet_passes, wait_for_change
from manifests import ingress

VENV = Path(sys.executable).parent
HELM_3, HELM_4 = peers.HELM
USER, SECRET = "dtk", "s3c'r\"e#t: {{ .Values }} @/\\ü"
DTK_VALUES = "provider: {name: webhook, webhook: {image: {repository: slug, tag: slug}}}\npolicy: sync\n"
"""What DTK's own file comes to, and the policy, which charts after 1.21 demand."""
STARTED = [("v0.19.0", "v0.19.0"), ("v0.21.0", "v0.21.0"), ("v0.22.0", "v0.21.0")]
"""Charts, each with the external-dns that it or its release installs."""


def helm(
    version: str, directory: Path, *words: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it with no configuration but that in a directory, and with the Python of the tests in front."""
    return subprocess.run(
        [str(peers.helm(version)), *words],
        env=os.environ | _environment(version, directory) | environment,
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
    )


def _environment(version: str, directory: Path) -> dict[str, str]:
    homes = {f"HELM_{kind}_HOME": f"{directory}/helm/{kind}" for kind in ("CONFIG", "DATA", "CACHE")}
    return homes | {"PATH": f"{VENV}:{peers.helm(version).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}


def helm_values(version: str, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(VENV / "dtkdns"), "helm-values", *options],
        env=os.environ | _environment(version, directory),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rendered(manifests: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(manifests) if one]


def containers(manifests: str) -> dict[str, list[str]]:
    """Of the Deployment, each with its arguments."""
    (found,) = [one for one in rendered(manifests) if one["kind"] == "Deployment"]
    return {one["name"]: one.get("args", []) for one in found["spec"]["template"]["spec"]["containers"]}


@pytest.mark.parametrize("chart", peers.CHARTS)
@pytest.mark.parametrize("version", peers.HELM)
def test_each_chart_accepts_the_values_and_starts_external_dns_alone_with_the_secret_as_it_was(
    tmp_path: Path, version: str, chart: str
) -> None:
    (tmp_path / "credentials").write_text(f"{USER}:{SECRET}\n")
    options = ["--host", "fd00::12", "--cluster", "lab", "--credentials", f"{tmp_path}/credentials"]
    checked = helm_values(version, tmp_path, *options, "--check", str(peers.chart(chart)))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("All is well: external-dns-1.")

    printed = helm_values(version, tmp_path, *options)
    assert "hold a secret" in printed.stderr
    (tmp_path / "values.yaml").write_text(printed.stdout)
    (tmp_path / "values.json").write_text(helm_values(version, tmp_path, *options, "--json").stdout)
    template = ["template", "external-dns", str(peers.chart(chart)), "--values"]
    made = helm(version, tmp_path, *template, f"{tmp_path}/values.yaml").stdout
    assert helm(version, tmp_path, *template, f"{tmp_path}/values.json").stdout == made
    (url,) = re.findall(r"--webhook-provider-url=(\S+)", "\n".join(containers(made)["external-dns"]))
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path) == ("fd00::12", 5000, "/clusters/lab")
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (USER, SECRET)
    (service,) = [one for one in rendered(made) if one["kind"] == "Service"]
    assert [one["name"] for one in service["spec"]["ports"]] == ["http"], "no port without a container"


@pytest.mark.parametrize("chart", peers.CHARTS)
@pytest.mark.parametrize("version", peers.HELM)
def test_the_values_outlive_the_file_that_dtks_script_writes_after_them(
    tmp_path: Path, version: str, chart: str
) -> None:
    (tmp_path / "config.yaml").write_text("dns: {domain: dtk.io, host-ip: 192.168.0.12, webhook-port: 5000}\n")
    (tmp_path / "values.yaml").write_text(
        helm_values(version, tmp_path, "--config", f"{tmp_path}/config.yaml").stdout
    )
    (tmp_path / "extra-values.yaml").write_text(
        "extraArgs:\n  - --webhook-provider-url=http://192.168.0.12:5000\n"
    )
    own = ["template", "external-dns", str(peers.chart(chart)), "--values", f"{tmp_path}/values.yaml"]
    made = helm(version, tmp_path, *own, "--values", f"{tmp_path}/extra-values.yaml").stdout
    assert made == helm(version, tmp_path, *own).stdout


@pytest.mark.parametrize("chart", peers.CHARTS)
def test_the_script_takes_the_container_out_where_dtks_own_values_bring_it_in(tmp_path: Path, chart: str) -> None:
    (tmp_path / "values.yaml").write_text(DTK_VALUES)
    template = ["template", "external-dns", str(peers.chart(chart)), "--values", f"{tmp_path}/values.yaml"]
    plugin = tmp_path / "dtkdns-post-render"
    plugin.mkdir()
    script = plugin / "post-render.py"
    script.write_text(helm_values(HELM_3, tmp_path, "--post-renderer").stdout)
    script.chmod(0o755)
    before = helm(HELM_3, tmp_path, *template).stdout
    after = helm(HELM_3, tmp_path, *template, "--post-renderer", str(script)).stdout
    assert set(containers(before)) == {"external-dns", "webhook"}
    assert containers(after) == {"external-dns": containers(before)["external-dns"]}
    kept = iter(before.splitlines())
    assert all(line in kept for line in after.splitlines()), "nothing else is changed or moved"

    refused = helm(HELM_4, tmp_path, *template, "--post-renderer", str(script), check=False)
    assert refused.returncode == 1
    assert "not found" in refused.stderr
    found = re.search(r"^    apiVersion: v1\n(?:    .*\n)+", sidecar.__doc__ or "", re.MULTILINE)
    assert found is not None
    (plugin / "plugin.yaml").write_text(textwrap.dedent(found[0]))
    helm(HELM_4, tmp_path, "plugin", "install", str(plugin))
    by_plugin = helm(HELM_4, tmp_path, *template, "--post-renderer", plugin.name).stdout
    assert rendered(by_plugin) == rendered(after)


@pytest.mark.namespace
@pytest.mark.parametrize(("chart", "started_by_it"), STARTED)
@pytest.mark.parametrize("version", peers.HELM)
def test_what_helm_installs_brings_a_name_up_and_takes_it_away(
    tmp_path: Path, namespaced: Namespaced, version: str, chart: str, started_by_it: str
) -> None:
    with desktop(tmp_path) as at:
        at.learn("/clusters/lab")
        (tmp_path / "values.yaml").write_text(
            helm_values(
                version, tmp_path, "--host", "127.0.0.1", "--port", str(at.service.port), "--cluster", "lab"
            ).stdout
        )
        release = f"external-dns-{namespaced.name}"
        install = ["upgrade", "--install", release, str(peers.chart(chart)), "--namespace", namespaced.name]
        for _ in range(2):
            helm(
                version,
                tmp_path,
                *install,
                "--values",
                f"{tmp_path}/values.yaml",
                KUBECONFIG=str(namespaced.kubeconfig),
            )
        get = ["kubectl", "--namespace", namespaced.name, "get", "deployment", release, "--output", "json"]
        done = subprocess.run(get, capture_output=True, text=True, check=True, timeout=60)
        started = containers(json.dumps(json.loads(done.stdout)))
        assert set(started) == {"external-dns"}
        here = [
            f"--kubeconfig={namespaced.kubeconfig}",
            f"--namespace={namespaced.name}",
            "--metrics-address=127.0.0.1:0",
        ]
        command = [str(peers.external_dns(started_by_it)), *started["external-dns"], *here]
        one = ExternalDNS(command, tmp_path / "external-dns.log", {})
        try:
            namespaced.apply(ingress("test", "foo.dtk.io", target="foo.dtk.io"))
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"], "/clusters/lab")
            assert '"heritage=external-dns,external-dns/owner=dtkdns-lab,' in str(at.records("/clusters/lab"))
            namespaced.delete(ingress("test", "foo.dtk.io", target="foo.dtk.io"))
            wait_for_change(at.service, lambda: at.names == [], "/clusters/lab")
            see_quiet_passes(at.service, "/clusters/lab")
            one.stop()
        finally:
            one.process.kill()
            one.process.wait()
        at.service.stop()


@pytest.mark.namespace
def test_a_name_of_another_owner_stays_until_it_is_forgotten_and_comes_again_where_it_is_wanted(
    tmp_path: Path, namespaced: Namespaced
) -> None:
    gone, wanted = (ingress(name, f"{name}.dtk.io", target=f"{name}.dtk.io") for name in ("gone", "wanted"))
    base, log = "/clusters/lab", tmp_path / "external-dns.log"
    with desktop(tmp_path) as at:
        at.learn(base)
        namespaced.apply(gone, wanted)
        here = ("v0.19.0", namespaced.kubeconfig, namespaced.name, f"{at.url}{base}", log)
        with external_dns(*here, owner="default") as before:
            wait_for_change(at.service, lambda: at.names == ["gone.dtk.io", "wanted.dtk.io"], base)
            before.stop()
        with external_dns(*here, owner="dtkdns-lab") as one:
            namespaced.delete(gone)
            see_quiet_passes(at.service, base)
            assert at.names == ["gone.dtk.io", "wanted.dtk.io"]
            for name in at.names:
                forget = [str(VENV / "dtkdns"), "forget", name, "--cluster", "lab", "--yes", "--url", at.url]
                assert subprocess.run(forget, capture_output=True, check=False, timeout=60).returncode == 0
            wait_for_change(at.service, lambda: at.names == ["wanted.dtk.io"], base)
            see_quiet_passes(at.service, base)
            one.stop()
        at.service.stop()
