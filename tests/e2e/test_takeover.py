"""`dtkdns import` as a process, beside a service as a process, after DTK's hostsfile-server.py wrote the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from dtkdns.hosts.text import read, remove
from process import Dtkdns, Namespace, call, dtkdns, scratch_etc

COMMAND = str(Path(sys.executable).with_name("dtkdns"))
ADDRESS = "192.168.122.167"
FORMER = "192.168.122.150"
MINE = b"""\
127.0.0.1 localhost
# caf\xe9
10.0.0.7 nas.dtk.io # mine
10.0.0.8 a.dtk.io b.dtk.io
10.0.0.9 evildtk.io
"""
FOO = {"dnsName": "foo.dtk.io", "targets": ["foo.dtk.io"], "recordType": "CNAME"}


def old_server(hosts: Path, address: str, *names: str) -> None:
    """What it does to the file for each name: a line gets this address, or is put at the end."""
    for name in names:
        line = f"{address} {name}\n".encode()
        lines = hosts.read_bytes().splitlines(keepends=True)
        theirs = [at for at, one in enumerate(lines) if one.split() and one.split()[1:] == [name.encode()]]
        for at in theirs:
            lines[at] = line
        hosts.write_bytes(b"".join([*lines, *([] if theirs else [line])]))


@contextmanager
def by_rename(directory: Path) -> Iterator[tuple[Namespace, Path]]:
    """A hosts file that can be replaced, and where it is."""
    with scratch_etc(directory, MINE) as namespace:
        yield namespace, directory / "etc" / "hosts"


@contextmanager
def in_place(directory: Path) -> Iterator[tuple[Namespace, Path]]:
    """A hosts file that is mounted over another; root's state directory is a scratch one."""
    (directory / "hosts").write_bytes(MINE)
    (directory / "lib").mkdir()
    with Namespace(
        f"mount --bind {directory}/hosts /etc/hosts\nmount --bind {directory}/lib /var/lib"
    ) as namespace:
        yield namespace, directory / "hosts"


@pytest.fixture
def no_processes(tmp_path: Path) -> list[str]:
    """How to run a command that sees no other process and no systemd: what is on this machine is not asked."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text("#!/bin/sh\nexit 4\n")
    (tools / "systemctl").chmod(0o755)
    (tmp_path / "proc").mkdir()
    script = f'mount --bind {tmp_path}/proc /proc; PATH={tools}:$PATH exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]


def imported(
    namespace: Namespace, service: Dtkdns, alone: list[str], *words: str
) -> subprocess.CompletedProcess[str]:
    url = f"DTKDNS_URL=http://127.0.0.1:{service.port}"
    return namespace.run(*alone, "env", url, "COLUMNS=80", "NO_COLOR=1", COMMAND, "import", *words)


@pytest.mark.namespace
@pytest.mark.parametrize("kept", [by_rename, in_place])
def test_after_the_import_the_service_shows_its_own_line_and_the_old_one_stays_away(
    tmp_path: Path,
    kept: Callable[[Path], AbstractContextManager[tuple[Namespace, Path]]],
    no_processes: list[str],
) -> None:
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--cluster-ip", ADDRESS]
    with ExitStack() as stack:
        namespace, hosts = stack.enter_context(kept(tmp_path))
        old_server(hosts, ADDRESS, "gone.dtk.io", "foo.dtk.io")
        old_server(hosts, FORMER, "foo.dtk.io")
        before = hosts.read_bytes()
        service = stack.enter_context(
            dtkdns(*options, "--state", str(tmp_path / "state"), prefix=namespace.prefix)
        )
        connection = stack.enter_context(service.connection())
        assert call(connection, "POST", "/records", json.dumps({"create": [FOO]}))[0] == 204
        assert namespace.run("getent", "hosts", "foo.dtk.io").stdout.split() == [FORMER, "foo.dtk.io"]

        shown = imported(namespace, service, no_processes, "--json")
        assert (shown.returncode, shown.stderr) == (1, "")
        found = json.loads(shown.stdout)["lines"]
        assert [(one["line"], one["name"], one["state"]) for one in found] == [
            (6, "gone.dtk.io", "unknown"),
            (7, "foo.dtk.io", "conflict"),
        ]
        assert remove(hosts.read_bytes()) == before

        # The service has just written the file, so it would put back what goes at once.
        bar = {**FOO, "dnsName": "bar.dtk.io"}
        assert call(connection, "POST", "/records", json.dumps({"create": [bar]}))[0] == 204
        removed = imported(namespace, service, no_processes, "--yes")
        assert (removed.returncode, removed.stderr) == (0, "")
        assert "Removed. What is left to do:" in removed.stdout
        assert max(map(len, removed.stdout.splitlines())) <= 80
        for line in service.lines():
            if "foo.dtk.io: no line of your own stands in the way any more" in line:
                break
        text = hosts.read_bytes()
        assert remove(text) == MINE
        block = read(text)
        assert block is not None
        assert f"{ADDRESS} foo.dtk.io # external-dns\n".encode() in block.lines
        assert namespace.run("getent", "hosts", "foo.dtk.io").stdout.split() == [ADDRESS, "foo.dtk.io"]

        # Nor does a later write of the service bring them.
        assert call(connection, "POST", "/records", json.dumps({"delete": [bar]}))[0] == 204
        assert remove(hosts.read_bytes()) == MINE
        again = imported(namespace, service, no_processes)
        assert (again.returncode, again.stdout) == (0, "/etc/hosts has no line of hostsfile-server.py.\n")
        assert sorted(hosts.parent.glob(".hosts.dtkdns*")) == []
        service.stop()
    journal = tmp_path / "lib" / "dtkdns" / "import.journal"
    assert journal.exists() == (kept is in_place)


def test_an_old_server_that_runs_is_to_be_stopped_first(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(MINE)
    old_server(hosts, ADDRESS, "foo.dtk.io")
    before = hosts.read_bytes()
    script = tmp_path / "hostsfile-server.py"
    script.write_text("print('ready', flush=True)\ninput()\n")
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 4\n")
    (tmp_path / "systemctl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "DTKDNS_URL": "http://127.0.0.1:1"}
    words = [COMMAND, "import", "--hosts-file", str(hosts), "--domains", "dtk.io", "--yes"]
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seen = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=environment)
        process.send_signal(signal.SIGKILL)
    assert seen.returncode == 1
    assert f"{ADDRESS} foo.dtk.io" in seen.stdout
    assert seen.stderr.startswith(
        "dtkdns: hostsfile-server.py is still there and would write again. Stop it first:"
    )
    assert str(process.pid) in seen.stderr
    assert hosts.read_bytes() == before
