"""What is asked of a DNS server on `lo`, as seen on the wire: whoever answers, and whether anybody does."""

from __future__ import annotations

import socket
from contextlib import suppress

import dns.exception
import dns.message
from attrs import define

from box import within

EVERY_PROTOCOL = 3  # ETH_P_ALL of linux/if_ether.h
TO_US = 0  # PACKET_HOST of linux/if_packet.h; on `lo` every packet is seen going out as well


@define
class Wire:
    """The questions to a port, since the last look."""

    _socket: socket.socket
    _port: int

    @classmethod
    def of(cls, process: int, port: int) -> Wire:
        """Listen in the network namespace of a process."""
        return cls(within(process, _open), port)

    def asked(self) -> list[str]:
        """Names without their last dot, in the order in which they were asked for."""
        found = []
        with suppress(BlockingIOError):
            while True:
                packet, (_, _, kind, *_) = self._socket.recvfrom(65535)
                if kind == TO_US and (name := self._question(packet)) is not None:
                    found.append(name)
        return found

    def close(self) -> None:
        self._socket.close()

    def _question(self, packet: bytes) -> str | None:
        if packet[0] >> 4 != 4:
            return None
        protocol, transport = packet[9], packet[(packet[0] & 15) * 4 :]
        if int.from_bytes(transport[2:4]) != self._port:
            return None
        message = transport[8:] if protocol == socket.IPPROTO_UDP else transport[(transport[12] >> 4) * 4 + 2 :]
        try:
            return dns.message.from_wire(message).question[0].name.to_text(omit_final_dot=True).lower()
        except (dns.exception.DNSException, IndexError):
            return None  # part of a TCP connection without a message in it


def _open() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERY_PROTOCOL))
    made.bind(("lo", EVERY_PROTOCOL))
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    return made
