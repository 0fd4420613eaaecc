"""`dtkdns helm-values` as a process, beside a service as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from process import Dtkdns, dtkdns

COMMAND = str(Path(sys.executable).with_name("dtkdns"))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Dtkdns]:
    (tmp_path / "hosts").write_bytes(b"127.0.0.1 localhost\n")
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--cluster-ip", "127.0.0.1"]
    with dtkdns(*options, "--hosts-file", f"{tmp_path}/hosts", "--state", f"{tmp_path}/state") as running:
        yield running


def typed(port: int, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DTKDNS_URL": f"http://127.0.0.1:{port}", "COLUMNS": "80", "PATH": "/nowhere"}
    return subprocess.run(
        [COMMAND, "helm-values", *words], capture_output=True, text=True, check=False, timeout=60, env=environment
    )


def test_the_values_lead_to_the_service_that_runs(service: Dtkdns) -> None:
    seen = typed(service.port, "--host", "192.168.0.12", "--cluster", "lab")
    assert (seen.returncode, seen.stderr) == (0, "")
    found = yaml.safe_load(seen.stdout)
    url = f"http://192.168.0.12:{service.port}/clusters/lab"
    assert found["extraArgs"] == [f"--webhook-provider-url={url}"]
    seen = typed(service.port, "--host", "192.168.0.12", "--cluster", "lab", "--json")
    assert json.loads(seen.stdout) == found


def test_a_cluster_on_this_very_machine_tells_no_address_and_that_is_said(service: Dtkdns) -> None:
    seen = typed(service.port)
    assert (seen.returncode, seen.stdout) == (1, "")
    assert seen.stderr.startswith("dtkdns: It cannot be told under which address the VMs reach this machine.")


def test_dtks_file_is_enough_and_a_secret_in_it_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("dns:\n  domain: dtk.io\n  host-ip: dtk:s3cr%40t@192.168.0.12\n")
    seen = typed(1, "--config", f"{tmp_path}/config.yaml")
    assert seen.returncode == 0
    assert yaml.safe_load(seen.stdout)["extraArgs"] == [
        "--webhook-provider-url=http://dtk:s3cr%40t@192.168.0.12:5000"
    ]
    assert seen.stderr.startswith("dtkdns: The values hold a secret")
    assert "s3cr" not in seen.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No answer from http://127.0.0.1:1"),
        (["--config", "/missing/config.yaml"], "/missing/config.yaml cannot be read"),
        (["--host", "192.168.0.12", "--check", "chart"], "There is no helm here. Install helm"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_status_1(words: list[str], said: str) -> None:
    seen = typed(1, *words)
    assert (seen.returncode, seen.stdout) == (1, "")
    assert said in seen.stderr
    assert "Traceback" not in seen.stderr


@pytest.mark.parametrize(
    "words",
    [["--host", "a b"], ["--port", "0"], ["--cluster", "A_B"], ["--check", "chart", "--post-renderer"], ["chart"]],
)
def test_a_wrong_command_line_is_status_2(words: list[str]) -> None:
    seen = typed(1, *words)
    assert seen.returncode == 2
    assert "Usage: dtkdns helm-values" in seen.stderr


def test_the_help_fits_a_terminal() -> None:
    seen = typed(1, "--help")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert max(map(len, seen.stdout.splitlines())) <= 80


def test_the_script_runs_as_it_is_printed(tmp_path: Path) -> None:
    (tmp_path / "post-render.py").write_text(typed(1, "--post-renderer").stdout)
    manifest = "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "post-render.py")],
        input=f"{manifest}      - name: external-dns\n      - name: webhook\n        image: a:b\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == f"{manifest}      - name: external-dns\n"
