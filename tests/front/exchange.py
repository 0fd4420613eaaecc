"""Bytes on a bare connection, and the answers that come back for them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

from attrs import evolve, frozen

SILENCE = 20
"""Seconds without a byte after which a test gives up."""
LAST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
"""A request with which a connection ends: no answer can come behind its own."""


@frozen
class Answer:
    version: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that is there once at most."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, self
        return found[0] if found else None

    @property
    def is_last(self) -> bool:
        """Whether the connection ends behind it."""
        return self.version == "HTTP/1.0" or self.header("connection") == "close"


def read_answer(stream: BufferedReader, *, bare: bool = False) -> Answer | None:
    """The next answer, without a body if it is for HEAD (`bare`); None if the connection ends instead."""
    line = stream.readline()
    if not line:
        return None
    version, status, _phrase = line.decode("ascii").split(" ", 2)
    assert version in {"HTTP/1.0", "HTTP/1.1"}, line
    headers = []
    while (field := stream.readline()) != b"\r\n":
        assert field.endswith(b"\r\n"), "the connection ends within the head of an answer"
        name, value = field.decode("latin-1").split(":", 1)
        headers.append((name.lower(), value.strip()))
    head = Answer(version, int(status), tuple(headers), b"")
    if bare or head.status < 200 or head.status == 204:
        return head
    length = int(head.header("content-length") or "")
    body = stream.read(length)
    assert len(body) == length, "the connection ends within the body of an answer"
    return evolve(head, body=body)


def read_answers(stream: BufferedReader) -> Iterator[Answer]:
    """All answers until the connection ends."""
    while (answer := read_answer(stream)) is not None:
        yield answer


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A connection from an address of the loopback network."""
    return socket.create_connection(("127.0.0.1", port), timeout=SILENCE, source_address=(address, 0))


@contextmanager
def connected(port: int, address: str = "127.0.0.1") -> Iterator[tuple[socket.socket, BufferedReader]]:
    """A connection, and what comes over it."""
    with connect(port, address) as connection, connection.makefile("rb") as stream:
        yield connection, stream


def answers_to(port: int, sent: bytes, *, bare: bool = False) -> list[Answer]:
    """Every answer to these bytes: `LAST` follows them when a first answer has come and the connection goes on."""
    with connected(port) as (connection, stream):
        connection.sendall(sent)
        found = []
        while answer := read_answer(stream, bare=bare):
            found.append(answer)
            if answer.status >= 200:
                break
        if found and not found[-1].is_last:
            connection.sendall(LAST)
        return [*found, *read_answers(stream)]


def answers_before_leaving(port: int, sent: bytes) -> list[Answer]:
    """Every answer to these bytes, of which the client has said that no more follow."""
    with connected(port) as (connection, stream):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return list(read_answers(stream))


def reset(connection: socket.socket) -> None:
    """Close a connection so that the peer sees it reset (socket(7), SO_LINGER)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
