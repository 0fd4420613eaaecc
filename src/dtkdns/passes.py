"""When each external-dns made its passes, and last changed something."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, frozen

MOST_REMEMBERED = 256
"""Pairs of a cluster and a peer; the one that was silent longest goes first."""
GAPS = 16
"""How many of the latest gaps between passes are remembered."""
SAME_PASS_SECONDS = 0.5
"""Calls that come so soon after the first one of a pass belong to it."""


@frozen
class Seen:
    """One external-dns, told by its cluster and its peer; times are POSIX seconds."""

    cluster: str
    peer: str
    last: float
    """Its last pass."""
    changed: float | None = None
    """Its last change; None where it has made none."""
    gaps: tuple[float, ...] = ()
    """Seconds between its latest passes."""

    @property
    def interval(self) -> float | None:
        """Seconds between its passes as seen lately; None until two were seen.

        Of three gaps and more the longest but one: neither do passes that follow changes at once make it short,
        nor does one outage make it long.
        """
        longest = sorted(self.gaps)
        return longest[-2] if len(longest) > 2 else max(longest, default=None)


class Passes:
    """The external-dns that have called."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Seen] = {}

    def note_pass(self, cluster: str, peer: str, now: float) -> None:
        """It asked which of its records are managed, as it does once in every pass."""
        seen = self._seen.get((cluster, peer))
        if seen is None:
            self._note(Seen(cluster, peer, now))
            return
        gap = now - seen.last
        if gap >= SAME_PASS_SECONDS:
            seen = evolve(seen, last=now, gaps=(*seen.gaps, gap)[-GAPS:])
        elif gap < 0:  # the clock was set back
            seen = evolve(seen, last=now)
        self._note(seen)

    def note_change(self, cluster: str, peer: str, now: float) -> None:
        """It sent changes; this is no news where its pass is not known."""
        seen = self._seen.get((cluster, peer))
        if seen is not None:
            self._note(evolve(seen, changed=now))

    def _note(self, seen: Seen) -> None:
        who = seen.cluster, seen.peer
        self._seen.pop(who, None)
        self._seen[who] = seen
        if len(self._seen) > MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def __iter__(self) -> Iterator[Seen]:
        """The one that was silent longest comes first."""
        yield from self._seen.values()
