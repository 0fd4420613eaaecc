"""A process that reads a hosts file again and again.

`python readers.py KIND FILE COUNT PAUSE` reads or asks until SIGTERM, with a random pause of up to PAUSE seconds.
It writes `enough` when it has done so COUNT times, and in the end, in JSON, how many of its `reads` were `bad`
(torn, or without the right answer), how many `versions` it saw, and how long the `longest` took (seconds).
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable

import changing

_MANY = 500
_STEP = 4096


def whole_read(path: str) -> bytes:
    """All of it by one read(2)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 1 << 20)
    finally:
        os.close(handle)


def steps(path: str) -> bytes:
    """As glibc reads it: 4 KiB each, through one descriptor."""
    handle = os.open(path, os.O_RDONLY)
    try:
        text = b""
        while part := os.read(handle, _STEP):
            text += part
        return text
    finally:
        os.close(handle)


def lookup(_path: str) -> bytes:
    """What the system's resolver says of names that are there throughout."""
    return b" ".join([_ask(changing.STAYS), _ask("last-line"), _ask("localhost")])


def _ask(name: str) -> bytes:
    try:
        answers = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return f"{name}: {error}".encode()
    return ",".join(str(answer[4][0]) for answer in answers).encode()


ANSWERS = b"%s 10.9.9.8 127.0.0.1" % changing.STAYS_ADDRESS.encode()
KINDS: dict[str, tuple[Callable[[str], bytes], Callable[[bytes], bool]]] = {
    "whole": (whole_read, changing.whole),
    "steps": (steps, changing.whole),
    "lookup": (lookup, lambda answers: answers == ANSWERS),
}


def main(kind: str, path: str, count: str, pause: str) -> None:
    read, good = KINDS[kind]
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    found: Counter[bytes] = Counter()
    seen = {"reads": 0, "bad": 0, "versions": 0}
    longest = 0.0
    example = b""

    def judge() -> None:
        """Look at what was read, not between two reads: that would be a pause."""
        nonlocal example
        for text, times in found.items():
            seen["versions"] += 1
            seen["reads"] += times
            if not good(text):
                seen["bad"] += times
                example = text[-300:]
        found.clear()

    reads = 0
    while not ending:
        before = time.monotonic()
        text = read(path)
        longest = max(longest, time.monotonic() - before)
        found[text] += 1
        reads += 1
        if reads == int(count):
            os.write(1, b"enough\n")
        if len(found) > _MANY:
            judge()
        if float(pause):
            time.sleep(random.uniform(0, float(pause)))
    judge()
    print(json.dumps({**seen, "longest": longest, "example": repr(example)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
