"""`python -m dtkdns.smoke http://HOST:5000`."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command; until it handles signals itself, nothing was created and Ctrl-C just ends it."""
    signal.signal(signal.SIGINT, lambda *_signal: os._exit(130))
    from dtkdns.smoke.command import smoke  # noqa: PLC0415 (it takes a moment, in which Ctrl-C may come)

    smoke(prog_name="python -m dtkdns.smoke")


if __name__ == "__main__":
    main()
