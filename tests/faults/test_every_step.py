"""A fault at every single system call of an edit: the file is the old or the new one, and others lose no line.

The steps are those of `dtkdns.hosts.kernel.Kernel`; each test takes one fault through all of them.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, frozen
from steps import ERRORS, KILLS, Appending, Fault, Ledger, StepKernel, is_killed

from dtkdns.hosts import text as hosts_text
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.writer import HostsBlock
from dtkdns.projection import Shown
from running import hosts_file

BEFORE = b"127.0.0.1 localhost\n# a note of mine\r\n10.9.9.9 \xe9trange printer\n" + b"".join(
    b"10.8.0.%d machine-%d\n" % (number, number) for number in range(150)
)
BEHIND = b"# behind the block\n10.7.7.7 behind\n"
THEIRS = b"10.6.6.6 theirs\n"
STATE = "0123abcd"
MANY = 400
"""Steps of an edit at most; more would mean that it does not end."""

WHILE_OPEN = 40
"""Steps for which another program has the displaced file open; dtkdns waits for it ten times as long."""


@frozen
class Change:
    """What an edit does: the numbers of the names in the block before it and afterwards."""

    old: range
    new: range


CHANGES = {
    "first block": Change(range(0), range(60)),
    "grows": Change(range(0, 120, 2), range(120)),
    "shrinks": Change(range(120), range(1, 120, 2)),
}


def records(numbers: range) -> dict[str, Shown | None]:
    names = {number: f"name-{number:03d}.dtk.io" for number in numbers}
    return {
        name: Shown(name, (f"192.168.1.{number}",), "default", "ingress/d/t", 0, 0.0)
        for number, name in names.items()
    }


@define
class World:
    """A hosts file and the directory that it is in, made anew for every step."""

    path: Path
    way: str
    change: Change
    old: bytes
    new: bytes

    @classmethod
    def make(cls, path: Path, way: str, change: Change) -> World:
        world = cls(path, way, change, b"", b"")
        path.write_bytes(BEFORE)
        sound = HostsBlock(hosts_file(path), STATE)
        sound.write(records(change.old))
        world.old = path.read_bytes() + BEHIND
        path.write_bytes(world.old)
        written = HostsBlock(hosts_file(path), STATE).write(records(change.new)).edited
        assert written.way.startswith(way)
        world.new = path.read_bytes()
        assert world.old != world.new
        return world

    @property
    def target(self) -> str:
        return str(self.path)

    @property
    def journal(self) -> Path:
        return self.path.with_name("journal")

    def reset(self) -> None:
        for name in set(os.listdir(self.path.parent)) - {"hosts", "source"}:
            (self.path.parent / name).unlink()
        self.path.write_bytes(self.old)

    def edit(self, kernel: StepKernel) -> HostsBlock:
        """The edit with its faults; the block is there to go on with. Raises `HostsFileError`."""
        block = HostsBlock(hosts_file(self.path, kernel), STATE)
        block.write(records(self.change.new))
        return block

    def left(self) -> set[str]:
        """What of ours lies beside the file: nothing but an empty journal is right."""
        left = set(os.listdir(self.path.parent)) - {"hosts", "source"}
        if self.journal.exists() and self.journal.stat().st_size == 0:
            left.remove("journal")
        return left

    def whole(self, text: bytes) -> str:
        """Which of the two texts this is; anything else fails the test."""
        if text == self.old:
            return "old"
        assert text == self.new, f"neither the old nor the new text: {len(text)} bytes"
        return "new"

    def check_new(self) -> None:
        """The file is the new one, to the byte, and nothing of ours is beside it."""
        assert self.path.read_bytes() == self.new, "not the new text"
        assert self.left() == set()

    def check_lines(self, *more: bytes) -> None:
        """The lines of others are there, each once, and the block is the new one; nothing of ours is beside it."""
        text = self.path.read_bytes()
        block = hosts_text.read(text)
        assert block is not None
        assert block.intact
        assert block.lines == hosts_text.read(self.new).lines  # type: ignore[union-attr]
        found = Counter(line for line in hosts_text.remove(text).split(b"\n") if line)
        expected = Counter(line for line in b"".join([BEFORE, BEHIND, *more]).split(b"\n") if line)
        assert found == expected, (found - expected, expected - found)
        assert self.left() == set()


@pytest.fixture(params=["rename", "in place"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory: what is synced, and when, is asked of the ledger, and not of a disk."""
    directory = tmp_path / "etc"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture
def path(way: str, directory: Path) -> Iterator[Path]:
    path = directory / "hosts"
    if way == "rename":
        yield path
        return
    for name in ("hosts", "source"):
        (directory / name).touch()
    subprocess.run(["mount", "--bind", str(directory / "source"), str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture(params=CHANGES.values(), ids=CHANGES)
def world(path: Path, way: str, request: pytest.FixtureRequest) -> World:
    return World.make(path, way, request.param)


class Problems:
    """What was wrong at which step; each step is tried, so that one run shows all."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.tried = 0

    def at(self, kernel: StepKernel, step: int, check: Callable[[], object], more: str = "") -> None:
        self.tried += 1
        try:
            check()
        except (AssertionError, HostsFileError, OSError) as error:
            name = kernel.steps[step] if step < len(kernel.steps) else "?"
            self.found.append(f"step {step} ({name}) {more}: {type(error).__name__}: {error}")

    def report(self) -> None:
        """Fail the test if there was one."""
        print(f"{self.tried} steps")
        assert self.found == [], "\n".join(["", *self.found])


@pytest.fixture
def problems() -> Problems:
    return Problems()


def steps_of(world: World) -> list[str]:
    """The calls of the edit without a fault."""
    world.reset()
    kernel = StepKernel()
    world.edit(kernel)
    world.check_new()
    return kernel.steps


def test_the_edit_takes_the_steps_that_make_it_durable_in_their_order(world: World) -> None:
    kernel = StepKernel()
    world.reset()
    kernel.ledger = Ledger(world.target, str(world.journal))
    world.edit(kernel)
    assert kernel.ledger.durable()
    assert kernel.ledger.broken == []
    print(f"{world.way}: {len(kernel.steps)} steps: {' '.join(kernel.steps)}")


# Kills


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new_file(world: World, kill: Fault, problems: Problems) -> None:
    sound = StepKernel()
    sound.steps = steps_of(world)
    for step in range(MANY):
        world.reset()
        kernel = StepKernel(step, kill)
        if not is_killed(lambda kernel=kernel: world.edit(kernel)):
            break

        def check() -> None:
            if world.way == "rename":
                world.whole(world.path.read_bytes())
            hosts_file(world.path).recover()
            world.whole(world.path.read_bytes())
            world.edit(StepKernel())
            world.check_new()

        problems.at(sound, step, check)
    assert step == len(sound.steps)
    problems.report()


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_kill_at_any_step_of_the_recovery_from_a_kill_changes_nothing(
    path: Path, way: str, kill: Fault, problems: Problems
) -> None:
    world = World.make(path, way, CHANGES["grows"])
    sound = StepKernel()
    sound.steps = steps_of(world)
    for step in range(len(sound.steps)):
        for again in range(MANY):
            world.reset()
            first = StepKernel(step, KILLS["SIGKILL midway"])
            assert is_killed(lambda first=first: world.edit(first))
            second = StepKernel(again, kill)
            if not is_killed(lambda second=second: hosts_file(world.path, second).recover()):
                break

            def check() -> None:
                hosts_file(world.path).recover()
                world.whole(world.path.read_bytes())
                world.edit(StepKernel())
                world.check_new()

            problems.at(sound, step, check)
    problems.report()


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_line_that_another_appends_just_before_a_kill_is_there_once(
    world: World, kill: Fault, problems: Problems
) -> None:
    appended = 0
    for step in range(MANY):
        world.reset()
        kernel = StepKernel(step, kill)
        theirs = Appending(kernel, world.target, THEIRS, step)
        if not is_killed(lambda kernel=kernel: world.edit(kernel)):
            break
        appended += theirs.done

        def check(theirs: Appending = theirs) -> None:
            world.edit(StepKernel())
            world.check_lines(THEIRS * theirs.done)

        problems.at(kernel, step, check)
    assert appended
    problems.report()


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_line_that_another_appends_to_the_displaced_file_just_before_a_kill_is_there_once(
    directory: Path, kill: Fault, problems: Problems
) -> None:
    world = World.make(directory / "hosts", "rename", CHANGES["grows"])
    exchange = steps_of(world).index("exchange")
    for step in range(exchange + 1, exchange + WHILE_OPEN):
        world.reset()
        kernel = StepKernel(step, kill)
        theirs = Appending(kernel, world.target, THEIRS, step, opens="exchange")
        if not is_killed(lambda kernel=kernel: world.edit(kernel)):
            break
        assert theirs.done

        def check() -> None:
            world.edit(StepKernel())
            world.check_lines(THEIRS)

        problems.at(kernel, step, check)
    assert problems.tried > 10
    problems.report()


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_line_that_another_appends_between_a_kill_and_the_recovery_is_there_once(
    world: World, kill: Fault, problems: Problems
) -> None:
    sound = StepKernel()
    sound.steps = steps_of(world)
    for step in range(MANY):
        world.reset()
        kernel = StepKernel(step, kill)
        if not is_killed(lambda kernel=kernel: world.edit(kernel)):
            break
        with world.path.open("ab") as file:
            file.write(THEIRS)

        def check() -> None:
            world.edit(StepKernel())
            world.check_lines(THEIRS)

        problems.at(sound, step, check)
    problems.report()


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_line_that_another_appends_between_a_kill_and_a_recovery_that_is_killed_too_is_there_once(
    path: Path, way: str, change: Change, kill: Fault, problems: Problems
) -> None:
    world = World.make(path, way, change)
    sound = StepKernel()
    sound.steps = steps_of(world)
    touching = {"write", "truncate", "exchange", "sync", "unlink"}
    for step in [step for step, name in enumerate(sound.steps) if name in touching]:
        for again in range(MANY):
            world.reset()
            first = StepKernel(step, KILLS["SIGKILL midway"])
            assert is_killed(lambda first=first: world.edit(first))
            with world.path.open("ab") as file:
                file.write(THEIRS)
            second = StepKernel(again, kill)
            if not is_killed(lambda second=second: hosts_file(world.path, second).recover()):
                break

            def check() -> None:
                world.edit(StepKernel())
                world.check_lines(THEIRS)

            problems.at(sound, step, check, f"recovery's {again}")
    problems.report()


# What the kernel refuses


@define
class Attempt:
    """An edit with a fault."""

    kernel: StepKernel
    block: HostsBlock
    raised: HostsFileError | None


def attempt(world: World, kernel: StepKernel) -> Attempt:
    """The edit; anything but `HostsFileError` that it raises fails the test."""
    kernel.ledger = Ledger(world.target, str(world.journal))
    block = HostsBlock(hosts_file(world.path, kernel), STATE)
    try:
        block.write(records(world.change.new))
    except HostsFileError as error:
        return Attempt(kernel, block, error)
    return Attempt(kernel, block, None)


def check_acknowledged(world: World, tried: Attempt) -> None:
    """What was not refused is there, and outlives a power cut."""
    assert tried.kernel.ledger is not None
    assert tried.kernel.ledger.broken == []
    if tried.raised is None:
        assert tried.kernel.ledger.durable(), "acknowledged and not durable"


LASTING = {f"{name} from then on": fault for name, fault in ERRORS.items() if name in {"EIO", "ENOSPC", "EROFS"}}
FAULTS = {
    **{name: (fault, False) for name, fault in ERRORS.items()},
    **{name: (fault, True) for name, fault in LASTING.items()},
}


def watch(world: World, kernel: StepKernel) -> None:
    """Look at the file before each step as long as only a rename has changed it."""

    def look(_name: str) -> None:
        if not world.journal.exists():
            world.whole(world.path.read_bytes())

    kernel.watchers.append(look)


def each_step(world: World, fault: Fault, *, lasting: bool) -> Iterator[tuple[int, StepKernel]]:
    """A kernel for each step that there is."""
    for step in range(MANY):
        world.reset()
        kernel = StepKernel(step, fault, lasting=lasting)
        yield step, kernel
        if not kernel.fired:
            return


@pytest.mark.parametrize(("fault", "lasting"), FAULTS.values(), ids=FAULTS)
def test_after_a_fault_at_any_step_the_next_edit_succeeds(
    world: World, fault: Fault, lasting: bool, problems: Problems
) -> None:
    for step, kernel in each_step(world, fault, lasting=lasting):

        def check(kernel: StepKernel = kernel) -> None:
            watch(world, kernel)
            tried = attempt(world, kernel)
            check_acknowledged(world, tried)
            if tried.raised is None:
                assert world.path.read_bytes() == world.new, "acknowledged and not there"
            kernel.mend()
            tried.block.write({})
            world.check_new()
            assert kernel.ledger is not None
            assert kernel.ledger.durable(), "acknowledged by the next edit and not durable"
            assert kernel.ledger.broken == []

        problems.at(kernel, step, check)
    problems.report()


@pytest.mark.parametrize(("fault", "lasting"), FAULTS.values(), ids=FAULTS)
def test_a_restart_after_a_fault_at_any_step_finds_the_old_or_the_new_file(
    world: World, fault: Fault, lasting: bool, problems: Problems
) -> None:
    for step, kernel in each_step(world, fault, lasting=lasting):

        def check(kernel: StepKernel = kernel) -> None:
            tried = attempt(world, kernel)
            hosts_file(world.path).recover()
            found = world.whole(world.path.read_bytes())
            assert found == "new" or tried.raised is not None, "acknowledged and gone"
            world.edit(StepKernel())
            world.check_new()

        problems.at(kernel, step, check)
    problems.report()


@pytest.mark.parametrize("restarted", [False, True], ids=["goes on", "restarted"])
@pytest.mark.parametrize(("fault", "lasting"), FAULTS.values(), ids=FAULTS)
def test_a_line_that_another_appends_just_before_a_fault_is_there_once(
    path: Path, way: str, fault: Fault, lasting: bool, restarted: bool, problems: Problems
) -> None:
    world = World.make(path, way, CHANGES["grows"])
    for step, kernel in each_step(world, fault, lasting=lasting):
        theirs = Appending(kernel, world.target, THEIRS, step)
        problems.at(kernel, step, lambda k=kernel, t=theirs: disturbed(world, k, t, restarted))
    problems.report()


@pytest.mark.parametrize("restarted", [False, True], ids=["goes on", "restarted"])
@pytest.mark.parametrize(("fault", "lasting"), FAULTS.values(), ids=FAULTS)
def test_a_line_that_another_appends_to_the_displaced_file_just_before_a_fault_is_there_once(
    directory: Path, fault: Fault, lasting: bool, restarted: bool, problems: Problems
) -> None:
    world = World.make(directory / "hosts", "rename", CHANGES["grows"])
    first = steps_of(world).index("exchange") + 1
    for step in range(first, first + WHILE_OPEN):
        world.reset()
        kernel = StepKernel(step, fault, lasting=lasting)
        theirs = Appending(kernel, world.target, THEIRS, step, opens="exchange")
        problems.at(kernel, step, lambda k=kernel, t=theirs: disturbed(world, k, t, restarted))
        if not kernel.fired:
            break
    assert problems.tried > 10
    problems.report()


def disturbed(world: World, kernel: StepKernel, theirs: Appending, restarted: bool) -> None:
    tried = attempt(world, kernel)
    check_acknowledged(world, tried)
    theirs.write()
    kernel.mend()
    if restarted:
        world.edit(StepKernel())
    else:
        tried.block.write({})
    world.check_lines(THEIRS * theirs.done)


# A file that is not there yet


@pytest.mark.parametrize(("fault", "lasting"), FAULTS.values(), ids=FAULTS)
def test_a_missing_file_is_made_whole_or_not_at_all(
    directory: Path, fault: Fault, lasting: bool, problems: Problems
) -> None:
    path = directory / "hosts"
    block = HostsBlock(hosts_file(path), STATE)
    block.write(records(range(60)))
    new = path.read_bytes()
    world = World(path, "rename", Change(range(0), range(60)), b"", new)
    for step in range(MANY):
        world.reset()
        path.unlink()
        kernel = StepKernel(step, fault, lasting=lasting)

        def check(kernel: StepKernel = kernel) -> None:
            tried = attempt(world, kernel)
            check_acknowledged(world, tried)
            assert not path.exists() or path.read_bytes() in {b"", new}
            kernel.mend()
            tried.block.write({})
            world.check_new()

        problems.at(kernel, step, check)
        if not kernel.fired:
            break
    problems.report()


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_kill_while_a_missing_file_is_made_leaves_it_whole_or_missing(
    directory: Path, kill: Fault, problems: Problems
) -> None:
    path = directory / "hosts"
    HostsBlock(hosts_file(path), STATE).write(records(range(60)))
    world = World(path, "rename", Change(range(0), range(60)), b"", path.read_bytes())
    for step in range(MANY):
        world.reset()
        path.unlink()
        kernel = StepKernel(step, kill)
        if not is_killed(lambda kernel=kernel: world.edit(kernel)):
            break

        def check() -> None:
            assert not path.exists() or path.read_bytes() == world.new
            world.edit(StepKernel())
            world.check_new()

        problems.at(kernel, step, check)
    assert problems.tried > 10
    problems.report()
