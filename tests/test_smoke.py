"""The smoke script's checks against a real service and against servers that answer wrongly.

What it sees of a whole machine (the resolver, nsswitch, Ctrl-C) is in `e2e/test_smoke.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseNeverReceived
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from dtkdns.smoke import command, ingress, lookup, record
from dtkdns.smoke.ingress import IngressLife
from dtkdns.smoke.record import RecordLife
from dtkdns.smoke.report import Check, FaultError, NothingToSayError, Report
from dtkdns.smoke.webhook import Webhook, cause_of
from dtkdns.wire import MEDIA_TYPE
from running import endpoint, running

Answer = tuple[int, bytes, bytes]
"""Status, media type, body."""


class Scripted(Resource):
    """A webhook that gives what a test says, and else what dtkdns would."""

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self, answers: dict[tuple[str, str], Answer]) -> None:
        super().__init__()
        good: dict[tuple[str, str], Answer] = {
            ("GET", "/"): (200, MEDIA_TYPE, b'{"include":["dtk.io"]}'),
            ("GET", "/records"): (200, MEDIA_TYPE, b"[]"),
            ("GET", "/clusterip"): (200, b"application/json", b'""'),
            ("POST", "/records"): (204, b"", b""),
        }
        self._answers = good | answers

    def render(self, request: Request) -> bytes:
        path = request.path.decode()
        method = request.method.decode()
        if path == "/adjustendpoints" and (method, path) not in self._answers:
            answer = (200, MEDIA_TYPE, request.content.read())
        else:
            answer = self._answers[method, path]
        request.setResponseCode(answer[0])
        request.setHeader(b"Content-Type", answer[1])
        return answer[2]


@asynccontextmanager
async def scripted(answers: dict[tuple[str, str], Answer]) -> AsyncIterator[str]:
    """The URL of such a webhook."""
    port = reactor.listenTCP(0, Site(Scripted(answers), timeout=None), interface="127.0.0.1")
    try:
        yield f"http://127.0.0.1:{port.getHost().port}"
    finally:
        await port.stopListening()


@asynccontextmanager
async def life_of_a_record(url: str, hosts: Path, seconds: float = 0.1) -> AsyncIterator[RecordLife]:
    webhook = Webhook(url, ("me", "secret"), 5.0, reactor)
    try:
        report = Report(lambda _check: None, reactor, seconds)
        yield RecordLife(webhook, report, hosts, "dtkdns-smoke-test")
    finally:
        await webhook.close()


def resolving_from(hosts: Path) -> Callable[[str], Any]:
    """A resolver that knows one hosts file."""

    async def resolved(name: str) -> list[str]:
        return lookup.in_hosts_file(hosts, name)

    return resolved


def faults(report: Report) -> list[Check]:
    return [check for check in report.checks if check.ok is False]


@ensureDeferred
@pytest.mark.parametrize("address", ["", "10.1.2.3"])
async def test_a_record_lives_and_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    hosts = tmp_path / "hosts"
    monkeypatch.setattr(record, "resolved", resolving_from(hosts))
    async with running(tmp_path) as service:
        before = service.hosts
        if address:
            await service.call("POST", "/clusterip", address.encode())
        async with life_of_a_record(f"http://127.0.0.1:{service.port}", hosts) as life:
            await life.run()
        assert life.report.held
        assert [check.ok for check in life.report.checks] == [True] * 13
        assert life.name == "dtkdns-smoke-test.dtk.io"
        assert await service.records() == []
        assert service.hosts == before


@ensureDeferred
@pytest.mark.parametrize(
    ("call", "answer", "wrong", "advice"),
    [
        (("GET", "/"), (200, b"text/html", b"<p>"), "media type is 'text/html'", "Is it dtkdns"),
        (("GET", "/"), (200, MEDIA_TYPE + b"; charset=utf-8", b"{}"), "media type", "Is it dtkdns"),
        (("GET", "/"), (200, MEDIA_TYPE, b"[]"), "does not decode", "Is it dtkdns"),
        (("GET", "/"), (200, MEDIA_TYPE, b'{"include":[]}'), "No domain is managed", "/domains -d dtk.io"),
        (("GET", "/"), (401, b"text/plain", b"Who?"), "Status 401 instead of 200: Who?", "--credentials FILE"),
        (("GET", "/"), (403, b"text/plain", b"No."), "Status 403 instead of 200: No.", "on its own machine"),
        (("GET", "/"), (404, b"text/plain", b"No."), "Status 404", "is the cluster's name right"),
        (("GET", "/"), (200, b"\xff\xfe", b"{}"), "media type", "Is it dtkdns"),
        (("GET", "/"), (200, MEDIA_TYPE, b'{"include":["\xff"]}'), "does not decode", "Is it dtkdns"),
        (("GET", "/"), (200, MEDIA_TYPE, b'{"a":' + b"[" * 100_000), "does not decode", "Is it dtkdns"),
        (("GET", "/"), (302, b"text/plain", b""), "Status 302", "Is it dtkdns"),
        (("GET", "/records"), (503, b"text/plain", b"Wait."), "Status 503", "its log has the cause"),
        (("GET", "/records"), (200, MEDIA_TYPE, b'{"a":1}'), "does not decode", "Is it dtkdns"),
        (("GET", "/clusterip"), (200, b"text/plain", b"10.1.2.3"), "media type is 'text/plain'", "Is it dtkdns"),
        (("POST", "/adjustendpoints"), (200, MEDIA_TYPE, b"[]"), "It comes back as []", "another webhook"),
        (("POST", "/records"), (200, MEDIA_TYPE, b""), "Status 200 instead of 204", "Is it dtkdns"),
    ],
)
async def test_a_wrong_answer_is_named_with_what_to_try(
    tmp_path: Path, call: tuple[str, str], answer: Answer, wrong: str, advice: str
) -> None:
    async with (
        scripted({call: answer}) as url,
        life_of_a_record(url, tmp_path / "hosts") as life,
    ):
        await life.run()
    fault = faults(life.report)[0]
    assert wrong in fault.detail
    assert advice in fault.advice


@ensureDeferred
async def test_a_server_that_is_not_reached_is_named_with_what_to_try(tmp_path: Path) -> None:
    silent = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
    try:
        for url, wrong, advice in (
            ("http://127.0.0.1:1", "Connection refused", "Is dtkdns running"),
            ("http://does-not-exist.invalid:5000", "DNS lookup failed", "host-ip"),
            (f"http://127.0.0.1:{silent.getHost().port}", "nothing within 0.5 s", "Is it dtkdns"),
            (f"https://127.0.0.1:{silent.getHost().port}", "nothing within 0.5 s", "http or https"),
        ):
            async with life_of_a_record(url, tmp_path / "hosts") as life:
                life.webhook.call_seconds = 0.5
                await life.run()
            (fault,) = faults(life.report)
            assert wrong in fault.detail
            assert advice in fault.advice
    finally:
        await silent.stopListening()


@ensureDeferred
async def test_a_domain_that_is_asked_for_must_be_managed(tmp_path: Path) -> None:
    async with scripted({}) as url, life_of_a_record(url, tmp_path / "hosts") as life:
        life.domain = "example.com"
        await life.run()
    (fault,) = faults(life.report)
    assert "example.com is not among the managed domains: dtk.io" in fault.detail
    assert "/domains -d example.com" in fault.advice


@ensureDeferred
@pytest.mark.parametrize("found", [[], ["10.9.9.9"]])
async def test_a_name_that_leads_elsewhere_or_nowhere_is_a_fault_and_the_record_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    async def resolved(_name: str) -> list[str]:
        return found

    monkeypatch.setattr(record, "resolved", resolved)
    async with running(tmp_path) as service:
        async with life_of_a_record(f"http://127.0.0.1:{service.port}", tmp_path / "hosts") as life:
            await life.run()
        (fault,) = faults(life.report)
        assert ("leads to 10.9.9.9 instead of 192.0.2.1" if found else "does not resolve") in fault.detail
        assert await service.records() == []


@ensureDeferred
async def test_a_record_that_comes_back_changed_or_stays_is_a_fault(tmp_path: Path) -> None:
    name = b'"dnsName":"dtkdns-smoke-test.dtk.io"'
    changed = (200, MEDIA_TYPE, b'[{%b,"recordType":"A","recordTTL":0}]' % name)
    async with scripted({("GET", "/records"): changed}) as url, life_of_a_record(url, tmp_path / "hosts") as life:
        await life.run()
        (fault,) = faults(life.report)
        assert "It comes back as" in fault.detail
        with pytest.raises(FaultError, match="is still there"):
            await life._miss_stored()


@ensureDeferred
async def test_what_does_not_go_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(b"192.0.2.1 dtkdns-smoke-test.dtk.io\n")
    monkeypatch.setattr(record, "resolved", resolving_from(hosts))
    async with (
        scripted({("DELETE", "/names/dtkdns-smoke-test.dtk.io"): (403, b"text/plain", b"No.")}) as url,
        life_of_a_record(url, hosts) as life,
    ):
        life.domain = "dtk.io"
        for check, wrong in (
            (life._miss_in_hosts_file, "still has it"),
            (life._miss_resolved, "still resolves"),
            (life._manage, "Status 403: No."),
        ):
            with pytest.raises(FaultError, match=wrong):
                await check()


@ensureDeferred
async def test_what_external_dns_removes_meanwhile_is_neither_held_nor_failed(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(b"")
    async with scripted({}) as url, life_of_a_record(url, hosts) as life:
        life.domain = "dtk.io"
        for check in (life._find_stored, life._find_in_hosts_file, life._find_resolved):
            with pytest.raises(NothingToSayError, match="registry noop"):
                await check()


@ensureDeferred
async def test_an_interruption_ends_the_waiting_and_removes_the_record(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        async with life_of_a_record(url, tmp_path / "nothing", seconds=60) as life:

            def interrupt(check: Check) -> None:
                life.report.interrupted = life.report.interrupted or check.check.endswith("as it was sent")

            life.report._tell = interrupt
            await life.run()
        assert life.report.checks[-1].check == "POST /records removes it"
        assert life.report.checks[-1].ok
        assert await service.records() == []


@ensureDeferred
async def test_waiting_ends_at_an_interruption() -> None:
    report = Report(lambda _check: None, reactor, 60)

    async def look() -> None:
        report.interrupted = True

    async def late() -> FaultError:
        raise AssertionError

    with pytest.raises(NothingToSayError, match="interrupted"):
        await report.until(look, late)


def test_the_cause_of_a_failed_request_is_the_innermost() -> None:
    refused = RefusedError()
    wrapped = ResponseNeverReceived([Failure(refused)])
    assert cause_of(ResponseNeverReceived([Failure(wrapped)])) is refused
    assert cause_of(refused) is refused


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("passwd: files\n", "Add 'hosts: files dns'"),
        (None, "Add 'hosts: files dns'"),
        ("hosts: resolve dns # files\n", "Put 'files' in front"),
        ("hosts:\tmdns4 files dns\n", "asks 'mdns4' before 'files'"),
        ("hosts: files dns\n", "nscd"),
    ],
)
def test_what_nsswitch_says_about_hosts(tmp_path: Path, text: str | None, advice: str) -> None:
    nsswitch = tmp_path / "nsswitch.conf"
    if text is not None:
        nsswitch.write_text(text)
    assert advice in lookup.advice_for_the_resolver(nsswitch)


@ensureDeferred
async def test_the_resolver_and_a_hosts_file_that_is_not_there(tmp_path: Path) -> None:
    assert "127.0.0.1" in await lookup.resolved("127.0.0.1")
    assert await lookup.resolved("does-not-exist.invalid") == []
    with pytest.raises(FaultError, match="cannot be read: No such file"):
        lookup.in_hosts_file(tmp_path / "hosts", "foo.dtk.io")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FaultError, match="is no file"):
        lookup.in_hosts_file(tmp_path / "fifo", "foo.dtk.io")


KUBECTL = """#!/bin/sh
echo "$*" >> "$0.calls"
case "$*" in
*"{fails}"*) echo "it is {fails}" >&2; exit 1 ;;
*create*) cat > "$0.manifest" ;;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A program of this name; it takes an Ingress, and fails where its arguments hold a word."""

    def install(fails: str) -> Path:
        directory = tmp_path / "bin"
        directory.mkdir()
        program = directory / "kubectl"
        program.write_text(KUBECTL.replace("{fails}", fails))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        return program

    return install


@asynccontextmanager
async def life_of_an_ingress(url: str, port: int, seconds: float = 0.1) -> AsyncIterator[IngressLife]:
    webhook = Webhook(url, None, 5.0, reactor)
    try:
        report = Report(lambda _check: None, reactor, seconds)
        yield IngressLife(webhook, report, "smoke-1.dtk.io", ["--namespace=n"], port)
    finally:
        await webhook.close()


def resolving(monkeypatch: pytest.MonkeyPatch, program: Path, *, stays: bool = False) -> None:
    """The host resolves once the Ingress is there, and not after its deletion unless it stays."""

    async def resolved(_name: str) -> list[str]:
        calls = program.with_name("kubectl.calls").read_text()
        return ["127.0.0.1"] if stays or " delete " not in calls else []

    monkeypatch.setattr(ingress, "resolved", resolved)


@ensureDeferred
async def test_an_ingress_is_created_called_and_deleted(
    kubectl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = kubectl("nothing")
    resolving(monkeypatch, program)
    async with scripted({}) as url:
        monkeypatch.setattr(IngressLife, "_url", lambda _self: url)
        async with life_of_an_ingress(url, 80) as life:
            await life.run()
    assert [check.ok for check in life.report.checks] == [True] * 6
    manifest = json.loads(program.with_name("kubectl.manifest").read_text())
    assert manifest["spec"]["rules"][0]["host"] == "smoke-1.dtk.io"
    assert manifest["metadata"]["annotations"] == {
        "external-dns.alpha.kubernetes.io/target": "smoke-1.dtk.io",
        "external-dns.kubernetes.io/target": "smoke-1.dtk.io",
    }
    assert all("--namespace=n" in line for line in program.with_name("kubectl.calls").read_text().splitlines())


@ensureDeferred
async def test_names_that_upsert_only_leaves_are_removed(
    tmp_path: Path, kubectl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, kubectl("nothing"), stays=True)
    async with running(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        monkeypatch.setattr(IngressLife, "_url", lambda _self: url)
        other = endpoint("other.dtk.io", "10.0.0.1")
        owner = endpoint("a-smoke-1.dtk.io", "heritage", kind="TXT")
        await service.change(create=[other, endpoint("smoke-1.dtk.io", "10.0.0.1"), owner])
        async with life_of_an_ingress(url, 80) as life:
            await life.run()
        (fault,) = faults(life.report)
        assert "policy: sync" in fault.advice
        assert life.report.checks[-1].detail == "2 records removed"
        assert await service.records() == [other]


@ensureDeferred
async def test_an_ingress_whose_name_does_not_come_is_traced_and_deleted(
    tmp_path: Path, kubectl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = kubectl("nothing")

    async def resolved(_name: str) -> list[str]:
        return []

    monkeypatch.setattr(ingress, "resolved", resolved)
    async with running(tmp_path) as service:
        for sentence in ("external-dns has not sent it", "dtkdns has it"):
            async with life_of_an_ingress(f"http://127.0.0.1:{service.port}", 80) as life:
                await life.run()
            assert sentence in faults(life.report)[0].detail
            await service.change(create=[endpoint("smoke-1.dtk.io", "10.0.0.1")])
    assert program.with_name("kubectl.calls").read_text().count(" delete ingress ") == 2


@ensureDeferred
async def test_a_host_that_does_not_answer_is_a_fault(
    kubectl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, kubectl("nothing"))
    async with scripted({}) as url:
        monkeypatch.setattr(IngressLife, "_url", lambda _self: "http://127.0.0.1:1/")
        async with life_of_an_ingress(url, 80) as life:
            await life.run()
    (fault,) = faults(life.report)
    assert "http://127.0.0.1:1/ does not answer: Connection was refused" in fault.detail
    assert "/clusterip" in fault.advice


@ensureDeferred
async def test_what_kubectl_says_and_that_there_is_none(
    kubectl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("create")
    async with scripted({}) as url:
        async with life_of_an_ingress(url, 8080) as life:
            await life.run()
        assert faults(life.report)[0].detail == "kubectl says: it is create"
        monkeypatch.setenv("PATH", "/nowhere")
        async with life_of_an_ingress(url, 8080) as life:
            await life.run()
        assert faults(life.report)[0].detail == "There is no kubectl here."
        assert life._url() == "http://smoke-1.dtk.io:8080/"


def test_options_become_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[command.Options] = []

    async def run(_reactor: object, options: command.Options) -> None:
        asked.append(options)

    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr(command, "react", lambda main: main(None))
    secrets = tmp_path / "credentials"
    secrets.write_text("# mine\n\nuser:se:cret\n")
    arguments = ["http://u:p@h:5000/", "--cluster", "lab", "--ingress", "--kubeconfig", "F", "--namespace", "N"]
    assert CliRunner().invoke(command.smoke, arguments).exit_code == 0
    assert CliRunner().invoke(command.smoke, ["http://h:5000", "--credentials", str(secrets)]).exit_code == 0
    assert asked[0].url == "http://h:5000/clusters/lab"
    assert asked[0].credentials == ("u", "p")
    assert asked[0].kubectl_options == ("--kubeconfig=F", "--namespace=N")
    assert asked[1].credentials == ("user", "se:cret")
    quoted = ["http://u%3A:p%40@[::1]:5000", "--domain", "DTK.io."]
    assert CliRunner().invoke(command.smoke, quoted).exit_code == 0
    assert (asked[2].url, asked[2].credentials, asked[2].domain) == ("http://[::1]:5000", ("u:", "p@"), "dtk.io")


@pytest.mark.parametrize(
    "more", [["--cluster", "a?b"], ["--domain", "a..b"], ["--timeout", "nan"], ["--timeout", "0"], ["--unknown"]]
)
def test_an_option_that_cannot_be_meant_ends_it_at_once(more: list[str]) -> None:
    result = CliRunner().invoke(command.smoke, ["http://h:5000", *more])
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("text", [None, b"", b"user", b"\xff:\xff"])
def test_credentials_that_cannot_be_read_end_it_at_once(tmp_path: Path, text: bytes | None) -> None:
    secrets = tmp_path / "credentials"
    if text is not None:
        secrets.write_bytes(text)
    result = CliRunner().invoke(command.smoke, ["http://h:5000", "--credentials", str(secrets)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "url",
    ["h:5000", "ftp://h", "http://", "http://[::1", "http://h:5000/?x=y", "http://h/#x", "http://h:99999"],
)
def test_what_is_no_url_ends_it_at_once(url: str) -> None:
    result = CliRunner().invoke(command.smoke, [url])
    assert result.exit_code == 2
    assert "http://192.168.0.12:5000" in result.output


def options(url: str, **more: Any) -> command.Options:
    values: dict[str, Any] = {
        "url": url,
        "credentials": None,
        "domain": "",
        "hosts_file": Path("/dev/null"),
        "ingress": True,
        "ingress_port": 80,
        "kubectl_options": (),
        "seconds": 0.1,
        "as_json": False,
    }
    return command.Options(**values | more)


@ensureDeferred
async def test_the_command_prints_lines_and_exits_with_a_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = tmp_path / "hosts"
    monkeypatch.setattr(record, "resolved", resolving_from(hosts))
    async with running(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        with pytest.raises(SystemExit) as ended:
            await command._run(reactor, options(url, hosts_file=hosts, ingress=False, seconds=30))
        assert ended.value.code == 0
        assert capsys.readouterr().out.count("\u2713") == 13
        with pytest.raises(SystemExit) as ended:
            await command._run(reactor, options(url, seconds=1))
        assert ended.value.code == 1
        out = capsys.readouterr().out
        assert "\u2717 the hosts file has its name: /dev/null has no line" in out
        assert out.endswith("- 1 further checks were not tried.\n")
        with pytest.raises(SystemExit) as ended:
            await command._run(reactor, options(url, as_json=True, seconds=1))
        assert json.loads(capsys.readouterr().out)["ok"] is False


@ensureDeferred
async def test_after_the_record_comes_the_ingress(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kubectl: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    hosts = tmp_path / "hosts"
    monkeypatch.setattr(record, "resolved", resolving_from(hosts))
    kubectl("create")
    async with running(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        with pytest.raises(SystemExit) as ended:
            await command._run(reactor, options(url, hosts_file=hosts, seconds=30))
        assert ended.value.code == 1
    assert "\u2717 kubectl creates an Ingress: kubectl says: it is create" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "found"),
    [("# x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n", "127.0.0.53"), ("search x\n", None), (None, None)],
)
def test_the_nameserver_of_the_system_is_the_first(text: str | None, found: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "resolv.conf").write_text(text)
    assert lookup.first_nameserver(tmp_path / "resolv.conf") == found
