"""Changes to this machine: shown, asked for, and made in their order."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
import msgspec
from attrs import frozen

from dtkdns.cli.client import confirm, plain, print_json
from dtkdns.smoke.report import FaultError

ASK_SECONDS = 20.0
"""How long a command may take that only looks."""
MAKE_SECONDS = 180.0
"""How long one that changes something may take: systemctl waits until a service is ready."""


@frozen
class Write:
    """A file with this text, replaced whole."""

    path: str
    text: str
    mode: int = 0o644

    def needed(self) -> bool:
        return _read(self.path) != self.text

    def shown(self) -> str:
        old = _read(self.path)
        if old is None:
            return f"write {self.path}:\n\n{_indented(self.text.splitlines())}"
        lines = list(difflib.unified_diff(old.splitlines(), self.text.splitlines(), lineterm="", n=1))
        return f"change {self.path}:\n\n{_indented(lines[2:])}"

    def make(self) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        temporary = f"{self.path}.dtkdns-new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(self.text)
            os.fchmod(file.fileno(), self.mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)


@frozen
class Link:
    """A symbolic link; what is already there and is no link stays."""

    path: str
    target: str

    def needed(self) -> bool:
        return not os.path.lexists(self.path) or (
            os.path.islink(self.path) and os.readlink(self.path) != self.target
        )

    def shown(self) -> str:
        return f"link {self.path} to {self.target}"

    def make(self) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        temporary = f"{self.path}.dtkdns-new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        os.symlink(self.target, temporary)
        os.replace(temporary, self.path)


@frozen
class Remove:
    """A file that is to go."""

    path: str

    def needed(self) -> bool:
        return os.path.lexists(self.path)

    def shown(self) -> str:
        return f"remove {self.path}"

    def make(self) -> None:
        os.unlink(self.path)


@frozen
class Run:
    """A command, and whether it is needed."""

    command: tuple[str, ...]
    when: Callable[[], bool] | None = None
    """Whether it is needed; without it, when any other step is."""

    def needed(self) -> bool:
        return self.when is not None and self.when()

    def shown(self) -> str:
        return f"run {shlex.join(self.command)}"

    def make(self) -> None:
        done = run(self.command, MAKE_SECONDS)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split()) or f"exit status {done.returncode}"
            raise OSError(0, said)


@frozen
class Call:
    """Something else that is done, with how it is said."""

    words: str
    do: Callable[[], object]

    def needed(self) -> bool:
        return True

    def shown(self) -> str:
        return self.words

    def make(self) -> None:
        self.do()


Step = Write | Link | Remove | Run | Call


class Outcome(msgspec.Struct, frozen=True):
    """What became of a plan, as `--json` prints it."""

    done: bool
    """Whether all is now as it should be."""
    steps: list[str]
    """What was to be done, the first line of each."""
    left: list[str] = []
    """What is left for the person to do, as sentences."""


def run(command: Sequence[str], seconds: float = ASK_SECONDS) -> subprocess.CompletedProcess[str]:
    """A command with its output.

    Its exit status is 127 where there is no such program, 124 where it does not end in time.
    """
    environment = os.environ | {"LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        return subprocess.run(  # noqa: S603 (commands of ours)
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]} did not end within {seconds:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")


def needed(steps: Iterable[Step]) -> list[Step]:
    """The steps that change something; commands without a condition of their own go with any other step."""
    found = [(step, step.needed()) for step in steps]
    some = any(there for _, there in found)
    return [step for step, there in found if there or (some and isinstance(step, Run) and step.when is None)]


def text(steps: Iterable[Step]) -> str:
    """The steps for a person to read."""
    return plain_lines("\n".join(f"- {step.shown()}" for step in steps))


def described(steps: Iterable[Step]) -> list[str]:
    """The steps for a program, the first line of each; to be asked for before they are taken."""
    return [plain(step.shown().partition("\n")[0].removesuffix(":")) for step in steps]


def agreed(steps: Sequence[Step], heading: str, nothing: str, *, yes: bool, as_json: bool) -> bool:
    """Show the steps, or say that there are none, and ask whether to take them.

    With `as_json` nothing is shown, and it is only for `yes` to say. Raises `click.Abort`.
    """
    if not as_json:
        click.echo(f"{heading}\n\n{text(steps)}\n" if steps else nothing)
    return yes or not steps or (not as_json and confirm("Do it?"))


def declined(steps: list[str], *, as_json: bool) -> int:
    """Say that none of these steps was taken; the exit status."""
    if as_json:
        print_json(Outcome(False, steps))
    else:
        click.echo("Nothing was done.")
    return 1


def make(steps: Sequence[Step]) -> None:
    """Take the steps in order. Raises `FaultError`, with what was not done."""
    for number, step in enumerate(steps):
        try:
            step.make()
        except OSError as error:
            (what,) = described([step])
            left = len(steps) - number - 1
            after = f" {left} further step{'' if left == 1 else 's'} not taken." if left else ""
            raise FaultError(
                f"It did not work to {what} ({error.strerror or error}).{after}", "Mend that, and run this again."
            ) from error


@frozen
class Kept:
    """A file as it was before, or that there was none."""

    path: str
    content: bytes | None
    mode: int = 0o644

    def put_back(self) -> None:
        """Raises `OSError`."""
        if self.content is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            return
        temporary = Path(f"{self.path}.dtkdns-new")
        temporary.write_bytes(self.content)
        temporary.chmod(self.mode)
        temporary.replace(self.path)


def keep_file(path: str) -> Kept:
    """A file as it is, to be put back. Raises `FaultError`."""
    try:
        with open(path, "rb") as file:
            return Kept(path, file.read(), os.fstat(file.fileno()).st_mode & 0o7777)
    except FileNotFoundError:
        return Kept(path, None)
    except OSError as error:
        raise FaultError(f"{path} cannot be read: {error.strerror}.", "Look what it is.") from error


def require_root() -> None:
    """Raise `FaultError` unless this machine may be changed."""
    if os.geteuid() != 0:
        raise FaultError("This changes the system.", f"Run it as root: sudo {shlex.join(_typed())}")


def _typed() -> list[str]:
    return [os.path.abspath(sys.argv[0]), *sys.argv[1:]]


def plain_lines(value: str) -> str:
    """Several lines of anybody's, without what a terminal would not take for text."""
    return "\n".join(map(plain, value.split("\n")))


def _read(path: str) -> str | None:
    """The text of a file; None where there is none that can be read."""
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return None


def _indented(lines: Iterable[str]) -> str:
    return "".join(f"      {line}".rstrip() + "\n" for line in lines)
