"""What external-dns' Helm chart is given, and what is said of what it makes of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import pytest
import yaml
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.cli.client import Service
from dtkdns.cli.helm import command as helm
from dtkdns.cli.helm import rendered, sidecar, values
from dtkdns.cli.helm.command import of_config, of_service
from dtkdns.cli.helm.rendered import Deployment, deployment_of, expected_flags, faults, render
from dtkdns.cli.helm.values import COLUMNS, SIDECAR_KEYS, Webhook, url_host, values_for
from dtkdns.dtkconfig import DTKConfig, read_config
from dtkdns.smoke.report import FaultError
from dtkdns.status import ClusterStatus
from test_cli_status import HEALTHY

LAB = Webhook("192.168.0.12", 5000, "lab")
SECRET = "s3cr:'\"#{{ .Values }}@/\\ü\n- x"  # noqa: S105 (of nobody)
HOSTS = st.sampled_from(["192.168.0.12", "[fd00::12]", "desktop.lan", "xn--bcher-kva.lan"])
WEBHOOKS = st.builds(
    Webhook,
    HOSTS,
    st.integers(1, 65535),
    st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True),
    st.none() | st.tuples(st.text(min_size=1), st.text(min_size=1)),
    st.sampled_from(["http", "https"]),
)


# The values


@given(WEBHOOKS)
def test_the_file_says_what_the_values_are_and_no_comment_is_wide(webhook: Webhook) -> None:
    text = values.text(webhook)
    assert yaml.safe_load(text) == values_for(webhook)
    assert all(len(line) <= COLUMNS for line in text.splitlines() if line.startswith("#"))


@given(WEBHOOKS)
def test_whoever_reads_the_url_finds_host_port_base_user_and_secret_again(webhook: Webhook) -> None:
    (argument,) = values_for(webhook)["extraArgs"]
    parts = urlsplit(argument.removeprefix("--webhook-provider-url="))
    assert parts.scheme == webhook.scheme
    assert (parts.hostname, parts.port) == (webhook.host.strip("[]"), webhook.port)
    assert parts.path == ("" if webhook.cluster == "default" else f"/clusters/{webhook.cluster}")
    found = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    assert found == webhook.credentials


@given(WEBHOOKS)
def test_nothing_in_a_flag_means_something_to_yaml_without_quotes_or_to_helm(webhook: Webhook) -> None:
    (argument,) = values_for(webhook)["extraArgs"]
    assert yaml.safe_load(f"- {argument}") == [argument]
    assert "{{" not in argument


@pytest.mark.parametrize(
    ("webhook", "url"),
    [
        (Webhook("192.168.0.12", 5000), "http://192.168.0.12:5000"),
        (LAB, "http://192.168.0.12:5000/clusters/lab"),
        (evolve(LAB, host="[fd00::12]", scheme="https"), "https://[fd00::12]:5000/clusters/lab"),
        (
            Webhook("desktop.lan", 80, credentials=("dtk", SECRET)),
            "http://dtk:s3cr%3A%27%22%23%7B%7B%20.Values%20%7D%7D%40%2F%5C%C3%BC%0A-%20x@desktop.lan:80",
        ),
    ],
)
def test_the_url_is_as_external_dns_takes_it(webhook: Webhook, url: str) -> None:
    assert webhook.url == url
    assert SECRET not in repr(webhook)


def test_each_cluster_has_an_owner_of_its_own_and_the_container_of_the_webhook_is_taken_back() -> None:
    found = values_for(LAB)
    assert found["txtOwnerId"] == "dtkdns-lab"
    assert "dtkdns forget NAME --cluster lab;" in " ".join(values.text(LAB).replace("\n#", "").split())
    assert found["provider"] == {"name": "webhook", "webhook": dict.fromkeys(SIDECAR_KEYS)}
    assert (found["policy"], found["registry"], found["interval"]) == ("sync", "txt", "1s")


@pytest.mark.parametrize(
    ("given_host", "host"),
    [
        ("192.168.0.12", "192.168.0.12"),
        ("fd00::12", "[fd00::12]"),
        ("[FD00:0::12]", "[fd00::12]"),
        ("Desktop.LAN", "desktop.lan"),
        ("bücher.lan", "xn--bcher-kva.lan"),
        ("fe80::1%eth0", None),
        ("[192.168.0.12", None),
        ("192.168.0.12:5000", None),
        ("a_b.lan", None),
        ("a/b", None),
        ("", None),
    ],
)
def test_a_host_is_what_can_stand_in_a_url(given_host: str, host: str | None) -> None:
    assert url_host(given_host) == host


# Where external-dns calls


@pytest.mark.parametrize(
    ("lines", "webhook"),
    [
        (["host-ip: 192.168.0.12"], Webhook("192.168.0.12", 5000)),
        (["host-ip: '[fd00::12]'", "webhook-port: 80/clusters/lab"], Webhook("[fd00::12]", 80, "lab")),
        (
            ["host-ip: dtk:s3cr%40t@Bücher.lan"],
            Webhook("xn--bcher-kva.lan", 5000, credentials=("dtk", "s3cr@t")),
        ),
    ],
)
def test_dtks_file_says_where_external_dns_calls(lines: list[str], webhook: Webhook, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(["dns:", *(f"  {line}" for line in lines)]))
    assert of_config(read_config(str(path))) == webhook
    assert of_config(read_config(str(path)), "10.0.0.1") == evolve(webhook, host="10.0.0.1")


def test_a_file_without_an_address_or_that_is_none_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match=r"says no address of this machine\."):
        of_config(DTKConfig(port="5000"))
    with pytest.raises(FaultError, match="cannot be read") as caught:
        helm._read(tmp_path / "missing")
    assert "--host" in caught.value.advice


def test_one_that_runs_elsewhere_is_called_where_it_answers() -> None:
    service = Service("http://192.168.0.12", ("dtk", "secret"))
    assert of_service(service, HEALTHY, None) == Webhook("192.168.0.12", 80)
    assert of_service(Service("https://[fd00::1]:5001"), HEALTHY, "lab") == Webhook(
        "[fd00::1]", 5001, "lab", scheme="https"
    )


def test_one_that_runs_here_is_called_at_the_address_that_faces_the_vms(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def own_address_towards(address: str) -> str | None:
        asked.append(address)
        return "192.168.122.1" if address == "192.168.122.167" else None

    monkeypatch.setattr(helm, "_own_address_towards", own_address_towards)
    peer = evolve(HEALTHY.external_dns[0], peer="127.0.0.1")
    status = evolve(HEALTHY, external_dns=(peer, evolve(peer, cluster="lab", peer="10.0.0.1")))
    assert of_service(Service("http://127.0.0.1:5001"), status, None) == Webhook("192.168.122.1", 5001)
    assert asked == ["127.0.0.1", "192.168.122.167"]


def test_where_it_cannot_be_told_there_is_a_fault() -> None:
    local = Service("http://localhost:5000")
    lone = evolve(HEALTHY, external_dns=(), clusters=(ClusterStatus("lab", (), ("127.0.0.1", "x"), 0, 0),))
    with pytest.raises(FaultError, match="under which address the VMs reach"):
        of_service(local, lone, None)
    with pytest.raises(FaultError, match=r"several clusters: default, lab\."):
        of_service(local, evolve(HEALTHY, clusters=(*HEALTHY.clusters, *lone.clusters)), None)


# What the chart makes of them


def deployment(containers: str, name: str = "x") -> str:
    labels = "labels: {helm.sh/chart: external-dns-1.19.0}"
    head = f"kind: Deployment\nmetadata:\n  name: {name}\n  {labels}\nspec:\n  template:\n    spec:\n"
    return f"{head}      containers:\n{textwrap.indent(containers, ' ' * 8)}"


WELL = Deployment("external-dns-1.19.0", {"external-dns": tuple(expected_flags(values_for(LAB)))})
MADE = deployment(f"- name: external-dns\n  args: {json.dumps(WELL.containers['external-dns'])}\n")
ALONE = '- name: "external-dns"\n  args: [--events]\n'
BESIDE = "- image: a:b\n  # of webhook\n  name: webhook\n  ports:\n  - containerPort: 8080\n"
SERVICE = "---\n# Source: x/service.yaml\nkind: Service\nmetadata: {name: webhook}\n"


def test_a_deployment_as_it_should_be_has_no_fault() -> None:
    assert deployment_of(f"{SERVICE}---\n{MADE}---\n") == WELL
    assert list(faults(WELL, expected_flags(values_for(LAB)))) == []


@pytest.mark.parametrize(
    ("containers", "said"),
    [
        ({"external-dns": ("--interval=1s",), "webhook": ()}, "There is a container webhook beside external-dns"),
        ({}, "external-dns' --interval is missing"),
        ({"external-dns": ("--interval=1m",)}, "external-dns' --interval has another value"),
        ({"external-dns": ("--interval=1s", "--interval=1m")}, "external-dns' --interval is given twice"),
    ],
)
def test_each_fault_of_a_deployment_is_named(containers: dict[str, tuple[str, ...]], said: str) -> None:
    (sentence,) = faults(Deployment("", containers), ["--interval=1s"])
    assert sentence.startswith(said)


def test_no_fault_tells_the_secret() -> None:
    flags = expected_flags(values_for(evolve(LAB, credentials=("dtk", "s3cret"))))
    for arguments in ((), (*flags, *flags), tuple(f"{flag}x" for flag in flags)):
        assert not any("s3cret" in one for one in faults(Deployment("", {"external-dns": arguments}), flags))


@pytest.mark.parametrize(
    ("manifests", "wrong"),
    [
        ("", "The chart makes 0 Deployments"),
        (f"{MADE}---\n{MADE}", "The chart makes 2 Deployments"),
        ("a: [", "does not make what Kubernetes would take"),
        ("kind: Deployment\n", "does not make what Kubernetes would take"),
        ("kind: Deployment\nmetadata: {}\nspec: {template: {spec: {containers: 5}}}\n", "does not make"),
    ],
)
def test_what_is_no_deployment_of_external_dns_is_a_fault(manifests: str, wrong: str) -> None:
    with pytest.raises(FaultError, match=wrong):
        deployment_of(manifests)


Helm = Callable[[str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helm:
    """A program called helm, which does what a script says."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "helm"

    def write(script: str) -> None:
        path.write_text(script)
        path.chmod(0o755)

    return write


def test_a_chart_is_rendered_with_the_values(program: Helm) -> None:
    program('#!/bin/sh\necho "$@"\ncat\n')
    said = render("a chart.tgz", "interval: 1s\n")
    assert said == "template external-dns a chart.tgz --namespace external-dns --values -\ninterval: 1s\n"


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        (
            "#!/bin/sh\nprintf 'Error: no\\n \\033[1mchart.' >&2\nexit 1\n",
            r"helm says: Error: no \\x1b\[1mchart\.",
        ),
        ("#!/missing\n", "helm does not start: No such file"),
        ("#!/bin/sh\nexec sleep 60\n", r"helm does not end within 0\.2 s\."),
    ],
)
def test_helm_that_does_not_work_is_a_fault(
    script: str, wrong: str, program: Helm, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(script)
    monkeypatch.setattr(rendered, "HELM_SECONDS", 0.2 if "sleep" in script else 60)
    with pytest.raises(FaultError, match=wrong):
        render("chart", "")


def test_a_machine_without_helm_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FaultError, match="no helm here"):
        render("chart", "")


def test_a_person_and_a_program_are_told_what_a_chart_makes_of_the_values(
    program: Helm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "made").write_text(MADE)
    program(f"#!/bin/sh\nexec cat {tmp_path}/made\n")
    assert helm._check(LAB, "chart", as_json=False) == 0
    assert (
        capsys.readouterr().out == "All is well: external-dns-1.19.0 starts external-dns alone and as it should.\n"
    )
    other = evolve(LAB, port=5001)
    assert helm._check(other, "chart", as_json=False) == 1
    assert capsys.readouterr().out.startswith("! external-dns' --webhook-provider-url has another value")
    assert helm._check(other, "chart", as_json=True) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["chart"], len(found["faults"])) == (False, "external-dns-1.19.0", 1)


@pytest.mark.parametrize("as_json", [False, True])
def test_values_with_a_secret_are_printed_with_a_warning_beside_them(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for webhook in (LAB, evolve(LAB, credentials=("dtk", SECRET))):
        helm._print_values(webhook, as_json=as_json)
        seen = capsys.readouterr()
        assert yaml.safe_load(seen.out) == values_for(webhook)
        assert ("hold a secret" in seen.err) is (webhook.credentials is not None)


def test_a_host_that_is_none_is_a_wrong_command_line() -> None:
    context = click.Context(helm.helm_values)
    assert helm._check_host(context, helm.helm_values.params[0], "fd00::1") == "[fd00::1]"
    with pytest.raises(click.BadParameter):
        helm._check_host(context, helm.helm_values.params[0], "a b")


# The post-renderer


@pytest.mark.parametrize("containers", [ALONE + BESIDE, BESIDE + ALONE, ALONE])
def test_the_script_takes_the_lines_of_the_container_and_leaves_every_other_byte(containers: str) -> None:
    rest = f"{SERVICE}---\n{deployment(BESIDE).replace('Deployment', 'DaemonSet')}---\n# Süß\n"
    made = f"---\n{deployment(containers)}{rest}{deployment(containers, 'y')}"
    expected = f"---\n{deployment(ALONE)}{rest}{deployment(ALONE, 'y')}"
    assert sidecar.without_sidecar(made) == expected


@pytest.mark.parametrize("manifests", ["", "---\n", "- a\n", "kind: Deployment\nspec: []\n", deployment(ALONE)])
def test_the_script_leaves_manifests_without_that_container_as_they_are(manifests: str) -> None:
    assert sidecar.without_sidecar(manifests) == manifests


@pytest.mark.parametrize("as_json", [False, True])
def test_the_script_is_printed_as_it_is(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    helm._print_script(as_json=as_json)
    seen = capsys.readouterr().out
    assert (json.loads(seen)["post-render.py"] if as_json else seen) == Path(sidecar.__file__).read_text()
