"""`--config`: the service with DTK's own configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from dtkdns import tap
from dtkdns.tap import Options, makeService
from running import basic, endpoint, running


def config(directory: Path, *lines: str) -> str:
    """The option's value, for a file with such a section."""
    path = directory / "config.yaml"
    path.write_text("\n".join(["virt: kvm", "dns:", *(f"  {line}" for line in lines)]))
    return str(path)


def made(directory: Path, *options: str) -> object:
    parsed = Options()
    (directory / "hosts").touch()
    files = ["--hosts-file", str(directory / "hosts"), "--state", str(directory / "state"), "--dns", "off"]
    parsed.parseOptions([*files, *options])
    return makeService(parsed)


@ensureDeferred
async def test_domain_and_address_are_for_the_cluster_in_the_port_and_its_base_is_announced(
    tmp_path: Path, log_lines: list[str]
) -> None:
    path = config(tmp_path, "domain: lab.io", "host-ip: 192.168.0.12", "webhook-port: 5000/clusters/lab")
    async with running(tmp_path, "--config", path, "--domains", "a.io", "--cluster-ip", "10.0.0.9") as service:
        assert (await service.call("GET", "/domains")).json() == []
        assert (await service.call("GET", "/clusters/lab/domains")).json() == ["a.io"], "options win over the file"
        assert (await service.call("GET", "/clusters/lab/clusterip")).json() == "10.0.0.9"
        await service.change("/clusters/lab", create=[endpoint("foo.a.io", "10.0.0.1")])
        assert b"10.0.0.9 foo.a.io" in service.hosts
        refused = await service.call("DELETE", "/clusters/lab/domains/a.io")
        assert (refused.status, "a.io is set by --domains" in refused.text) == (409, True)
        forgotten = await service.call("DELETE", "/clusters/lab")
        assert forgotten.json()["warning"] == "Options stay in force: a.io (--domains), 10.0.0.9 (--cluster-ip)."
        announced = next(line for line in log_lines if "In DTK's config.yaml" in line)
        assert announced.startswith(f"dtkdns listens on port {service.port} of 127.0.0.1."), "and not of host-ip"
        section = f"domain: a.io\n    host-ip: 192.168.0.12\n    webhook-port: {service.port}/clusters/lab"
        assert section in announced


@ensureDeferred
async def test_a_domain_of_the_file_is_named_as_such_where_it_cannot_be_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("running.DOMAINS", ())
    path = config(tmp_path, "domain: dtk.io")
    async with running(tmp_path, "--config", path) as service:
        assert (await service.call("GET", "/domains")).json() == ["dtk.io"]
        refused = await service.call("DELETE", "/domains/dtk.io")
        assert (refused.status, "dtk.io is set by --config" in refused.text) == (409, True)


@ensureDeferred
async def test_the_credentials_in_the_file_are_needed_unless_others_are_given(
    tmp_path: Path, log_lines: list[str]
) -> None:
    path = config(tmp_path, "host-ip: dtk:s3cret@192.168.0.12")
    async with running(tmp_path, "--config", path) as service:
        assert (await service.call("GET", "/domains")).status == 401
        assert (await service.call("GET", "/domains", headers=basic("dtk", "s3cret"))).status == 200
    other = tmp_path / "credentials"
    other.write_text("me:other\n")
    other.chmod(0o600)
    async with running(tmp_path, "--config", path, "--credentials", str(other)) as service:
        assert (await service.call("GET", "/domains", headers=basic("dtk", "s3cret"))).status == 401
        assert (await service.call("GET", "/domains", headers=basic("me", "other"))).status == 200
    assert not [line for line in log_lines if "s3cret" in line]


@ensureDeferred
async def test_the_address_of_the_option_moves_with_the_port_of_the_file_and_posted_ones_stay_in_force(
    tmp_path: Path,
) -> None:
    async def addresses(*options: str) -> tuple[str, str]:
        async with running(tmp_path, "--cluster-ip", "10.0.0.1", *options) as service:
            default, lab = [await service.call("GET", f"{base}/clusterip") for base in ("", "/clusters/lab")]
            return default.json(), lab.json()

    lab = "--config", config(tmp_path, "webhook-port: 5000/clusters/lab")
    assert await addresses(*lab) == ("", "10.0.0.1")
    async with running(tmp_path, "--cluster-ip", "10.0.0.1", *lab) as service:
        await service.call("POST", "/clusters/lab/clusterip", b"10.0.0.9")
    assert await addresses(*lab) == ("", "10.0.0.9")
    assert await addresses() == ("10.0.0.1", "10.0.0.9")


def test_the_port_is_that_of_the_option_then_of_the_file_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports: list[str] = []

    def endpoint_of(port: str) -> str:
        ports.append(port)
        return "tcp:0"

    monkeypatch.setattr(tap, "find_endpoint", endpoint_of)
    path = config(tmp_path, "webhook-port: 5001/clusters/lab")
    made(tmp_path, "--config", path, "--port", "5002")
    made(tmp_path, "--config", path)
    made(tmp_path)
    made(tmp_path, "--config", path, "--port", "")
    assert ports == ["5002", "5001", "5000", ""]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "webhook-port: x",
            r"dtkdns: --config: \S+, line 3: dns\.webhook-port: 'x' does not begin with a port: .*\.",
        ),
        (
            "domain: " + ",".join(f"n{n}.io" for n in range(101)),
            r"dtkdns: --config: \S+, line 3: dns\.domain: a cluster has 100 domains at most, and these are 101\.",
        ),
        (
            "enabled: false",
            r"dtkdns: --config: \S+, line 3: dns\.enabled: it is false: .*, or .* without --config\.",
        ),
    ],
)
def test_what_is_wrong_in_the_file_ends_the_start_with_a_sentence(
    tmp_path: Path, line: str, sentence: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        made(tmp_path, "--config", config(tmp_path, line))
    assert re.fullmatch(sentence, str(raised.value))
