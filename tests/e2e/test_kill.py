"""kill -9 at random moments under load: what was acknowledged is there at the next start."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
from pathlib import Path

from dtkdns.hosts.text import read, remove
from process import Dtkdns, call, dtkdns, records

HOSTS = b"127.0.0.1 localhost\n# the last line has no newline"
KILLS = int(os.environ.get("DTKDNS_TEST_KILLS", "100"))


class Load(threading.Thread):
    """Creates and deletes records of its own, one call after the other, until the service is gone."""

    def __init__(self, service: Dtkdns, number: int, acknowledged: dict[str, bool | None]) -> None:
        super().__init__()
        self._service = service
        self._names = [f"w{number}-{i}.dtk.io" for i in range(20)]
        self.acknowledged = acknowledged
        """Name to whether it is there; None while a call about it is unanswered."""

    def run(self) -> None:
        with self._service.connection() as connection:
            while True:
                name = random.choice(self._names)
                there = self.acknowledged.get(name) is True
                self.acknowledged[name] = None
                record = {"dnsName": name, "targets": ["10.0.0.1"], "recordType": "A"}
                try:
                    status, _ = call(
                        connection, "POST", "/records", json.dumps({"delete" if there else "create": [record]})
                    )
                except (OSError, http.client.HTTPException):
                    return
                assert status == 204
                self.acknowledged[name] = not there


def test_every_acknowledged_record_survives_and_the_file_is_whole_and_agrees(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(HOSTS)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--hosts-file", str(hosts)]
    command = [*options, "--state", str(tmp_path / "state")]
    acknowledged: list[dict[str, bool | None]] = [{}, {}]
    calls = 0
    for kill in range(KILLS + 1):
        with dtkdns(*command) as service, service.connection() as connection:
            there = {record["dnsName"] for record in records(connection)}
            for known in acknowledged:
                for name, expected in known.items():
                    assert expected is None or (name in there) == expected, (kill, name)
                    known[name] = name in there
            sentinel = {"dnsName": f"after-{kill}.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"}
            assert call(connection, "POST", "/records", json.dumps({"create": [sentinel]}))[0] == 204
            shown = sorted({record["dnsName"] for record in records(connection)})
            text = hosts.read_bytes()
            block = read(text)
            assert block is not None
            assert block.intact
            assert block.lines == tuple(f"10.0.0.1 {name} # external-dns\n".encode() for name in shown)
            assert remove(text) == HOSTS
            loads = [Load(service, number, known) for number, known in enumerate(acknowledged)]
            for load in loads:
                load.start()
            loads[0].join(random.uniform(0.0, 0.3))
            service.kill()
            for load in loads:
                load.join()
            calls += sum(1 for known in acknowledged for state in known.values() if state is not None)
            left = remove(hosts.read_bytes())
            assert left == HOSTS
    assert calls > KILLS
