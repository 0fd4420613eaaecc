"""A recipe on this machine: what is to be done until it is in place, or gone; and the way back if that fails."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable

from dtkdns.cli.client import plain
from dtkdns.cli.machine import Machine, last_words
from dtkdns.cli.plan import Kept, Remove, Run, Step, Write, keep_file, needed, run
from dtkdns.cli.resolver.recipes import Recipe, recipe_for
from dtkdns.cli.resolver.required import DAEMONS, paths_of
from dtkdns.smoke.report import FaultError

RESTART = ("systemctl", "restart")
ENABLE = ("systemctl", "enable", "--now")


def steps_to_apply(recipe: Recipe, machine: Machine) -> list[Step]:
    """What differs from the recipe; nothing when it is in place and the service has read it."""
    writes = [Write(str(machine.at(path)), text) for path, text in recipe.files]
    changed = any(write.needed() for write in writes)
    steps: list[Step] = [step for rival in _rivals(recipe) for step in steps_to_undo(rival, machine)]
    return needed([*steps, *writes, *_commands(recipe, machine, changed=changed)])


def _rivals(recipe: Recipe) -> list[str]:
    """The other recipes for the same service."""
    daemon = DAEMONS[recipe.resolver]
    return [name for name, other in DAEMONS.items() if other == daemon and name != recipe.resolver]


def _commands(recipe: Recipe, machine: Machine, *, changed: bool) -> list[Run]:
    """What is to be run once the files are there; also where they were and nothing has read them yet."""
    found = []
    for words in _typed(recipe.apply):
        if words[:2] == RESTART:
            found.append(_restart(words[-1], recipe, machine, changed=changed))
        elif words[:3] == ENABLE:
            unit = machine.unit(words[-1])
            found.append(Run(words, None if changed else _if(not (unit.active and unit.enabled))))
            if unit.active:
                found.append(_restart(words[-1], recipe, machine, changed=changed))
        else:
            found.append(Run(words))
    return found


def _restart(name: str, recipe: Recipe, machine: Machine, *, changed: bool) -> Run:
    since = machine.unit(name).since
    unread = since is not None and any(machine.changed(path) > since for path, _ in recipe.files)
    return Run((*RESTART, name), None if changed else _if(unread))


def _if(condition: bool) -> Callable[[], bool]:
    return lambda: condition


def steps_to_undo(resolver: str, machine: Machine) -> list[Step]:
    """What takes a recipe away that is here, wholly or in part; nothing where it is not.

    A service that does not run is not started.
    """
    if not any(machine.has(path) for path in paths_of(resolver)):
        return []
    runs = machine.unit(DAEMONS[resolver]).active
    steps: list[Step] = []
    for words in _typed(recipe_for(resolver, [], "127.0.0.1", 0).undo):
        if words[0] == "rm":
            steps += [Remove(str(machine.at(path))) for path in words[1:]]
        elif runs or words[:2] != RESTART:
            steps.append(Run(words))
    return needed(steps)


def _typed(commands: Iterable[str]) -> list[tuple[str, ...]]:
    """The words of commands for root, without `sudo`."""
    return [tuple(shlex.split(command)[1:]) for command in commands]


def keep(recipe: Recipe, machine: Machine) -> list[Kept]:
    """The files that `steps_to_apply` may change, as they are. Raises `FaultError`."""
    paths = [path for path, _ in recipe.files] + [path for rival in _rivals(recipe) for path in paths_of(rival)]
    return [keep_file(str(machine.at(path))) for path in paths]


def taken_back(recipe: Recipe, machine: Machine, kept: Iterable[Kept], wrong: str) -> FaultError:
    """Put all back as it was, have the service read it, and say so; what was `wrong` comes first."""
    unit, daemon = recipe.apply[-1].split()[-1], DAEMONS[recipe.resolver]
    if not machine.unit(unit).active:
        wrong = f"{unit} does not start with this{_because(unit)}."
    advice = f"journalctl -u {unit} says more. Mend that, and run this again."
    try:
        _take_back(recipe, machine, list(kept))
    except OSError as error:
        again = plain(f"{error.filename}: {error.strerror}")
        return FaultError(
            f"{wrong} And it could not be taken back ({again}).", f"dtkdns resolver --undo. {advice}"
        )
    if machine.unit(daemon).active:
        return FaultError(f"{wrong} It was taken back: all is as before.", advice)
    return FaultError(
        f"{wrong} It was taken back, but {daemon} does not start without it either{_because(daemon)}.",
        advice,
    )


def _because(unit: str) -> str:
    said = plain(last_words(unit)).rstrip(".")
    return f" ({said})" if said else ""


def _take_back(recipe: Recipe, machine: Machine, kept: list[Kept]) -> None:
    own = {str(machine.at(path)) for path, _ in recipe.files}
    fresh = all(one.content is None for one in kept if one.path in own)
    way_back = _typed(recipe.undo)
    removal = next(number for number, words in enumerate(way_back) if words[0] == "rm")
    if fresh:
        _run_all(way_back[:removal])
    for one in kept:
        one.put_back()
    if fresh:
        _run_all(way_back[removal + 1 :])
    else:
        _run_all([(*RESTART, words[-1]) if words[:3] == ENABLE else words for words in _typed(recipe.apply)])
    if any(one.content is not None for one in kept if one.path not in own):
        _run_all([(*RESTART, DAEMONS[recipe.resolver])])


def _run_all(commands: Iterable[tuple[str, ...]]) -> None:
    """Run these, whatever comes of each."""
    for words in commands:
        if words[:2] == RESTART:
            # A service that has failed several times in a row is not started again without this.
            run(["systemctl", "reset-failed", words[-1]])
        run(words)
