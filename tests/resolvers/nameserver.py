"""A DNS server for the tests, in a network of one's choice; it remembers every question."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from attrs import define, field

from box import within

Records = Mapping[tuple[str, str], list[str]]
"""Name without the last dot (`*` may begin it) and type, to data."""


@define
class Nameserver:
    """Answers for some zones (`""` is everything), refuses the rest."""

    zones: tuple[str, ...]
    records: Records
    ttl: int = 60
    asked: list[tuple[str, str]] = field(factory=list)
    """Names and types, in the order in which they came."""

    def names(self) -> set[str]:
        return {name for name, _ in self.asked}

    def reply(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query, recursion_available="" in self.zones)
        zone = next((z for z in self.zones if not z or name == z or name.endswith(f".{z}")), None)
        if zone is None:
            answer.set_rcode(dns.rcode.REFUSED)
            return answer.to_wire()
        if zone:
            answer.flags |= dns.flags.AA
        soa = f"ns.{zone or 'test'}. hostmaster.{zone or 'test'}. 1 5 5 5 5"
        found = self._of(name)
        data = [soa] if (name, kind) == (zone, "SOA") else found.get(kind, [])
        if data:
            answer.answer.append(dns.rrset.from_text_list(question.name, self.ttl, "IN", kind, data))
            return answer.to_wire()
        between = any(owner.endswith(f".{name}") for owner, _ in self.records)
        if not (found or between or name == zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        answer.authority.append(dns.rrset.from_text(f"{zone}.", 5, "IN", "SOA", soa))
        return answer.to_wire()

    def _of(self, name: str) -> dict[str, list[str]]:
        own = {kind: data for (owner, kind), data in self.records.items() if owner == name}
        if own:
            return own
        parent = name.partition(".")[2]
        return {kind: data for (owner, kind), data in self.records.items() if owner == f"*.{parent}"}


@contextmanager
def serving(server: Nameserver, process: int, address: str, port: int = 53) -> Iterator[Nameserver]:
    """The server while it listens in the network of a process, over UDP and TCP."""
    udp = within(process, lambda: _bound(socket.SOCK_DGRAM, address, port))
    tcp = within(process, lambda: _bound(socket.SOCK_STREAM, address, port))
    threads = [
        threading.Thread(target=_datagrams, args=(udp, server.reply)),
        threading.Thread(target=_streams, args=(tcp, server.reply)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        for one in (udp, tcp):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in threads:
            thread.join()


def _bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def _datagrams(udp: socket.socket, reply: Callable[[bytes], bytes]) -> None:
    with suppress(OSError):
        while True:
            wire, peer = udp.recvfrom(65535)
            if not wire:
                return
            udp.sendto(reply(wire), peer)


def _streams(tcp: socket.socket, reply: Callable[[bytes], bytes]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = tcp.accept()
            with connection, suppress(OSError, struct.error, dns.exception.DNSException):
                connection.settimeout(5)
                while True:
                    (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                    wire = reply(connection.recv(length, socket.MSG_WAITALL))
                    connection.sendall(struct.pack("!H", len(wire)) + wire)
