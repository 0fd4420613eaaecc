"""twistd in the background, with its log and pid files."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from pathlib import Path

from process import TWISTD


def start(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "hosts").write_bytes(b"127.0.0.1 localhost\n")
    files = [f"--pidfile={directory}/pid", f"--logfile={directory}/log"]
    own = ["--hosts-file", f"{directory}/hosts", "--state", f"{directory}/state"]
    command = [*TWISTD, *files, "dtkdns", *own, *options]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


def test_a_daemon_serves_when_its_starter_returns_and_stops_cleanly(tmp_path: Path) -> None:
    assert start(tmp_path, "--port", f"unix:{tmp_path}/socket").returncode == 0
    pid = int((tmp_path / "pid").read_text())
    process = os.pidfd_open(pid)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{tmp_path}/socket")
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(1024).startswith(b"HTTP/1.0 200 OK")
    finally:
        os.kill(pid, signal.SIGTERM)
        ended(process)
    assert "Stopped." in (tmp_path / "log").read_text()
    assert not (tmp_path / "pid").exists()


def test_a_daemon_that_cannot_start_says_so_where_it_was_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        by_number = start(tmp_path, "--port", str(port))
        assert (by_number.returncode, by_number.stdout) == (1, "")
        assert by_number.stderr.startswith(f"dtkdns: Port {port} is taken")
        by_endpoint = start(tmp_path, "--port", f"tcp:{port}:interface=127.0.0.1")
        assert by_endpoint.returncode == 1
        assert "cannot be listened at" in by_endpoint.stderr + by_endpoint.stdout
        assert "Traceback" not in by_endpoint.stderr + by_endpoint.stdout
        assert not (tmp_path / "pid").exists()


def test_nothing_but_a_sentence_is_printed_in_the_foreground(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        (tmp_path / "hosts").write_bytes(b"")
        files = ["--hosts-file", f"{tmp_path}/hosts", "--state", f"{tmp_path}/state"]
        command = [*TWISTD, "-n", "--pidfile=", "dtkdns", *files, "--port", endpoint]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"dtkdns: {endpoint} cannot be listened at (" in said
    assert "Traceback" not in said


def ended(process: int) -> None:
    """Wait until a process that is not our child has ended."""
    select.select([process], [], [], 30)
    os.close(process)
