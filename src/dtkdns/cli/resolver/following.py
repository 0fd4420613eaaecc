"""A recipe followed or undone, with the person watching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dtkdns.cli.client import print_json
from dtkdns.cli.machine import Machine
from dtkdns.cli.names import say
from dtkdns.cli.plan import Outcome, Step, agreed, declined, described, make, require_root
from dtkdns.cli.resolver.applied import keep, steps_to_apply, steps_to_undo, taken_back
from dtkdns.cli.resolver.asked import example, leads_elsewhere, settled
from dtkdns.cli.resolver.recipes import Recipe, recipe_for
from dtkdns.cli.resolver.required import BY_HAND, DAEMONS, fitting, require, require_sound, without_what_is_there
from dtkdns.smoke.report import FaultError
from dtkdns.status import ServiceStatus

UNDO = "dtkdns resolver --undo takes it back."


async def apply(
    resolver: str,
    domains: Sequence[str],
    own: tuple[str, int],
    status: ServiceStatus,
    machine: Machine,
    reactor: Any,
    *,
    yes: bool,
    as_json: bool,
) -> int:
    """Show what differs from the recipe, ask, do it, and see that the resolver asks dtkdns at `own`.

    Returns the exit status. Raises `FaultError`; if the resolver does not start or answer, all is as before then.
    """
    resolver, reason = fitting(resolver, machine)
    require(resolver, machine)
    recipe = without_what_is_there(recipe_for(resolver, domains, *own), machine)
    steps = steps_to_apply(recipe, machine)
    if steps and (yes or not as_json):
        require_root()
        require_sound(resolver, machine)
    said = described(steps)
    heading = reason or f"{resolver} answers on this machine."
    nothing = f"{heading}\nNothing to do: it is told to ask dtkdns."
    if not agreed(steps, heading, nothing, yes=yes, as_json=as_json):
        return declined(said, as_json=as_json)
    await _make(steps, recipe, machine, domains, own, reactor)
    found = await _resolved(status)
    if as_json:
        print_json(Outcome(True, said))
    else:
        click.echo("\n".join([f"This machine's resolver asks dtkdns for {', '.join(domains)}.", *found]))
    return 0


def undo(resolver: str | None, machine: Machine, *, yes: bool, as_json: bool) -> int:
    """Show what there is of a recipe, or without `resolver` of any, ask, and remove it.

    Returns the exit status. Raises `FaultError`.
    """
    if resolver is not None and resolver not in DAEMONS:
        raise FaultError(f"The recipe for {resolver} cannot be undone from here.", BY_HAND)
    wanted = DAEMONS if resolver is None else [resolver]
    steps = [step for one in wanted for step in steps_to_undo(one, machine)]
    if steps and (yes or not as_json):
        require_root()
    said = described(steps)
    if not agreed(steps, "To be taken away:", "Nothing to undo.", yes=yes, as_json=as_json):
        return declined(said, as_json=as_json)
    make(steps)
    if as_json:
        print_json(Outcome(True, said))
    elif steps:
        say("Undone.")
    return 0


async def _make(
    steps: Sequence[Step],
    recipe: Recipe,
    machine: Machine,
    domains: Sequence[str],
    own: tuple[str, int],
    reactor: Any,
) -> None:
    """Take the steps, and see that the resolver asks dtkdns."""
    daemon = DAEMONS[recipe.resolver]
    kept = keep(recipe, machine)
    try:
        make(steps)
    except FaultError as fault:
        raise taken_back(recipe, machine, kept, fault.wrong) from fault
    asked = await settled(domains, own, reactor)
    if not asked.elsewhere:
        return
    wrong = f"{daemon} does not answer."
    if steps and not asked.answered:
        raise taken_back(recipe, machine, kept, wrong)
    if not asked.answered:
        raise FaultError(wrong, f"journalctl -u {daemon} says why. {UNDO}")
    raise FaultError(
        f"This machine's resolver does not ask dtkdns for {', '.join(asked.elsewhere)}.",
        f"Does /etc/resolv.conf lead to {daemon}? {UNDO}",
    )


async def _resolved(status: ServiceStatus) -> list[str]:
    """Where a name leads that is shown, as a sentence; none where there is none. Raises `FaultError`."""
    one = example(status)
    if one is None:
        return []
    elsewhere = await leads_elsewhere(one)
    if elsewhere:
        raise FaultError(
            f"The resolver asks dtkdns, but {one.name} leads to {elsewhere}.",
            f"dtkdns why {one.name} says where it stops.",
        )
    return [f"{one.name} is {', '.join(one.addresses)}."]
