"""The README's walk-through, as it stands there: its commands, its values, its Ingress."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster import Namespaced
from desktop import HOSTS, desktop
from externaldns import external_dns, see_quiet_passes, wait_for_change

pytestmark = pytest.mark.namespace

README = Path(__file__).parents[3] / "README.md"
FLAGS = {"interval": "interval", "logLevel": "log-level"}
"""What the chart makes of its values, but for the policy."""


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
    values = dict(re.findall(r"^(\w+): (\S+)$", block_with("policy:", "yaml"), re.M))
    flags = [f"--{FLAGS[key]}={value}" for key, value in values.items() if key != "policy"]
    with desktop(tmp_path, *run[2:]) as at:

        def shell(command: str, *more: str) -> str:
            command = command.replace("192.168.0.12:5000", f"127.0.0.1:{at.service.port}")
            command = command.replace("192.168.122.167", "127.0.0.1").replace(".venv/bin/", "")
            settings = [f"KUBECONFIG={namespaced.config(tmp_path)}", f"DTKDNS_URL={at.url}"]
            done = at.namespace.run("env", *settings, "sh", "-ec", " ".join([command, *more]))
            assert done.returncode == 0, done
            return done.stdout

        shell(block_with("/clusterip"))
        log = tmp_path / "external-dns.log"
        kubernetes = (namespaced.kubeconfig, namespaced.name)
        with external_dns("v0.19.0", *kubernetes, at.url, log, *flags, policy=values["policy"], loop=()) as one:
            shell(block_with("kubectl apply"))
            wait_for_change(at.service, lambda: at.names == ["foo.dtk.io"])
            page = shell(f"curl --silent --show-error --noproxy '*' http://foo.dtk.io:{web_server}")
            assert page == f"hello from foo.dtk.io:{web_server}"
            see_quiet_passes(at.service)
            shell(block_with("kubectl delete"))
            wait_for_change(at.service, lambda: not at.names)
            assert at.hosts() == HOSTS
            checks = shell(block_with("dtkdns smoke").strip(), f"--ingress-port {web_server}")
            assert "✓ its host no longer resolves" in checks
            assert "✗" not in checks
            one.stop()
        at.service.stop()
