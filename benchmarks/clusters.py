"""Sixty clusters that share one desktop, beside one cluster with the names of all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import sent
from benchmarks.measures import LARGEST, Found, Measure
from benchmarks.server import Server, ours
from benchmarks.timing import in_turn, timed

CLUSTERS = 60
AT_ONCE = 8
ONE = "one cluster with all names"
AIM = {LARGEST: 1.2}
LOAD = Measure("clusters-load", f"{CLUSTERS} clusters: all loaded, {AT_ONCE} calls at once", ONE, aims=AIM)
SERIES = Measure("clusters-series", f"{CLUSTERS} clusters: all loaded, one after the other", ONE)
PASS = Measure("clusters-pass", f"{CLUSTERS} clusters: a quiet pass of each", ONE, aims=AIM)
CHANGE = Measure("clusters-change", f"{CLUSTERS} clusters: one record changed", ONE, aims=AIM)
MEMORY = Measure("clusters-memory", f"{CLUSTERS} clusters: resident memory", ONE, "MB", aims=AIM)
ROUNDS = 7


def measure(size: int, directory: Path, _seconds: float) -> Iterator[Found]:
    """With the same names in both; too few names for so many clusters are not measured."""
    if size < CLUSTERS * 10:
        return
    parts = [range(size * one // CLUSTERS, size * (one + 1) // CLUSTERS) for one in range(CLUSTERS)]
    bases = [f"/clusters/lab-{one}" for one in range(CLUSTERS)]
    loads = [sent.created(part) for part in parts]
    with ours(directory / "one") as (one, _service):
        whole = sent.created(range(size))
        alone = timed(lambda: one.call("POST", "/records", whole))
        with ours(directory / "series") as (many, _service):
            _manage(many, bases)
            yield Found(SERIES, timed(lambda: _load(many, bases, loads, 1)), alone)
        with ours(directory / "many") as (many, _service):
            _manage(many, bases)
            yield Found(LOAD, timed(lambda: _load(many, bases, loads, AT_ONCE)), alone)
            wanted = [sent.desired(part) for part in parts]
            passes = _passes(many, bases, wanted), _passes(one, [""], [sent.desired(range(size))])
            yield Found(PASS, *in_turn(ROUNDS, *passes))
            changes = _changes(many, bases[CLUSTERS // 2], parts[CLUSTERS // 2][0]), _changes(one, "", size // 2)
            yield Found(CHANGE, *in_turn(ROUNDS, *changes))
            yield Found(MEMORY, many.memory, one.memory)


def _manage(server: Server, bases: list[str]) -> None:
    for base in bases:
        server.call("POST", f"{base}/domains", b"dtk.io")


def _load(server: Server, bases: list[str], loads: list[bytes], at_once: int) -> None:
    def load(share: int) -> None:
        own = server.another()
        for base, body in zip(bases[share::at_once], loads[share::at_once], strict=True):
            own.call("POST", f"{base}/records", body)
        own.connection.close()

    with ThreadPoolExecutor(at_once) as clients:
        list(clients.map(load, range(at_once)))


def _passes(server: Server, bases: list[str], wanted: list[bytes]) -> Callable[[], object]:
    def every() -> None:
        for base, body in zip(bases, wanted, strict=True):
            server.call("GET", f"{base}/records")
            server.call("POST", f"{base}/adjustendpoints", body)

    return every


def _changes(server: Server, base: str, number: int) -> Callable[[], object]:
    targets = itertools.cycle(f"10.32.1.{count}" for count in range(1, 250))

    def one() -> None:
        server.call("POST", f"{base}/records", sent.updated([number], sent.TARGET, next(targets)))

    return one
