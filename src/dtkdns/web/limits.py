"""How much there may be at once: connections, and large bodies; and what is said where it is too much."""

from __future__ import annotations

import resource
from collections import Counter

from attrs import define, field
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dtkdns.garbage import return_memory

MOST_CONNECTIONS = 256
"""In all."""
MOST_OF_A_PEER = 32
MOST_OF_STRANGERS = 64
"""Of all peers together that may not call: they get an answer that says so, but never the last connection."""
DESCRIPTORS_KEPT = 48
"""Descriptors that connections leave for the files, pipes and sockets of dtkdns itself."""
LARGE = 1024 * 1024
"""Bytes above which a body is a large one: it takes several times its size while it is worked on."""
MOST_LARGE = 2
"""Large bodies at once, one of a peer."""
WAIT_SECONDS = 5.0
"""How long a large body waits until others are done."""


class BusyError(Exception):
    """There is no room for another large body; the message is a sentence."""


class TooLargeError(Exception):
    """A body is larger than its path takes; the message is a sentence."""


class LongUriError(Exception):
    """The first line of a request is longer than any path of ours; the message is a sentence."""


class HeadersTooLargeError(Exception):
    """The headers are larger than any request's; the message is a sentence."""


class SlowError(Exception):
    """A request did not arrive in time; the message is a sentence."""


class SlowRecordsError(Exception):
    """The same for one that carries records, or comes while dtkdns is being stopped: it is to be tried again."""


@define
class Connections:
    """The connections that are open, counted by peer."""

    _all: int = field(default=0, init=False)
    _strangers: int = field(default=0, init=False)
    _peers: Counter[str] = field(factory=Counter, init=False)

    def __len__(self) -> int:
        return self._all

    def take(self, peer: str, *, stranger: bool) -> bool:
        """Count one more; whether there is room for it. Where there is none, nothing is counted."""
        if (
            self._all >= min(MOST_CONNECTIONS, _descriptors() - DESCRIPTORS_KEPT)
            or self._peers[peer] >= MOST_OF_A_PEER
            or (stranger and self._strangers >= MOST_OF_STRANGERS)
        ):
            return False
        self._all += 1
        self._strangers += stranger
        self._peers[peer] += 1
        return True

    def release(self, peer: str, *, stranger: bool) -> None:
        """Count one less."""
        self._all -= 1
        self._strangers -= stranger
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS + DESCRIPTORS_KEPT if soft == resource.RLIM_INFINITY else soft


@define
class LargeBodies:
    """The large bodies that are taken in or worked on."""

    _clock: IReactorTime
    _peers: set[str] = field(factory=set, init=False)
    _waiting: list[tuple[str, Deferred[None]]] = field(factory=list, init=False)

    async def take(self, peer: str) -> None:
        """Wait until there is room for one of this peer; it is then taken, and given back by `release`.

        Raises `BusyError` when there is none in time.
        """
        if self._room(peer):
            self._peers.add(peer)
            return
        turn: Deferred[None] = Deferred()
        entry = peer, turn
        self._waiting.append(entry)
        turn.addTimeout(WAIT_SECONDS, self._clock)
        try:
            await turn
        except defer.TimeoutError:
            raise BusyError("Other large bodies are being worked on: try again.") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def release(self, peer: str) -> None:
        """One of this peer is done with: its memory goes back, and whoever waited first, and may, comes next."""
        return_memory()
        self._peers.discard(peer)
        for entry in self._waiting:
            following, turn = entry
            if self._room(following):
                self._waiting.remove(entry)
                self._peers.add(following)
                turn.callback(None)
                return

    def _room(self, peer: str) -> bool:
        return len(self._peers) < MOST_LARGE and peer not in self._peers
