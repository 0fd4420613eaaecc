"""Where the dtkdns of this machine is called."""

from __future__ import annotations

import os
from pathlib import Path

from dtkdns.state import StateDirectory, default_path

DEFAULT_URL = "http://127.0.0.1:5000"


def local_url() -> str:
    """What stands in the state directory, one's own or root's; without one the default."""
    for user_id in (os.geteuid(), 0):
        state = StateDirectory(default_path(os.environ, user_id))
        try:
            url = Path(state.url).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if url:
            return url
    return DEFAULT_URL
