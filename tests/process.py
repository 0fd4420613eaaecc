"""`twistd dtkdns` as a process of its own, alone or inside a private mount namespace."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

MEDIA_TYPE = "application/external.dns.webhook+json;version=1"
TWISTD = [str(Path(sys.executable).with_name("twistd"))]


class Dtkdns:
    """A running service; its log is read until it says where it listens."""

    def __init__(self, command: Sequence[str], *, prefix: Sequence[str] = ()) -> None:
        dns = [] if "--dns" in command else ["--dns", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [*prefix, *TWISTD, "-n", "--pidfile=", "dtkdns", *dns, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line)
            found = re.search(r"dtkdns listens on port (\d+)", line)
            if found:
                self.port = int(found[1])
                break
        else:
            raise AssertionError("".join(self.log))
        self._said: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line)
            self._said.put(line)
        self._said.put(None)

    def lines(self, timeout: float = 30) -> Iterator[str]:
        """Further lines of the log as they come, until the service ends; `queue.Empty` after silence (seconds)."""
        while (line := self._said.get(timeout=timeout)) is not None:
            yield line

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection of one's own, kept alive from call to call."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            yield connection

    @property
    def dns_port(self) -> int:
        """Of the first address at which it takes questions."""
        said = re.search(r"DNS for the managed domains at \S+:(\d+)[, ]", "".join(self.log))
        assert said is not None, "".join(self.log)
        return int(said[1])

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        """Stop it as an administrator would, and see that it said so."""
        self.process.send_signal(signal.SIGTERM)
        self._ended()
        assert any(line.endswith("Stopped.\n") for line in self.log), "".join(self.log)

    def _ended(self) -> None:
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()


@contextmanager
def dtkdns(*command: str, prefix: Sequence[str] = ()) -> Iterator[Dtkdns]:
    """A running service, killed at the end unless it ended by itself."""
    service = Dtkdns(command, prefix=prefix)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.kill()


def call(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | str | None = None
) -> tuple[int, bytes]:
    """One call as external-dns makes it: status and body."""
    connection.request(method, path, body, {"Content-Type": MEDIA_TYPE})
    response = connection.getresponse()
    return response.status, response.read()


def records(connection: http.client.HTTPConnection) -> list[dict[str, Any]]:
    status, body = call(connection, "GET", "/records")
    assert status == 200
    found: list[dict[str, Any]] = json.loads(body)
    return found


class Namespace:
    """A private mount namespace, in which the hosts file is a scratch one.

    Root makes it directly; anybody else inside a user namespace of their own (unshare(1), --map-root-user).
    """

    def __init__(self, script: str) -> None:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._holder = subprocess.Popen(
            [
                "unshare",
                *user,
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-ec",
                script + "\necho made\nexec cat",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != "made\n":
            raise AssertionError(self._holder.stderr.read())
        enter = ["--user", "--preserve-credentials"] if user else []
        self.prefix = ["nsenter", f"--target={self._holder.pid}", "--mount", *enter]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=False, timeout=60)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_error: object) -> None:
        self._holder.communicate()


@contextmanager
def bind_mounted_hosts(directory: Path, text: bytes) -> Iterator[Namespace]:
    """A scratch file mounted over /etc/hosts: a rename over it is refused."""
    (directory / "hosts").write_bytes(text)
    with Namespace(f"mount --bind {directory}/hosts /etc/hosts") as namespace:
        yield namespace


@contextmanager
def scratch_etc(directory: Path, text: bytes) -> Iterator[Namespace]:
    """A scratch directory mounted over /etc: its hosts file can be replaced by rename."""
    etc = directory / "etc"
    etc.mkdir()
    for name in ("nsswitch.conf", "passwd", "group", "ld.so.cache", "host.conf", "alternatives", "localtime"):
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, etc / name, symlinks=True)
        elif source.exists():
            shutil.copy(source, etc / name)
    (etc / "hosts").write_bytes(text)
    with Namespace(f"mount --bind {etc} /etc") as namespace:
        yield namespace
