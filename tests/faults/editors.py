"""Other programs that edit a hosts file, each adding one line after the other in its own way.

`python editors.py WAY FILE COUNT` makes that many edits, as fast as its way allows.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def line(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255} foreign-{number}"


def append(path: Path, number: int) -> None:
    """`>>` of a shell."""
    with path.open("a") as file:
        file.write(line(number) + "\n")


def wait_and_append(path: Path, number: int) -> None:
    """A program that has the file open for a while before it writes."""
    with path.open("a") as file:
        time.sleep(random.uniform(0, 0.01))
        file.write(line(number) + "\n")


def sed(path: Path, number: int) -> None:
    """A copy that is renamed over the file, by the real sed(1)."""
    subprocess.run(["sed", "-i", f"$ a {line(number)}", str(path)], check=True)


def rename(path: Path, number: int) -> None:
    """A tool like ours."""
    text = path.read_bytes()
    new = path.with_name("hosts.of-another-tool")
    new.write_bytes(text + line(number).encode() + b"\n")
    new.rename(path)


def truncate(path: Path, number: int) -> None:
    """Read it all, empty the file, write it all: what most tools do."""
    text = path.read_bytes()
    time.sleep(random.uniform(0, 0.002))
    with path.open("wb") as file:
        time.sleep(random.uniform(0, 0.002))
        file.write(text + line(number).encode() + b"\n")


def vim(path: Path, number: int) -> None:
    """The real editor; it refuses to write a file that changed since it was read, and a person tries again."""
    log = path.with_name("vim.log")
    put = f"$put ='{line(number)}'"
    quiet = ["-es", "-u", "NONE", "-i", "NONE", "-n", "--cmd", "set encoding=latin1"]
    while True:
        log.unlink(missing_ok=True)
        verbose = ["--cmd", f"set verbosefile={log} verbose=1"]
        command = ["vim", *quiet, *verbose, "-c", put, "-c", "wq!", str(path)]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if "written" in log.read_text("latin-1"):
            return


def rewrite(path: Path, number: int) -> None:
    """One line, put in the place of an older one with another address."""
    text = path.read_bytes()
    kept = [one + b"\n" for one in text.split(b"\n")[:-1] if not one.endswith(b" rewritten")]
    new = path.with_name("hosts.of-another-tool")
    new.write_bytes(b"".join(kept) + f"{line(number).split()[0]} rewritten\n".encode())
    new.rename(path)


WAYS: dict[str, Callable[[Path, int], None]] = {
    "append": append,
    "wait-and-append": wait_and_append,
    "sed": sed,
    "rename": rename,
    "truncate": truncate,
    "vim": vim,
    "rewrite": rewrite,
}


def main(way: str, path: str, count: str) -> None:
    edit = WAYS[way]
    for number in range(int(count)):
        edit(Path(path), number)
        if way in {"append", "rename", "rewrite", "truncate"}:
            time.sleep(random.uniform(0, 0.003))


if __name__ == "__main__":
    main(*sys.argv[1:])
