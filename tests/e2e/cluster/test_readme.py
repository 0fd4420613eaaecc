"""The README's walk-through, as it stands there: its commands, its values, its Ingress."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from cluster import Namespaced
from desktop import HOSTS, desktop
from externaldns import external_dns, see_quiet_passes, wait_for_change

CURL = "curl --silent --show-error --noproxy '*'"

pytestmark = pytest.mark.namespace

README = Path(__file__).parents[3] / "README.md"
FLAGS = {"interval": "interval", "logLevel": "log-level"}
"""What the chart makes of its values, but for policy, registry, owner and sources."""


def blocks(language: str) -> list[str]:
    """The code blocks of the walk-through, without the list's indentation."""
    text = README.read_text()
    walk = text[text.index("## With Desktop Kubernetes, step by step") : text.index("```mermaid")]
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", walk + text[: text.index("## Test it")], re.S | re.M)
    return [re.sub(f"^{indentation}", "", code, flags=re.M) for indentation, code in found]


def block_with(text: str, language: str = "sh") -> str:
    (one,) = [code for code in blocks(language) if text in code]
    return one


def test_the_walk_through(tmp_path: Path, namespaced: Namespaced, web_server: int) -> None:
    run = block_with("twistd").split(" dtkdns ")[1].split()
    assert run[:2] == ["--port", "5000"]
    (tmp_path / "config.yaml").write_text(block_with("host-ip:", "yaml"))
    with desktop(tmp_path, *run[2:]) as at:

        def shell(command: str, *more: str) -> str:
            command = command.replace("192.168.0.12:5000", f"127.0.0.1:{at.service.port}")
            command = command.replace("192.168.122.167", "127.0.0.1")
            settings = [f"KUBECONFIG={namespaced.config(tmp_path)}", f"DTKDNS_URL={at.url}"]
            script = f"cd {tmp_path}\n{' '.join([command, *more])}"
            done = at.namespace.run("env", *settings, "sh", "-ec", script)
            assert done.returncode == 0, done
            return done.stdout

        (tmp_path / "scripts/addons/external-dns").mkdir(parents=True)
        shell(block_with("dtkdns helm-values"))
        values = yaml.safe_load((tmp_path / "scripts/addons/external-dns/values.yaml").read_text())
        assert values["extraArgs"] == ["--webhook-provider-url=http://192.168.0.12:5000"]
        flags = [f"--{flag}={values[key]}" for key, flag in FLAGS.items()]
        shell(block_with("/clusterip"))
        log = tmp_path / "external-dns.log"
        kubernetes = (namespaced.kubeconfig, namespaced.name)
        policy, owner = values["policy"], values["txtOwnerId"]
        with external_dns("v0.19.0", *kubernetes, at.url, log, *flags, policy=policy, owner=owner, loop=()) as one:
            shell(block_with("kubectl apply"))
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"])
            used = block_with("dtkdns wait foo.dtk.io && curl")
            page = shell(used.strip().replace("curl https://foo.dtk.io", f"{CURL} http://foo.dtk.io:{web_server}"))
            assert page.endswith(f"hello from foo.dtk.io:{web_server}")
            see_quiet_passes(at.service)
            shell(block_with("kubectl delete"))
            wait_for_change(at.service, lambda: not at.names)
            assert at.hosts() == HOSTS
            checks = shell(block_with("dtkdns smoke").strip(), f"--ingress-port {web_server}")
            assert "✓ its host no longer resolves" in checks
            assert "✗" not in checks
            one.stop()
        at.service.stop()
