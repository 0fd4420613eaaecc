"""Questions as dnspython makes them, and what it reads in the replies."""

from __future__ import annotations

from collections.abc import Iterable

import dns.flags
import dns.message
import dns.name
from twisted.internet.task import Clock

from dns_model import Record, names_in, projection_of
from dtkdns.dns.replies import Replies
from dtkdns.projection import Projection

ID = 0x4B1D


def packet(
    name: str | dns.name.Name,
    record_type: str = "A",
    *,
    record_class: str = "IN",
    edns: int | None = None,
    dnssec: bool = False,
    flags: int = dns.flags.RD,
    message_id: int = ID,
) -> bytes:
    """A question; `edns` is the size that it says it takes."""
    message = dns.message.make_query(name, record_type, record_class, flags=flags, id=message_id)
    if edns is not None:
        message.use_edns(0, dns.flags.DO if dnssec else 0, payload=edns)
    return message.to_wire()


def replies_for(projection: Projection, *, held: bool = False, now: float = 1000.0) -> Replies:
    """Answers from one projection, whose serial is `now`."""
    clock = Clock()
    clock.advance(now)
    replies = Replies(clock)
    replies.update(projection, sorted(names_in(projection)), held=held)
    return replies


def zone(*records: tuple[str, str, str], domains: Iterable[str] = ("dtk.io",)) -> Projection:
    """A projection of owner, type and data."""
    return projection_of(domains, [Record(*one) for one in records])


def reply(replies: Replies, message: bytes, *, stream: bool = False) -> dns.message.Message:
    """What comes back, read by another library; one from the store of kept replies must be the same again."""
    if stream:
        found = replies.by_stream(message)
    else:
        found = replies.by_datagram(message)
        assert replies.by_datagram(message) == found
    assert found is not None
    parsed = dns.message.from_wire(found)
    assert parsed.flags & dns.flags.QR
    assert found[:2] == message[:2]
    return parsed


def ask(
    replies: Replies, name: str | dns.name.Name, record_type: str = "A", record_class: str = "IN"
) -> dns.message.Message:
    return reply(replies, packet(name, record_type, record_class=record_class))
