"""`twistd dtkdns --config` as a process, with the walk-through's file and the calls that DTK's script makes."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from process import TWISTD, Dtkdns, dtkdns

README = Path(__file__).parents[2] / "README.md"
USER = "dtk:s3cr%40t"
"""With the secret, as it stands in a URL."""

DTK = """\
curl() { command curl -sS -o /dev/null -w '%{http_code}\\n' "$@"; }
curl -X POST "http://$dns_host_ip:$dns_webhook_port/domains" -d "$dns_domain"
curl -X POST "http://$dns_host_ip:$dns_webhook_port/clusterip" -d "$controller_ip"
"""
"""DTK's `scripts/addons/external-dns/install`, but for the first line, which has the answers' status printed."""


def config(directory: Path, host: str, base: str = "", more: str = "") -> Path:
    """The walk-through's file, for a port that is free."""
    (section,) = re.findall(r"```yaml\n(   dns:\n.*?)   ```", README.read_text(), re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    text = re.sub(r"(?m)^   ", "", section).replace("192.168.0.12", host).replace("5000", port + base)
    path = directory / "config.yaml"
    path.write_text(f"virt: kvm\n{text}{more}vms:\n  - name: vm1\n")
    return path


def files(directory: Path) -> list[str]:
    (directory / "hosts").write_bytes(b"127.0.0.1 localhost\n")
    return ["--hosts-file", f"{directory}/hosts", "--state", f"{directory}/state"]


def script(path: Path, host: str | None = None) -> list[str]:
    """What DTK's script is answered, with what it takes from the file as yq(1) does."""
    section = yaml.safe_load(path.read_text())["dns"]
    done = subprocess.run(
        ["bash", "-c", DTK],
        env={
            "PATH": "/usr/bin:/bin",
            "dns_host_ip": host or section["host-ip"],
            "dns_webhook_port": str(section["webhook-port"]),
            "dns_domain": section["domain"],
            "controller_ip": "192.168.122.167",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def get(service: Dtkdns, path: str) -> str:
    url = f"http://{USER}@127.0.0.1:{service.port}{path}"
    return subprocess.run(["curl", "-sS", url], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("base", ["", "/clusters/lab"])
def test_dtks_script_finds_dtkdns_with_the_same_file_and_nobody_does_without_the_secret(
    tmp_path: Path, base: str
) -> None:
    path = config(tmp_path, f"{USER}@127.0.0.1", base)
    with dtkdns("--config", str(path), *files(tmp_path)) as service:
        assert script(path, "127.0.0.1") == ["401", "401"]
        assert script(path, "dtk:other@127.0.0.1") == ["401", "401"]
        assert script(path) == ["200", "200"]
        assert get(service, f"{base}/domains").strip() == '["dtk.io"]'
        assert get(service, f"{base}/clusterip").strip() == '"192.168.122.167"'
        service.stop()
    log = "".join(service.log)
    announced = f"domain: dtk.io\n    host-ip: 127.0.0.1\n    webhook-port: {service.port}{base}\n"
    assert re.sub(r"(?m)^\t", "", log).count(announced) == 1, log
    assert "s3cr" not in log


def test_a_section_that_is_not_enabled_ends_the_start_with_one_sentence_and_status_1(tmp_path: Path) -> None:
    path = config(tmp_path, f"{USER}@127.0.0.1", more="  enabled: false\n")
    line = path.read_text().splitlines().index("  enabled: false") + 1
    command = [*TWISTD, "-n", "--pidfile=", "dtkdns", "--config", str(path), *files(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"dtkdns: --config: {path}, line {line}: dns.enabled: it is false: set it to true, or start dtkdns without"
        " --config.\n"
    )
