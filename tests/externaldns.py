"""The real external-dns as a process, and what it does in its passes as dtkdns' log shows it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty

import peers
from process import Dtkdns

EVERY_SECOND = ("--interval=1s",)
ON_EVENTS = ("--events",)
"""A pass when an object changes, and otherwise once a minute."""

_CALL = re.compile(r"(GET|POST) (\S*)/(|records|adjustendpoints) (\d+) in [\d.]+ ms$")


class ExternalDNS:
    """One process of it; its log is a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self._command = command
        self._log = log
        self._environment = os.environ | environment
        self._replacing = threading.Lock()
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as opened:
            self.process = subprocess.Popen(
                self._command, stdout=opened, stderr=subprocess.STDOUT, env=self._environment
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def ended(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(timeout=30)

    def stop(self) -> None:
        """Stop it as Kubernetes does."""
        assert self.running, self.log
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    @contextmanager
    def kept_running(self) -> Iterator[None]:
        """Started again whenever it exits, as a Deployment does, but at once."""
        done = False

        def keep() -> None:
            while True:
                self.process.wait()
                with self._replacing:
                    if done:
                        return
                    self.start()

        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            yield
        finally:
            with self._replacing:
                done = True
                self.process.kill()
            keeper.join()


@contextmanager
def external_dns(
    version: str,
    kubeconfig: Path,
    namespace: str,
    url: str,
    log: Path,
    *flags: str,
    policy: str = "sync",
    registry: str = "txt",
    owner: str = "e2e",
    loop: Sequence[str] = EVERY_SECOND,
    environment: dict[str, str] | None = None,
) -> Iterator[ExternalDNS]:
    """A running external-dns that looks at one Kubernetes namespace, killed at the end."""
    command = [
        str(peers.external_dns(version)),
        "--source=ingress",
        "--source=service",
        "--provider=webhook",
        f"--webhook-provider-url={url}",
        f"--kubeconfig={kubeconfig}",
        f"--namespace={namespace}",
        f"--policy={policy}",
        f"--registry={registry}",
        "--metrics-address=127.0.0.1:0",
        *([f"--txt-owner-id={owner}"] if registry == "txt" else []),
        *loop,
        *flags,
    ]
    one = ExternalDNS(command, log, environment or {})
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


def calls(service: Dtkdns, base: str = "") -> Iterator[tuple[str, int]]:
    """The calls on one base that external-dns and others make from now on: name and status.

    The name is `negotiate`, `records`, `adjust` or `apply`. Asks for `--debug`.
    """
    names = {("GET", ""): "negotiate", ("GET", "records"): "records"}
    names |= {("POST", "adjustendpoints"): "adjust", ("POST", "records"): "apply"}
    try:
        for line in service.lines():
            found = _CALL.search(line)
            if found and found[2] == base:
                yield names[found[1], found[3]], int(found[4])
    except Empty:
        raise AssertionError("No call for half a minute:\n" + "".join(service.log[-40:])) from None


def wait_for_change(service: Dtkdns, reached: Callable[[], bool], base: str = "") -> None:
    """Go through the calls until after one of the changes that they make what is wanted is reached."""
    for name, status in calls(service, base):
        if name == "apply":
            assert status == 204
            if reached():
                return
    raise AssertionError("".join(service.log))


def see_quiet_passes(service: Dtkdns, base: str = "", number: int = 2) -> None:
    """Go through this number of whole further passes and see that none of them changes anything."""
    begun = 0
    for name, _status in calls(service, base):
        assert name != "apply", "".join(service.log[-40:])
        begun += name == "adjust"
        if begun > number:
            return
    raise AssertionError("".join(service.log))
