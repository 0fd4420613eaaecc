"""Message in, message out; replies are kept in their bytes for as long as they are true."""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.names import dns

from dtkdns.dns.answers import DS, FAILED, Answer, answer
from dtkdns.dns.query import HEADER, RESPONSE, Query, QueryError, SilenceError, parse_query
from dtkdns.dns.zone import Zone
from dtkdns.projection import Projection
from dtkdns.rdata import CAA
from dtkdns.slices import Steps, at_once

DATAGRAM = 1232
"""Octets of the largest reply by UDP, which no network takes apart (DNS flag day 2020)."""
PLAIN_DATAGRAM = 512
"""The same for who does not say how much it takes (RFC 1035, section 2.3.4)."""
STREAM = 65535
MOST_KEPT = 32 * 1024 * 1024
"""Bytes that kept replies may take; when there are more, all go."""
MANY_CHANGED = 10_000
"""Names that change at once for which it is quicker to forget all replies than those of each."""
_ENTRY = 300
"""Bytes that an entry takes beside question and reply."""
BADVERS = 16
"""RFC 6891, section 9."""
TYPES = {**dns.QUERY_TYPES, DS: "DS", 64: "SVCB", 65: "HTTPS", dns.ALL_RECORDS: "ANY", CAA: "CAA"}
_REACHED = 2**14
"""Octets of a message that a pointer can lead to (RFC 1035, section 4.1.4)."""
_RCODES = {
    dns.OK: "NOERROR",
    dns.EFORMAT: "FORMERR",
    dns.ESERVER: "SERVFAIL",
    dns.ENAME: "NXDOMAIN",
    dns.ENOTIMP: "NOTIMP",
    dns.EREFUSED: "REFUSED",
    BADVERS: "BADVERS",
}


@define
class Tally:
    """How many replies of one type and response code there were."""

    record_type: int
    rcode: int
    fresh: int = 0
    """Those that had to be made."""
    kept: int = 0
    """Those that were kept from before."""

    @property
    def type_name(self) -> str:
        """As in zone files; `other` for what has no name there, and for what asked no question."""
        return TYPES.get(self.record_type, "other")

    @property
    def rcode_name(self) -> str:
        """As IANA's registry of DNS parameters has it."""
        return _RCODES[self.rcode]


@define
class Replies:
    """Answers messages from a zone."""

    _clock: IReactorTime
    zone: Zone = field(factory=Zone, init=False)
    tallies: dict[tuple[int, int], Tally] = field(factory=dict, init=False)
    _kept: dict[bytes, tuple[bytes, Tally]] = field(factory=dict, init=False)
    """A message without its id, to the reply without its id."""
    _of_name: dict[str, list[bytes]] = field(factory=dict, init=False)
    """Name to the messages whose replies are true as long as the name has what it has."""
    _of_moment: list[bytes] = field(factory=list, init=False)
    """The messages whose replies hold until anything changes."""
    _size: int = field(default=0, init=False)

    def update(self, projection: Projection, changed: Collection[str], *, held: bool) -> None:
        """Answer from this projection, which differs from the last one in these names."""
        at_once(self.updating(projection, changed, held=held))

    def updating(self, projection: Projection, changed: Collection[str], *, held: bool) -> Steps[None]:
        """`update` in steps, the last of which does it: until then the answers are those from before."""
        difference = yield from self.zone.comparing(projection, changed)
        more = self.zone.take(difference, self._clock.seconds())
        if more or len(changed) > MANY_CHANGED:
            self._forget_all()
        self.zone.held = held
        for message in self._of_moment:
            self._forget(message)
        self._of_moment.clear()
        for name in changed if self._of_name else ():
            for message in self._of_name.pop(name, ()):
                self._forget(message)

    def by_datagram(self, message: bytes) -> bytes | None:
        """The reply to a datagram; None where there is to be none."""
        kept = self._kept.get(message[2:])
        if kept is not None:
            reply, tally = kept
            tally.kept += 1
            return message[:2] + reply
        return self._reply(message, stream=False)

    def by_stream(self, message: bytes) -> bytes | None:
        """The reply to a message that came over a connection; None where there is to be none."""
        return self._reply(message, stream=True)

    def _reply(self, message: bytes, *, stream: bool) -> bytes | None:
        try:
            query = parse_query(message)
        except SilenceError:
            return None
        except QueryError as error:
            self._tally(0, error.rcode).fresh += 1
            return _bare_reply(message, error.rcode)
        if query.edns is not None and query.edns.version > 0:
            found = Answer(BADVERS, authoritative=False)
        else:
            found = answer(self.zone, query)
        reply = _encode(query, found, STREAM if stream else _most(query))
        if not reply:
            found = FAILED if stream else evolve(found, answers=(), authority=(), additional=(), truncated=True)
            reply = _encode(query, found)
        tally = self._tally(query.record_type, found.rcode)
        tally.fresh += 1
        if not stream and not query.has_options:
            self._keep(query, found, message[2:], reply[2:], tally)
        return reply

    def _keep(self, query: Query, found: Answer, message: bytes, reply: bytes, tally: Tally) -> None:
        size = len(message) + len(reply) + _ENTRY
        if self._size + size > MOST_KEPT:
            self._forget_all()
        self._size += size
        self._kept[message] = reply, tally
        if found.own:
            self._of_name.setdefault(query.name, []).append(message)
        else:
            self._of_moment.append(message)

    def _forget(self, message: bytes) -> None:
        reply, _ = self._kept.pop(message)
        self._size -= len(message) + len(reply) + _ENTRY

    def _forget_all(self) -> None:
        self._kept.clear()
        self._of_name.clear()
        self._of_moment.clear()
        self._size = 0

    def _tally(self, record_type: int, rcode: int) -> Tally:
        """Types that nobody has a word for are counted together, so that nobody can make any number."""
        known = record_type if record_type in TYPES else 0
        return self.tallies.setdefault((known, rcode), Tally(known, rcode))


def _most(query: Query) -> int:
    """Octets that may be sent in one datagram (RFC 6891, section 6.2.3)."""
    return PLAIN_DATAGRAM if query.edns is None else min(max(query.edns.size, PLAIN_DATAGRAM), DATAGRAM)


class _Pointers(dict[bytes, int]):
    """Where names stand, as far as pointers reach; twisted.names goes on, and points anywhere then."""

    def __setitem__(self, name: bytes, at: int) -> None:
        if at < _REACHED:
            super().__setitem__(name, at)


def _encode(query: Query, found: Answer, most: int = STREAM) -> bytes:
    """The reply in at most so many octets; empty where it has more."""
    body = BytesIO()
    pointers = _Pointers()
    dns.Query(query.spelled, query.record_type, query.record_class).encode(body, pointers)
    additional = found.additional
    if query.edns is not None:
        flags = found.rcode >> 4 << 24 | query.edns.wants_dnssec << 15
        opt = dns.RRHeader(type=dns.OPT, cls=DATAGRAM, ttl=flags, payload=dns.UnknownRecord(b""))
        additional = (*additional, opt)
    for record in (*found.answers, *found.authority, *additional):
        record.encode(body, pointers)
        if HEADER.size + body.tell() > most:
            return b""
    header = HEADER.pack(
        query.message_id,
        RESPONSE | found.authoritative << 2 | found.truncated << 1 | query.recursion_desired,
        query.checking_disabled << 4 | found.rcode & 0xF,
        *(1, len(found.answers), len(found.authority), len(additional)),
    )
    return bytes(header + query.question + body.getvalue()[len(query.question) :])


def _bare_reply(message: bytes, rcode: int) -> bytes:
    """A header and nothing behind it, with the operation and the wish for recursion as they came."""
    message_id, flags, *_ = HEADER.unpack_from(message)
    return HEADER.pack(message_id, RESPONSE | flags & 0x79, rcode, 0, 0, 0, 0)
