"""One honest client makes thousands of changes, beside other editors of the file and peers that misuse HTTP."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import editors
import pytest
from attrs import define, field

from process import Dtkdns, call, dtkdns, records

CHANGES = int(os.environ.get("DTKDNS_TEST_SOAK_CHANGES", "2000"))
CHANGES_PER_EDIT = 10
GROWTH = 20 * 1024
"""KiB that the service may have more in the end than after its first changes."""
WARM_UP = 10
"""Seconds of hostile peers before the memory is measured first: what buffers need is taken by then."""
BOUND = 60
"""Seconds within which the service and the file come to rest when everybody else has ended."""
ADDRESS = "192.168.122.167"
MINE = [b"127.0.0.1 localhost", b"# a note of mine\r", b"10.9.9.9 \xe9trange printer"]
NAMES = 60
HOSTILE = Path(__file__).with_name("hostile.py")

Record = dict[str, Any]


def key(record: Record) -> tuple[str, str]:
    return record["dnsName"], record["recordType"]


def owned(record: Record) -> Record:
    """The TXT record that external-dns' registry keeps beside a record."""
    text = f'"heritage=external-dns,external-dns/owner=soak,external-dns/resource={record["labels"]["resource"]}"'
    return {
        "dnsName": f"cname-{record['dnsName']}",
        "targets": [text],
        "recordType": "TXT",
        "labels": {"ownedRecord": record["dnsName"]},
    }


@define
class ExternalDNS:
    """Passes as the real one makes them, over one connection that must last."""

    connection: HTTPConnection
    desired: dict[str, Record] = field(factory=dict)
    changes: int = 0
    requests: int = 0
    _version: int = 0

    def __attrs_post_init__(self) -> None:
        self.connection.connect()
        self.connection.auto_open = 0  # a connection that is closed under it fails the next call

    def expected(self) -> list[Record]:
        """What the service should have stored, in the order of its keys."""
        return sorted([*self.desired.values(), *map(owned, self.desired.values())], key=key)

    def converged(self) -> None:
        assert sorted(records(self.connection), key=key) == self.expected()
        self.requests += 1

    def look_while(self, true: Callable[[], bool]) -> None:
        """Look again and again for some time: what is left of connections goes while the service works."""
        until = time.monotonic() + BOUND
        while true() and time.monotonic() < until:
            self.converged()

    def adjusted(self) -> None:
        desired = list(self.desired.values())
        status, body = call(self.connection, "POST", "/adjustendpoints", json.dumps(desired))
        assert status == 200
        assert json.loads(body) == desired
        self.requests += 1

    def make_pass(self) -> None:
        """Look, then bring what has changed since the last pass: seldom nothing, else one name or a few."""
        self.converged()
        old = dict(self.desired)
        for number in random.sample(range(NAMES), random.choice([0, 1, 1, 1, 2, 3])):
            self._change(f"name-{number}.dtk.io")
        self.adjusted()
        changes = self._plan(old)
        if changes:
            assert call(self.connection, "POST", "/records", json.dumps(changes)) == (204, b"")
            self.requests += 1

    def _change(self, name: str) -> None:
        """Create it, or update or delete it where it is there already."""
        self.changes += 1
        self._version += 1
        if name in self.desired and random.random() < 0.5:
            del self.desired[name]
        else:
            resource = f"ingress/default/version-{self._version}"
            self.desired[name] = {
                "dnsName": name,
                "targets": [name],
                "recordType": "CNAME",
                "recordTTL": 300 + self._version,
                "labels": {"resource": resource},
            }

    def _plan(self, old: dict[str, Record]) -> dict[str, list[Record]]:
        new = self.desired
        kept = [name for name in new if name in old and new[name] != old[name]]
        plan = {
            "create": [new[name] for name in new if name not in old],
            "updateOld": [old[name] for name in kept],
            "updateNew": [new[name] for name in kept],
            "delete": [old[name] for name in old if name not in new],
        }
        return {kind: [*found, *map(owned, found)] for kind, found in plan.items() if found}


@define
class OtherPrograms:
    """Edits of the file by others, as many as are asked for, one after the other."""

    hosts: Path
    made: int = 0
    _allowed: int = 0
    _asked: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    _ending: bool = False

    def ask(self, total: int) -> None:
        """Let them go on until they have made so many."""
        while self._allowed < total:
            self._allowed += 1
            self._asked.release()

    @contextmanager
    def running(self) -> Iterator[None]:
        """They are through with all that was asked for at the end."""
        thread = threading.Thread(target=self._edit)
        thread.start()
        try:
            yield
        finally:
            self._ending = True
            self._asked.release()
            thread.join()
        assert self.made == self._allowed

    def _edit(self) -> None:
        while self._asked.acquire() and not (self._ending and self.made == self._allowed):
            random.choice([editors.append, editors.sed])(self.hosts, self.made)
            self.made += 1


def resident(service: Dtkdns) -> int:
    """KiB of memory that the service has."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def descriptors(service: Dtkdns) -> list[str]:
    """What the service has open."""
    found = []
    for entry in Path(f"/proc/{service.process.pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


def comes_to(wanted: Any, look: Callable[[], Any]) -> Any:
    """What it looks like in the end: as wanted, or as it still is after some time."""
    until = time.monotonic() + BOUND
    while (found := look()) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    return found


def resting_descriptors(service: Dtkdns) -> int:
    """How many it has open when nothing has been going on for a while."""
    until = time.monotonic() + BOUND
    seen = [len(descriptors(service))]
    while len(set(seen[-20:])) > 1 or len(seen) < 20:
        assert time.monotonic() < until, seen
        time.sleep(0.05)
        seen.append(len(descriptors(service)))
    return seen[-1]


def lines(hosts: Path) -> Counter[bytes]:
    """Every line of the file but the two markers of the block."""
    found = Counter(hosts.read_bytes().split(b"\n"))
    markers = [line for line in found if line.startswith((b"# BEGIN dtkdns ", b"# END dtkdns "))]
    assert sorted(found.pop(line) for line in markers) == [1, 1], markers
    return found


@contextmanager
def hostile_peers(service: Dtkdns) -> Iterator[dict[str, Any]]:
    """Peers that misuse HTTP until the end; what they did is in the dictionary then."""
    done: dict[str, Any] = {}
    command = [sys.executable, str(HOSTILE), str(service.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peers:
        try:
            yield done
        finally:
            output, _ = peers.communicate()
    assert peers.returncode == 0
    done.update(json.loads(output))


@pytest.mark.timeout(300 + CHANGES)
def test_nothing_is_lost_and_nothing_grows_beside_other_editors_and_hostile_peers(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(b"".join(line + b"\n" for line in MINE))
    others = OtherPrograms(hosts)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--cluster-ip", ADDRESS]
    options += ["--hosts-file", str(hosts), "--state", str(tmp_path / "state")]
    with dtkdns(*options) as service, service.connection() as connection:
        client = ExternalDNS(connection)

        def change(count: int, seconds: float = 0) -> None:
            enough, until = client.changes + count, time.monotonic() + seconds
            while client.changes < enough or time.monotonic() < until:
                client.make_pass()
                others.ask(client.changes // CHANGES_PER_EDIT)

        with others.running():
            change(CHANGES // 20)
            opened = resting_descriptors(service)
            with hostile_peers(service):
                change(CHANGES // 20, WARM_UP)
            assert comes_to(opened, lambda: len(descriptors(service))) == opened, descriptors(service)
            warm = resident(service)
            began = time.monotonic()
            with hostile_peers(service) as done:
                change(CHANGES)
                assert len(descriptors(service)) > opened
        client.converged()
        seconds = time.monotonic() - began
        left = comes_to(opened, lambda: len(descriptors(service)))
        assert left == opened, descriptors(service)
        client.look_while(lambda: resident(service) - warm >= GROWTH)
        grown = resident(service) - warm
        shown = [f"{ADDRESS} {name} # {record['labels']['resource']}" for name, record in client.desired.items()]
        foreign = [*MINE, b"", *[editors.line(number).encode() for number in range(others.made)]]
        expected = Counter([*foreign, *[line.encode() for line in shown]])
        found = comes_to(expected, lambda: lines(hosts))
        assert found == expected, (found - expected, expected - found)
        client.converged()
        service.stop()
    log = "".join(service.log)
    assert "Traceback" not in log
    assert "fault of dtkdns" not in log.lower()
    assert grown < GROWTH, (warm, warm + grown)
    assert all(way["connections"] for way in done.values()), done
    print(f"{client.changes} changes, {client.requests} requests, {others.made} edits in {seconds:.0f} s")
    print(f"{warm} KiB, then {grown:+} KiB; {opened} descriptors, then {left}; hostile peers:")
    for way, did in done.items():
        print(f"  {way}: {did}")
