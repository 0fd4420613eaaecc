"""Twenty peers that misuse HTTP, each from an address and in a way of its own.

`python hostile.py PORT` keeps one connection of each open, and makes a new one when it is over, until its standard
input ends. It then says in JSON, by way, how many connections it made and which answers came.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

from attrs import define, field

MEDIA_TYPE = b"Content-Type: application/external.dns.webhook+json;version=1"
HARM = json.dumps(
    {"create": [{"dnsName": "hostile.dtk.io", "recordType": "A", "targets": ["10.6.6.6"]}]},
).encode()
"""Must never be applied: the peer whose records these are would see it."""


def head(call: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([call + b" HTTP/1.1", b"Host: 127.0.0.1", *lines, b"", b""])


def post(path: bytes, body: bytes, *lines: bytes) -> bytes:
    return head(b"POST " + path, b"Content-Length: %d" % len(body), *lines) + body


ALL_RECORDS = head(b"GET /records")


@define
class Peer:
    """One address, with one connection at a time."""

    address: str
    port: int
    made: int = 0
    cut: int = 0
    """How many of its connections ended under it."""
    answers: Counter[str] = field(factory=Counter)
    connection: socket.socket = field(init=False)

    def misuse(self, way: Callable[[Peer], None]) -> None:
        """One connection after the other, each until it is over or cut."""
        while True:
            try:
                self.connection = socket.create_connection(
                    ("127.0.0.1", self.port), timeout=60, source_address=(self.address, 0)
                )
                with self.connection:
                    self.made += 1
                    way(self)
            except OSError:
                self.cut += 1
            time.sleep(random.uniform(0, 0.1))

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def listen(self, seconds: float = 1e9) -> None:
        """Take answers for this long, or until it is cut."""
        until = time.monotonic() + seconds
        self.connection.settimeout(0.05)
        while time.monotonic() < until:
            try:
                data = self.connection.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise ConnectionError("The service closed it.")
            self.answers.update(code.decode() for code in re.findall(rb"HTTP/1\.1 (\d{3})", data))
        self.connection.settimeout(60)

    def say(self, data: bytes) -> None:
        """Something to which one answer is due."""
        self.send(data)
        self.listen(random.uniform(0.1, 0.5))


def slow_headers(peer: Peer) -> None:
    peer.send(ALL_RECORDS[:-4] + b"\r\nX: ")
    while True:
        peer.send(b"x")
        peer.listen(1)


def slow_body(peer: Peer) -> None:
    peer.send(head(b"POST /records", MEDIA_TYPE, b"Content-Length: 1000000"))
    while True:
        peer.send(b" ")
        peer.listen(1)


def endless_chunks(peer: Peer) -> None:
    path = random.choice([b"/records", b"/adjustendpoints", b"/domains"])
    peer.send(head(b"POST " + path, MEDIA_TYPE, b"Transfer-Encoding: chunked"))
    while True:
        peer.send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        peer.listen(0.001)


def broken_chunks(peer: Peer) -> None:
    size = random.choice([b"-1", b"zz", b"", b"0x5", b"+5", b"f" * 100])
    peer.say(head(b"POST /records", MEDIA_TYPE, b"Transfer-Encoding: chunked") + size + b"\r\n" + HARM + b"\r\n")


def huge_header(peer: Peer) -> None:
    huge = random.choice([b"X: " + b"x" * 1000000, b"\r\n".join([b"X-%d: x" % n for n in range(10000)])])
    peer.say(post(b"/records", HARM, MEDIA_TYPE, huge))


def long_path(peer: Peer) -> None:
    peer.say(head(b"GET /" + b"a/" * random.choice([2000, 8000, 100000])))


def oversized_body(peer: Peer) -> None:
    peer.send(head(b"POST /records", MEDIA_TYPE, b"Content-Length: 1000000000000"))
    peer.say(HARM + b" " * 1000000)


def garbage(peer: Peer) -> None:
    peer.say(random.randbytes(random.randrange(1, 20000)) + random.choice([b"", b"\r\n\r\n"]))


def tls(peer: Peer) -> None:
    peer.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(501))


def half_open(peer: Peer) -> None:
    whole = post(b"/records", HARM, MEDIA_TYPE)
    peer.send(whole[: random.randrange(len(whole))])
    peer.connection.shutdown(socket.SHUT_WR)
    peer.listen(random.uniform(0, 2))


def pipelining(peer: Peer) -> None:
    peer.send(ALL_RECORDS * 100)
    peer.listen(1)


def never_reading(peer: Peer) -> None:
    peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connection.settimeout(5)
    for _ in range(1000):
        peer.send(ALL_RECORDS * 100)
        time.sleep(0.1)


def reset(peer: Peer) -> None:
    """Go away with an RST: in the request, or while it is answered."""
    whole = random.choice([post(b"/records", HARM, MEDIA_TYPE), ALL_RECORDS, ALL_RECORDS * 50])
    peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.send(whole[: random.randrange(len(whole))])
    time.sleep(random.choice([0, random.uniform(0, 0.1)]))


def idle(peer: Peer) -> None:
    peer.listen()


def wrong_media_type(peer: Peer) -> None:
    peer.say(post(b"/records", HARM, b"Content-Type: text/plain"))


def foreign_origin(peer: Peer) -> None:
    peer.say(post(b"/records", HARM, MEDIA_TYPE, b"Origin: http://elsewhere.example.com"))


def two_hosts(peer: Peer) -> None:
    request = post(b"/records", HARM, MEDIA_TYPE)
    host, other = b"Host: 127.0.0.1", b"Host: elsewhere.example.com"
    peer.say(request.replace(host, b"\r\n".join(random.sample([host, other], 2))))


def bad_json(peer: Peer) -> None:
    bad = random.choice([HARM[:-1], HARM + b"]", HARM.replace(b'"', b"'"), b"\xff" + HARM, b"null", b"", b"NaN"])
    peer.say(post(random.choice([b"/records", b"/adjustendpoints"]), bad, MEDIA_TYPE))


def deep_json(peer: Peer) -> None:
    deep = random.choice([b"[", b'{"a":', b'[{"create":']) * random.choice([1000, 100000, 1000000])
    peer.say(post(random.choice([b"/records", b"/adjustendpoints"]), deep, MEDIA_TYPE))


def two_lengths(peer: Peer) -> None:
    """Chunks beside a length: a second request that only one of the two ways to read it sees."""
    hidden = b"0\r\n\r\n" + post(b"/records", HARM, MEDIA_TYPE)
    lines = [MEDIA_TYPE, b"Transfer-Encoding: chunked"]
    peer.say(post(b"/adjustendpoints", hidden, *random.sample(lines, len(lines))))


WAYS: list[Callable[[Peer], None]] = [
    slow_headers,
    slow_body,
    endless_chunks,
    broken_chunks,
    huge_header,
    long_path,
    oversized_body,
    garbage,
    tls,
    half_open,
    pipelining,
    never_reading,
    reset,
    idle,
    wrong_media_type,
    foreign_origin,
    two_hosts,
    bad_json,
    deep_json,
    two_lengths,
]


def end(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A peer that ends by a mistake of its own ends all of them."""
    if error is not None:
        sys.__excepthook__(kind, error, trace)
    os._exit(1)


def main(port: str) -> None:
    threading.excepthook = lambda raised: end(raised.exc_type, raised.exc_value or None, raised.exc_traceback)
    peers = {way.__name__: Peer(f"127.0.0.{at}", int(port)) for at, way in enumerate(WAYS, start=2)}
    for way in WAYS:
        threading.Thread(target=peers[way.__name__].misuse, args=[way], daemon=True).start()
    sys.stdin.read()
    done: dict[str, Any] = {
        way: {"connections": peer.made, "cut": peer.cut, "answers": dict(sorted(peer.answers.items()))}
        for way, peer in peers.items()
    }
    print(json.dumps(done), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
