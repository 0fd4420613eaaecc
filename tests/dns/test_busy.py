"""Questions while the largest change is taken in."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
from attrs import define, field

from process import call

from .dig import dig
from .serving import V4, endpoint, need, serving

NAMES = 60_000
RESOLVER_SECONDS = 5
"""How long resolvers wait for an answer: glibc, systemd-resolved and others alike (resolv.conf(5))."""


def ingresses(address: str) -> list[dict[str, object]]:
    """What external-dns sends for as many Ingresses: an A record and its ownership TXT each."""
    found: list[dict[str, object]] = []
    for number in range(NAMES):
        name = f"app-{number:06}.dtk.io"
        resource = f"ingress/default/app-{number:06}"
        heritage = f'"heritage=external-dns,external-dns/owner=default,external-dns/resource={resource}"'
        owner = {"labels": {"owner": "default", "resource": resource}}
        found += [
            endpoint(name, "A", address) | owner,
            endpoint(f"a-{name}", "TXT", heritage) | {"labels": {"ownedRecord": name}},
        ]
    return found


@define
class Asking:
    """Asks for one name without pause, one question after the other."""

    port: int
    waits: list[float] = field(factory=list)
    """Seconds that each answer took."""
    wrong: list[bytes] = field(factory=list)
    missing: int = 0
    """Questions without an answer in time."""
    _over: threading.Event = field(factory=threading.Event)

    def during(self, work: Callable[[], None]) -> None:
        """Ask from before something is done until after it."""
        first = threading.Event()
        asking = threading.Thread(target=self._ask, args=(first,))
        asking.start()
        try:
            assert first.wait(RESOLVER_SECONDS)
            work()
        finally:
            self._over.set()
            asking.join()

    def _ask(self, first: threading.Event) -> None:
        question = dns.message.make_query("foo.dtk.io", "A").to_wire()[2:]
        address = socket.inet_aton(V4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("127.0.0.1", self.port))
            asking.settimeout(RESOLVER_SECONDS)
            number = 0
            while not self._over.is_set():
                number = (number + 1) % 65536
                begun = time.perf_counter()
                asking.send(struct.pack("!H", number) + question)
                try:
                    reply = asking.recv(4096)
                except TimeoutError:
                    self.missing += 1
                    continue
                self.waits.append(time.perf_counter() - begun)
                if reply[:2] != struct.pack("!H", number) or address not in reply:
                    self.wrong.append(reply)
                first.set()


def test_every_question_is_answered_in_time_while_sixty_thousand_names_are_taken_in(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    need("curl", "dig")
    foo = endpoint("foo.dtk.io", "A", "10.0.0.1")
    first = ingresses("10.32.0.45")
    moved = ingresses("10.32.0.46")
    changes: dict[str, dict[str, object]] = {
        "created": {"create": first},
        "moved": {"updateOld": first, "updateNew": moved},
        "deleted": {"delete": moved},
    }
    with serving(tmp_path, "--routable", "10.32.0.0/16") as server, server.service.connection() as connection:
        server.change(create=[foo])
        port = server.service.dns_port
        for what, change in changes.items():
            body = json.dumps(change).encode()
            took: list[float] = []

            def post(body: bytes = body, took: list[float] = took) -> None:
                begun = time.perf_counter()
                while call(connection, "POST", "/records", body)[0] == 503:
                    continue  # late on a machine that is busy otherwise: external-dns sends it again, too
                took.append(time.perf_counter() - begun)

            asking = Asking(port)
            asking.during(post)
            assert (asking.missing, asking.wrong) == (0, [])
            measured = {
                "megabytes": len(body) / 1e6,
                "seconds": took[0],
                "answers": len(asking.waits),
                "longest wait in milliseconds": max(asking.waits) * 1000,
            }
            for name, value in measured.items():
                record_property(f"{what}: {name}", round(value, 1))
            print(what, {name: round(value, 1) for name, value in measured.items()})
            last = dig("127.0.0.1", port, f"app-{NAMES - 1:06}.dtk.io")
            expected = {"created": "10.32.0.45", "moved": "10.32.0.46"}.get(what)
            assert last.status == ("NXDOMAIN" if expected is None else "NOERROR")
            assert [answer.split()[-1] for answer in last.answers] == ([expected] if expected else [])
        assert server.service.process.poll() is None
