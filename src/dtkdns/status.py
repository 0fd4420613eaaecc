"""What is true now, as values: faces and provider report it, and who shows it to people reads it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class HostsStatus:
    """How the hosts file's block stands."""

    way: str = ""
    """How it was last written: `rename`, or `in place` with the reason; empty before the first time."""
    written: float | None = None
    """When it was last known to hold what it should (POSIX seconds)."""
    failing: str = ""
    """Why it does not hold what it should, as a sentence; empty when it does."""
    held: bool = False
    """Whether it is left alone until external-dns has sent its records again."""
    shadowed: Mapping[str, str] = field(factory=dict)
    """Names left out because a line of the user's own gives them the addresses that stand here."""
