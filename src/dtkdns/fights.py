"""Notice two external-dns that undo each other's records.

Under policy `sync` and with one owner id, each of two external-dns on one base deletes in every pass what the
other created, for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from dtkdns.endpoint import Key

WINDOW = 600.0
"""Seconds in which the turns must happen."""
TURNS = 3
"""Deletions, each followed by a creation, that make a fight."""


class Fights:
    """Counts, for each key, how often it was deleted and then created again."""

    def __init__(self) -> None:
        self._deleted: dict[Key, list[float]] = {}
        self._told: dict[Key, float] = {}

    def note(self, put: Iterable[Key], removed: Iterable[Key], now: float) -> list[Key]:
        """Take note of one change at `now` (seconds); the keys that turn out to be fought over, each told once
        in ten minutes.
        """
        self._deleted = {k: times for k, times in self._deleted.items() if now - times[-1] <= WINDOW}
        self._told = {key: when for key, when in self._told.items() if now - when <= WINDOW}
        fought = []
        if self._deleted:
            for key in put:
                turns = [when for when in self._deleted.get(key, ()) if now - when <= WINDOW]
                if len(turns) >= TURNS and key not in self._told:
                    self._told[key] = now
                    fought.append(key)
        for key in removed:
            self._deleted[key] = [*self._deleted.get(key, ())[-TURNS:], now]
        return fought

    def going_on(self, now: float) -> list[Key]:
        """The keys that have turned out to be fought over within the window before `now` (seconds)."""
        return [key for key, when in self._told.items() if now - when <= WINDOW]
