"""What large bodies leave behind; and Python's search for cyclic garbage, put off while records are made of them.

Records hold no cycles. Searching them again and again while they come in takes as long as all other work on them,
and one search of all that a service has from its start on takes 40 ms, in which nobody is answered.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WITHOUT_SEARCH = 50
"""How often what stays, after large bodies and changes of settings, is left out before all is searched once."""

_users = 0
_stayed = 0
_staying = False
"""Whether any of the users since the last search has made what stays."""


@contextmanager
def uncollected(*, staying: bool = False) -> Iterator[None]:
    """No search meanwhile.

    With `staying`, what is there at the end is taken for what stays, and seldom searched from then on. May be held
    across awaits, by several at once.
    """
    global _users, _stayed, _staying  # noqa: PLW0603 (there is one collector)
    _users += 1
    _stayed += staying
    _staying |= staying
    gc.disable()
    try:
        yield
    finally:
        _users -= 1
        if not _users:
            if _stayed > WITHOUT_SEARCH:  # connections that were open at one of these ends are cycles by now
                _stayed = 0
                gc.unfreeze()
                gc.collect()
                _staying = True
            if _staying:
                _staying = False
                gc.freeze()
            gc.enable()


def return_memory() -> None:
    """Give what was freed back to the system, of which glibc keeps most (malloc_trim(3)); 10 ms for 150 MB."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def _find_malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library, or none that is loaded
        return None
    return found


_malloc_trim = _find_malloc_trim()
