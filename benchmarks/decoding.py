"""The body of a load decoded: checked and copied, as dtkdns keeps it, beside decoding and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks import sent
from benchmarks.measures import Found, Measure
from benchmarks.timing import in_turn, rounds
from dtkdns.garbage import uncollected
from dtkdns.wire import decode_changes

WHAT = "a load decoded and checked"
LIBRARY = Measure("decode-json", WHAT, "json.loads")
MSGSPEC = Measure("decode-msgspec", WHAT, "msgspec.json.decode")


def measure(size: int, _directory: Path, _seconds: float) -> Iterator[Found]:
    """All in this process."""
    body = sent.created(range(size))
    works = (lambda: decode_changes(body), lambda: json.loads(body), lambda: msgspec.json.decode(body))
    with uncollected():  # as the service does it, and fair to all
        own, library, plain = in_turn(rounds(size), *works)
    yield Found(LIBRARY, own, library)
    yield Found(MSGSPEC, own, plain)
