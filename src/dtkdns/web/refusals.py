"""What was refused, said in the log: once a minute for each peer and reason."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

SILENCE_SECONDS = 60.0
"""How long the same refusal is not said again."""
MOST_REMEMBERED = 1000
"""Refusals that are remembered; while there are more, further ones are not said."""


class Refusals:
    """external-dns ends itself when it is refused, and does not say why: the log of dtkdns has to."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def note(self, peer: str, reason: str, what: str, sentence: str) -> None:
        """Say that a peer's request (`what`, of the peer's making) is refused, and the remedy."""
        now = self._clock.seconds()
        if len(self._said) >= MOST_REMEMBERED:
            self._said = {key: when for key, when in self._said.items() if now - when < SILENCE_SECONDS}
        key = peer, reason
        if now - self._said.get(key, -SILENCE_SECONDS) < SILENCE_SECONDS or len(self._said) >= MOST_REMEMBERED:
            return
        self._said[key] = now
        self._log.warn(
            "Refused {peer}, {what}: {sentence}", peer=peer, what=ascii(what[:100])[1:-1], sentence=sentence
        )
