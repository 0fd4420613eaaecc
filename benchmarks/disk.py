"""What the disk alone takes: the least that any way of replacing a file durably has to do."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path) -> None:
    """Read a file, and put one of the same bytes in its place: write, fsync, rename, fsync of the directory."""
    data = path.read_bytes()
    new = path.with_name(f"{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    new.rename(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
