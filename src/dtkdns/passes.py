"""When each external-dns last made a pass, and last changed something."""

from __future__ import annotations

from collections.abc import Iterator

MOST_REMEMBERED = 256
"""Pairs of a cluster and a peer; the one that was silent longest goes first."""


class Passes:
    """An external-dns is told by its cluster and its peer; times are POSIX seconds."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, float | None]] = {}

    def note_pass(self, cluster: str, peer: str, now: float) -> None:
        """It asked which of its records are managed, as it does once in every pass."""
        _, changed = self._last.get((cluster, peer), (now, None))
        self._note((cluster, peer), now, changed)

    def note_change(self, cluster: str, peer: str, now: float) -> None:
        """It sent changes; this is no news where its pass is not known."""
        if (cluster, peer) in self._last:
            self._note((cluster, peer), self._last[cluster, peer][0], now)

    def _note(self, who: tuple[str, str], last: float, changed: float | None) -> None:
        self._last.pop(who, None)
        self._last[who] = last, changed
        if len(self._last) > MOST_REMEMBERED:
            del self._last[next(iter(self._last))]

    def __iter__(self) -> Iterator[tuple[str, str, float, float | None]]:
        """Cluster, peer, last pass, last change; the one that was silent longest comes first."""
        for (cluster, peer), (last, changed) in self._last.items():
            yield cluster, peer, last, changed
