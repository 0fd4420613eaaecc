"""`dtkdns` as a process, beside a service as a process."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtkdns.cli.main import main
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


def environment(service: Dtkdns | None) -> dict[str, str]:
    url = f"http://127.0.0.1:{service.port if service else 1}"
    path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    return {**os.environ, "DTKDNS_URL": url, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm", "PATH": path}


def typed(service: Dtkdns | None, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(service),
    )


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, service: Dtkdns | None, *words: str) -> None:
        self._mine, theirs = pty.openpty()
        self._seen = ""
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "env", "--default-signal=INT", COMMAND, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(service),
        )
        os.close(theirs)

    def until(self, text: str) -> None:
        """Read what is shown until this comes."""
        while text not in self._seen:
            more = self._read()
            assert more, self._seen
            self._seen += more
        self._seen = self._seen.partition(text)[2]

    def until_asked(self, question: str) -> None:
        """Read what is shown until this comes, and it sleeps: input() does not hear of a signal just before."""
        self.until(question)
        while Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            os.sched_yield()

    def press(self, keys: str) -> None:
        os.write(self._mine, keys.encode())

    def end(self) -> tuple[int, str]:
        """The exit status, and what is shown until then."""
        while more := self._read():
            self._seen += more
        os.close(self._mine)
        return self._process.wait(), self._seen

    def _read(self) -> str:
        assert select.select([self._mine], [], [], 60)[0], self._seen
        try:
            return os.read(self._mine, 65536).decode("utf-8", "replace")
        except OSError:  # all that had the other end open have ended
            return ""


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


def test_programs_get_one_object_from_every_command(service: Dtkdns) -> None:
    why = typed(service, "why", "foo.dtk.io", "--json")
    found = json.loads(why.stdout)
    assert (why.returncode, why.stderr, found["well"]) == (1, "", False)
    assert found["shown"]["addresses"] == ["192.168.122.167"]
    waited = typed(None, "wait", "no-such-name.invalid", "--gone", "--json")
    assert json.loads(waited.stdout) == {"name": "no-such-name.invalid", "gone": True, "addresses": []}
    records = [{"name": "foo.dtk.io", "type": "CNAME"}]
    would = typed(service, "forget", "foo.dtk.io", "--json")
    told = {"forgotten": False, "cluster": "default", "records": records, "warning": ""}
    assert (would.returncode, json.loads(would.stdout)) == (1, told)
    done = typed(service, "forget", "foo.dtk.io", "--json", "--yes")
    assert (done.returncode, json.loads(done.stdout)) == (0, {**told, "forgotten": True})


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["why", "foo.dtk.io"],
        ["wait", "no-such-name.invalid", "--timeout", "0"],
        ["forget", "foo.dtk.io"],
    ],
)
def test_what_is_wrong_is_one_line_elsewhere_when_an_object_was_asked_for(words: list[str]) -> None:
    seen = typed(None, *words, "--json")
    assert (seen.returncode, seen.stdout) == (1, "")
    assert seen.stderr.startswith("dtkdns: ")
    assert seen.stderr.count("\n") == 1


def test_watching_goes_on_while_the_service_is_away_and_ends_with_ctrl_c(service: Dtkdns, tmp_path: Path) -> None:
    terminal = Terminal(service, "status", "--watch")
    terminal.until("foo.dtk.io")
    service.stop()
    terminal.until("! No answer from")
    options = ["--port", f"tcp:{service.port}:interface=127.0.0.1", "--domains", "again.io"]
    with dtkdns(*options, "--hosts-file", f"{tmp_path}/hosts", "--state", f"{tmp_path}/state"):
        terminal.until("again.io")
        terminal.press("\x03")
        status, seen = terminal.end()
    assert status == 130
    assert "Traceback" not in seen
    assert "\x1b[?25h" in seen
    assert seen.endswith("\x1b[?1049l")


def test_ctrl_c_ends_whatever_waits_and_scripts_can_tell(service: Dtkdns) -> None:
    waiting = Terminal(service, "status", "--watch", "--json")
    waiting.until("version")
    waiting.press("\x03")
    status, seen = waiting.end()
    assert (status, "Traceback" in seen) == (130, False)
    asking = Terminal(service, "forget", "foo.dtk.io")
    asking.until_asked("[y/N]: ")
    asking.press("\x03")
    status, seen = asking.end()
    assert (status, "Nothing was done." in seen) == (130, True)


def test_a_reader_that_has_seen_enough_is_no_error(service: Dtkdns) -> None:
    watching = subprocess.Popen(
        [COMMAND, "status", "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(service),
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    with watching:
        assert watching.stdout.readline() == "{\n"
        watching.stdout.close()
        assert watching.stderr.read() == ""
    assert watching.returncode == 1


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


@pytest.mark.parametrize("words", [[], *([name] for name in main.commands)])
def test_every_command_has_its_help(words: list[str]) -> None:
    seen = typed(None, *words, "--help")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.startswith("Usage: dtkdns")


TYPED = {
    "bash": """
        eval "$(dtkdns completion bash)"
        COMP_WORDS=({words}) COMP_CWORD=$(({number} - 1))
        _dtkdns_completion dtkdns
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -Uz compinit && compinit -D && eval "$(dtkdns completion zsh)"
        compadd() { print -l -- ${(P)@[-1]}; }
        _describe() { print -l -- ${${(P)@[-2]}%%:*}; }
        words=({words}) CURRENT={number}
        _dtkdns_completion
    """,
    "fish": """
        dtkdns completion fish | source
        complete --do-complete "{line}" | string split --fields 1 \\t
    """,
}
"""What makes each shell complete a line, and print what it found."""


@pytest.mark.parametrize("shell", TYPED)
def test_a_shell_completes_commands_names_and_clusters(shell: str, service: Dtkdns) -> None:
    if shutil.which(shell) is None:
        if os.environ.get("DTKDNS_TEST_ALL"):
            pytest.fail(f"This needs {shell}")
        pytest.skip(f"There is no {shell} here")

    def completed(*words: str) -> list[str]:
        line = ["dtkdns", *words]
        script = TYPED[shell].replace("{line}", " ".join(line)).replace("{number}", str(len(line)))
        script = script.replace("{words}", " ".join(word or "''" for word in line))
        quiet = {"bash": "--norc", "zsh": "-f", "fish": "--no-config"}[shell]
        seen = subprocess.run(
            [shell, quiet, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(service),
        )
        assert seen.stderr == ""
        return sorted(seen.stdout.split())

    assert completed("wh") == ["why"]
    assert completed("completion", "") == ["bash", "fish", "zsh"]
    assert completed("why", "fo") == ["foo.dtk.io"]
    assert completed("wait", "f") == ["foo.dtk.io"]
    assert completed("forget", "--cluster", "") == ["default"]
    assert completed("forget", "--cluster", "lab", "") == []


def test_a_service_that_does_not_answer_leaves_the_shell_in_peace() -> None:
    line = {"_DTKDNS_COMPLETE": "bash_complete", "COMP_WORDS": "dtkdns why f", "COMP_CWORD": "2"}
    seen = subprocess.run(
        [COMMAND], capture_output=True, text=True, check=False, timeout=60, env={**environment(None), **line}
    )
    assert (seen.returncode, seen.stdout.strip(), seen.stderr) == (0, "", "")
