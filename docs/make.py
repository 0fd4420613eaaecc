"""Writes what is made from the program: the manual page, and pictures of its screens.

`python docs/make.py`, after every change of the command line, of the service's options or of a screen.
"""

from __future__ import annotations

from pathlib import Path

from dtkdns.cli import status, why
from examples import NOW, PICTURED, SHADOWED
from manual import manual
from pictures import picture

DOCS = Path(__file__).parent


def pages() -> dict[str, str]:
    """Each file, and the text that it should have."""
    changes = (DOCS.parent / "CHANGELOG.md").read_text("utf-8")
    url = "http://127.0.0.1:5000"
    return {
        "dtkdns.1": manual(changes),
        "status.svg": picture("dtkdns status", status.screen(PICTURED, url, NOW)),
        "why.svg": picture("dtkdns why foo.dtk.io", why.screen(SHADOWED)),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, "utf-8")
