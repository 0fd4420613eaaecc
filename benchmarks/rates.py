"""How many changes a second are taken, each of one record, answered when it is durable and in the file."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import disk, sent
from benchmarks.measures import Found, Held, Measure
from benchmarks.server import Server, ours
from benchmarks.timing import in_turn

DISK = "the disk alone"
CONNECTIONS = 1, 8
CHANGES = {
    count: Measure(f"changes-{count}", f"changes/s, {count} connection{'s' * (count > 1)}", DISK, "1/s", Held.RATE)
    for count in CONNECTIONS
}
JOINED = {
    count: Measure(f"joined-{count}", "changes that share one write of the file", unit="changes", held=Held.ALONE)
    for count in CONNECTIONS
}


def measure(size: int, directory: Path, seconds: float) -> Iterator[Found]:
    """With all names loaded."""
    at = directory / "rates"
    with ours(at) as (server, _service):
        server.call("POST", "/records", sent.created(range(size)))
        bare = directory / "bare"
        bare.write_bytes((at / "hosts").read_bytes())
        alone = in_turn(9, lambda: disk.replace(bare))[0]
        for count in CONNECTIONS:
            before = server.status()["hosts"]["writes"]
            changes = _sustained(server, count, seconds, range(size))
            writes = server.status()["hosts"]["writes"] - before
            yield Found(CHANGES[count], changes / seconds, 1000 / alone)
            yield Found(JOINED[count], changes / writes)


def _sustained(server: Server, connections: int, seconds: float, numbers: range) -> int:
    """The changes that so many clients get done in this time, each by a name and a connection of its own."""
    until = time.monotonic() + seconds
    done = [0] * connections

    def change(client: int) -> None:
        own = server.another()
        number = numbers[client * len(numbers) // connections]
        targets = itertools.cycle(f"10.32.{client + 1}.{count}" for count in range(1, 250))
        old = sent.TARGET
        while time.monotonic() < until:
            new = next(targets)
            own.call("POST", "/records", sent.updated([number], old, new))
            old = new
            done[client] += 1
        own.connection.close()

    clients = [threading.Thread(target=change, args=(client,)) for client in range(connections)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(done)
