"""The recipes as the README has them, block by block."""

from __future__ import annotations

import os
import re
from pathlib import Path

README = Path(os.environ.get("DTKDNS_TEST_README") or Path(__file__).parents[2] / "README.md")


def block(marker: str) -> str:
    """The code block whose first line is a comment that says this: the path of a file, or `apply: ...`."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if text.splitlines()[0] == f"# {marker}"]
    return str(found)
