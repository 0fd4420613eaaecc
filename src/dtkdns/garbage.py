"""What large bodies leave behind; and Python's search for cyclic garbage, put off while records are made of them.

Records hold no cycles. Searching them again and again while they come in takes as long as all other work on them,
and one search of all that a service has from its start on takes 40 ms, in which nobody is answered.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

WITHOUT_SEARCH = 50
"""How often what stays may be left out of every search before all is searched once."""

_return_memory = getattr(ctypes.CDLL(None), "malloc_trim", lambda _kept: 0)
"""glibc keeps most of what is freed, a tenth of all here, until it is told otherwise (malloc_trim(3))."""

_users = 0
_stayed = 0


@contextmanager
def uncollected(*, staying: bool = False) -> Iterator[None]:
    """No search meanwhile; at the end what was freed goes back to the system, which takes a millisecond or two.

    With `staying`, what is there at the end is taken for what stays, and seldom searched from then on. May be held
    across awaits, by several at once.
    """
    global _users, _stayed  # noqa: PLW0603 (there is one collector)
    _users += 1
    _stayed += staying
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
            if staying:
                gc.freeze()
            gc.enable()
            _return_memory(0)
