"""Python's search for cyclic garbage, put off while records are made by the hundred thousand.

Records hold no cycles. Searching them again and again while they come in takes as long as all other work on them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_users = 0


@contextmanager
def uncollected() -> Iterator[None]:
    """No search meanwhile; what is there at the end is taken for what stays, and never searched.

    May be held across awaits, by several at once.
    """
    global _users  # noqa: PLW0603 (there is one collector)
    _users += 1
    gc.disable()
    try:
        yield
    finally:
        _users -= 1
        if not _users:
            gc.freeze()
            gc.enable()
