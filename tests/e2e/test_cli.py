"""`dtkdns` as a process, beside a service as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from process import Dtkdns, call, dtkdns

COMMAND = str(Path(sys.executable).with_name("dtkdns"))
FOO = {
    "dnsName": "foo.dtk.io",
    "targets": ["foo.dtk.io"],
    "recordType": "CNAME",
    "labels": {"resource": "ingress/a/b"},
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Dtkdns]:
    """A service of this user's own, with its state where the command line looks for it."""
    (tmp_path / "hosts").write_bytes(b"127.0.0.1 localhost\n")
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--cluster-ip", "192.168.122.167"]
    files = ["--hosts-file", f"{tmp_path}/hosts", "--state", f"{tmp_path}/state"]
    with dtkdns(*options, *files) as running, running.connection() as connection:
        assert call(connection, "POST", "/records", json.dumps({"create": [FOO]}))[0] == 204
        yield running


def typed(service: Dtkdns | None, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{service.port if service else 1}"
    environment = {**os.environ, "DTKDNS_URL": url, "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(
        [COMMAND, *words], input=stdin, capture_output=True, text=True, check=False, timeout=60, env=environment
    )


def test_the_status_of_a_healthy_service_is_for_people_and_for_programs(service: Dtkdns) -> None:
    seen = typed(service, "status")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert "All is as it should be." in seen.stdout
    assert "foo.dtk.io  192.168.122.167  ingress/a/b" in seen.stdout
    assert max(map(len, seen.stdout.splitlines())) <= 80
    found = json.loads(typed(service, "status", "--json").stdout)
    assert [one["name"] for one in found["names"]] == ["foo.dtk.io"]


@pytest.mark.parametrize(
    "words", [["status"], ["why", "foo.dtk.io"], ["resolver"], ["forget", "foo.dtk.io"], ["smoke"]]
)
def test_a_service_that_does_not_answer_is_a_sentence_and_status_1(words: list[str]) -> None:
    seen = typed(None, *words)
    assert seen.returncode == 1
    said = seen.stdout + seen.stderr
    assert "No answer from http://127.0.0.1:1" in said
    assert "Is dtkdns running" in said
    assert "Traceback" not in said


def test_why_says_the_whole_way_of_a_name_and_what_to_do(service: Dtkdns) -> None:
    seen = typed(service, "why", "foo.dtk.io")
    assert (seen.returncode, seen.stderr) == (1, "")
    assert "sent (default)" in seen.stdout
    assert "reads /etc/hosts. Give no --hosts-file." in seen.stdout
    assert max(map(len, seen.stdout.splitlines())) <= 80
    assert "It lies in none of the managed domains (dtk.io)" in typed(service, "why", "foo.example.com").stdout


def test_the_lines_for_a_resolver_are_printed_with_the_domains_and_the_address(service: Dtkdns) -> None:
    seen = typed(service, "resolver", "--for", "dnsmasq")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert f"    server=/dtk.io/127.0.0.1#{service.dns_port}\n" in seen.stdout


def test_a_name_is_forgotten_when_the_person_says_so(service: Dtkdns) -> None:
    refused = typed(service, "forget", "foo.dtk.io", stdin="n\n")
    assert (refused.returncode, "Nothing was forgotten." in refused.stdout) == (1, True)
    unanswered = typed(service, "forget", "foo.dtk.io")
    assert (unanswered.returncode, unanswered.stderr) == (1, "\nNothing was done.\n")
    assert typed(service, "forget", "foo.dtk.io", stdin="y\n").returncode == 0
    gone = typed(service, "forget", "foo.dtk.io", "--yes")
    assert gone.returncode == 1
    assert gone.stderr.startswith("dtkdns: Cluster default has no record of foo.dtk.io.")


def test_waiting_ends_when_the_name_is_there_or_gone_or_the_time_is_over() -> None:
    assert typed(None, "wait", "localhost").stdout.startswith("localhost is ")
    assert typed(None, "wait", "no-such-name.invalid", "--gone").stdout == "no-such-name.invalid is gone.\n"
    late = typed(None, "wait", "no-such-name.invalid", "--timeout", "0")
    assert late.returncode == 1
    assert late.stderr.startswith("dtkdns: no-such-name.invalid does not resolve after 0 s.")


@pytest.mark.parametrize(
    "words", [["forget"], ["nonsense"], ["status", "--url", "nonsense"], ["forget", "--cluster", "A_B"], ["wait"]]
)
def test_a_wrong_command_line_is_status_2_and_says_what_is_right(words: list[str]) -> None:
    seen = typed(None, *words)
    assert seen.returncode == 2
    assert "Usage: dtkdns" in seen.stderr
    assert "Traceback" not in seen.stderr


@pytest.mark.parametrize("words", [[], ["status"], ["why"], ["resolver"], ["wait"], ["forget"], ["smoke"]])
def test_every_command_has_its_help(words: list[str]) -> None:
    seen = typed(None, *words, "--help")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.startswith("Usage: dtkdns")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_the_commands(shell: str) -> None:
    environment = {**os.environ, "_DTKDNS_COMPLETE": f"{shell}_source"}
    seen = subprocess.run([COMMAND], capture_output=True, text=True, check=False, env=environment)
    assert "_DTKDNS_COMPLETE" in seen.stdout
