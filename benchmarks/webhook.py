"""The calls of external-dns, beside its own server, which keeps records in memory only, and beside the disk."""

from __future__ import annotations

import itertools
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import disk, sent
from benchmarks.measures import LARGEST, SIZES, Found, Held, Measure
from benchmarks.server import Server, ours, reference
from benchmarks.timing import in_turn, rounds, timed

GO = "external-dns, in memory"
DISK = "the disk alone"
LOAD = Measure("load", "load: one POST /records creates all", GO, aims={LARGEST: 1.0})
RECORDS = Measure("records", "GET /records", GO, aims={LARGEST: 0.2})
AFTER_CHANGE = Measure("records-changed", "GET /records, the first one after a change", GO)
ADJUST = Measure("adjust", "POST /adjustendpoints", GO, aims={LARGEST: 0.8})
PASS = Measure("pass", "quiet pass: GET /records, POST /adjustendpoints", GO, aims={LARGEST: 0.4})
MEMORY = Measure("memory", "resident memory after that", GO, "MB", aims={LARGEST: 0.5})
CHANGE = Measure("change", "one record changed: durable and in the file", DISK, aims={SIZES[0]: 6.0, LARGEST: 2.5})
MOVED = Measure("moved", "every name moved: POST /clusterip", "dtkdns' own load", aims={LARGEST: 0.3})
WRITES = Measure(
    "moved-writes", "writes of the file for that", unit="writes", held=Held.ALONE, aims=dict.fromkeys(SIZES, 1)
)
START = Measure(
    "start",
    "start with all records until ready",
    "an empty start",
    held=Held.MORE,
    aims=dict.fromkeys(SIZES, 1000.0),
)
MOVES = STARTS = 3


def measure(size: int, directory: Path, _seconds: float) -> Iterator[Found]:
    """From an empty start to one with all records."""
    load, wanted = sent.created(range(size)), sent.desired(range(size))
    at = directory / "webhook"
    with ours(at) as (own, _service), reference() as go:
        taken = timed(lambda: own.call("POST", "/records", load))
        _require_names(at, size)
        yield Found(LOAD, taken, timed(lambda: go.call("POST", "/records", load)))
        yield Found(RECORDS, *in_turn(rounds(size), *(_calls(one, "GET", "/records") for one in (own, go))))
        adjusts = (_calls(one, "POST", "/adjustendpoints", wanted) for one in (own, go))
        yield Found(ADJUST, *in_turn(rounds(size), *adjusts))
        yield Found(PASS, *in_turn(rounds(size), *(_passes(one, wanted) for one in (own, go))))
        yield Found(MEMORY, own.memory, go.memory)
        change, again = (_changes(one, size // 2) for one in (own, go))
        bare = directory / "bare"  # in another directory: dtkdns watches its own
        shutil.copy(at / "hosts", bare)
        yield Found(CHANGE, *in_turn(rounds(size), change, lambda: disk.replace(bare)))
        yield Found(AFTER_CHANGE, *_after_changes(size, (own, change), (go, again)))
        yield from _moves(own, taken)
    yield Found(START, *_starts(at, directory / "empty"))


def _calls(server: Server, method: str, path: str, body: bytes | None = None) -> Callable[[], object]:
    return lambda: server.call(method, path, body)


def _passes(server: Server, wanted: bytes) -> Callable[[], object]:
    def one() -> None:
        server.call("GET", "/records")
        server.call("POST", "/adjustendpoints", wanted)

    return one


def _changes(server: Server, number: int) -> Callable[[], object]:
    """A call that gives one name another address each time."""
    targets = itertools.cycle([sent.TARGET, *(f"10.32.1.{count}" for count in range(1, 200))])
    old = next(targets)

    def one() -> None:
        nonlocal old
        new = next(targets)
        server.call("POST", "/records", sent.updated([number], old, new))
        old = new

    return one


def _after_changes(size: int, *ways: tuple[Server, Callable[[], object]]) -> list[float]:
    def both() -> None:
        for _server, change in ways:
            change()

    reads = [_calls(server, "GET", "/records") for server, _change in ways]
    return in_turn(rounds(size), both, *reads)[1:]


def _moves(own: Server, load: float) -> Iterator[Found]:
    for count in range(MOVES):
        body = f"192.168.122.{count + 1}".encode()
        before = own.status()["hosts"]["writes"]
        yield Found(MOVED, timed(_calls(own, "POST", "/clusterip", body)), load)
        yield Found(WRITES, own.status()["hosts"]["writes"] - before)


def _starts(full: Path, empty: Path) -> tuple[float, float]:
    """Milliseconds from the start of a process until it says that it is ready."""
    with ours(empty):
        pass
    found: dict[Path, list[float]] = {full: [], empty: []}
    for at in (full, empty) * STARTS:
        with _manager(at / "told") as told:
            begun = time.perf_counter()
            with ours(at, prefix=("env", f"NOTIFY_SOCKET={at / 'told'}")):
                while told.recv(4096) != b"READY=1":
                    pass
                found[at].append((time.perf_counter() - begun) * 1000)
    return median(found[full]), median(found[empty])


@contextmanager
def _manager(path: Path) -> Iterator[socket.socket]:
    """A socket at which a service says that it is ready (sd_notify(3)): to ask it would take of its time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(path))
        told.settimeout(60)
        yield told
    path.unlink()


def _require_names(at: Path, size: int) -> None:
    assert (at / "hosts").read_bytes().count(b".dtk.io # ingress/") == size
