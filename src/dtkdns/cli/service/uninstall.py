"""`dtkdns uninstall`: the service goes, and so does its block in the hosts file."""

from __future__ import annotations

import os

import click

from dtkdns.cli.client import print_json, run_alone
from dtkdns.cli.machine import Machine
from dtkdns.cli.plan import (
    Call,
    Outcome,
    Remove,
    Run,
    Step,
    agreed,
    declined,
    described,
    make,
    needed,
    require_root,
)
from dtkdns.cli.resolver.recipes import RESOLVERS
from dtkdns.cli.resolver.required import paths_of
from dtkdns.cli.service.block import has_block, installed, take_block_out
from dtkdns.cli.service.installation import links
from dtkdns.cli.service.unit import HOLDER, SERVICE, SOCKET, UNIT
from dtkdns.smoke.report import FaultError
from dtkdns.state import StateDirectory, StateError, default_path
from dtkdns.tap import HOSTS_DEFAULT, Values


@click.command("uninstall", short_help="Take the service and its block away.")
@click.option("--purge", is_flag=True, help="Remove the stored records and what was posted as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs; removes only with --yes.")
def uninstall(purge: bool, yes: bool, as_json: bool) -> None:
    """Take the service away, and its block out of the hosts file, which is then what it was before.

    Shows what it will do, asks, and does it; as root. The records stay, unless --purge is given. So does the
    installation itself.
    """

    def work() -> int:
        machine = Machine()
        require_root()
        values = installed(machine)
        steps = steps_to_uninstall(values, machine, purge=purge)
        said = described(steps)
        nothing = "Nothing to do: dtkdns is not installed as a service."
        if not agreed(steps, "To be taken away:", nothing, yes=yes, as_json=as_json):
            return declined(said, as_json=as_json)
        make(steps)
        left = _what_is_left(values, machine) if steps else []
        if as_json:
            print_json(Outcome(True, said, left))
        elif left:
            click.echo("\n".join(left))
        return 0

    run_alone(work)


def steps_to_uninstall(values: Values, machine: Machine, *, purge: bool) -> list[Step]:
    """What there is to take away."""
    state = values.state
    there = [path for path in (SERVICE, SOCKET) if machine.has(path)]
    steps: list[Step] = []
    if there:
        units = [{SERVICE: UNIT, SOCKET: HOLDER}[path] for path in reversed(there)]
        steps.append(Run(("systemctl", "disable", "--now", *units), lambda: True))
    # The units say where the files are: they go last, so that a second run finds them.
    path = values.hosts_file or HOSTS_DEFAULT
    if has_block(path, state):
        steps.append(Call(f"take the block of dtkdns out of {path}", lambda: take_block_out(path, state)))
    if purge and os.path.isdir(state.path):
        steps.append(Call(f"remove the records and what was posted in {state.path}", lambda: _purge(state)))
    if there:
        steps += [Remove(str(machine.at(path))) for path in there]
        steps.append(Run(("systemctl", "daemon-reload"), lambda: True))
    steps += [Remove(link.path) for link in links() if os.path.islink(link.path) and not link.needed()]
    return needed(steps)


def _purge(state: StateDirectory) -> None:
    """Raises `OSError`, and `FaultError` where a dtkdns has it."""
    try:
        state.remove()
    except StateError as error:
        raise FaultError(str(error), "Then run this again.") from error


def _what_is_left(values: Values, machine: Machine) -> list[str]:
    """What the person may want to do next, a line each."""
    lines = ["dtkdns is no longer installed as a service."]
    if any(machine.has(path) for resolver in RESOLVERS for path in paths_of(resolver)):
        lines.append("This machine's resolver still asks it: dtkdns resolver --undo.")
    if os.path.isdir(values.state.path):
        again = " (uninstall --purge removes them)" if values.state.path == default_path({}, 0) else ""
        lines.append(f"Its records are still in {values.state.path}{again}.")
    return [*lines, "external-dns in the cluster ends itself when it calls: remove it there, too."]
