"""`dtkdns install`: dtkdns as a service of systemd."""

from __future__ import annotations

import contextlib
import os
import re
import sysconfig
from functools import partial
from pathlib import Path

import click
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from dtkdns.access import attached, own_address
from dtkdns.cli.client import print_json, run_alone
from dtkdns.cli.doctor.firewall import firewall
from dtkdns.cli.doctor.networks import networks_of_vms
from dtkdns.cli.machine import Machine, last_words
from dtkdns.cli.plan import (
    MAKE_SECONDS,
    Call,
    Kept,
    Outcome,
    Remove,
    Run,
    Step,
    Write,
    agreed,
    declined,
    described,
    keep_file,
    make,
    needed,
    require_root,
    run,
)
from dtkdns.cli.service.block import has_block, installed, take_block_out
from dtkdns.cli.service.installation import Wanted, doubts, links, program, read
from dtkdns.cli.service.unit import HOLDER, SERVICE, SOCKET, UNIT, options_of
from dtkdns.cluster import DEFAULT
from dtkdns.hosts.claim import ClaimError
from dtkdns.settings import SettingError
from dtkdns.smoke.report import FaultError
from dtkdns.state import StateError
from dtkdns.tap import find_endpoint, try_to_take

RUNS = "/run/systemd/system"
"""There where systemd is the init of the machine (sd_booted(3))."""


@click.command(
    "install",
    context_settings={"ignore_unknown_options": True},
    short_help="Run dtkdns as a service of systemd.",
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF THE SERVICE]...")
@click.option("--print", "only_print", is_flag=True, help="Print the units and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs; installs only with --yes.")
def install(options: tuple[str, ...], only_print: bool, yes: bool, as_json: bool) -> None:
    """Run this dtkdns as a service of systemd, from now on and after every boot.

    Takes all the options of twistd dtkdns. Shows what it will do, asks, and does it; as root. The port is held by
    systemd, so that it is open also while dtkdns restarts. A second run changes what differs, and restarts a
    dtkdns that was updated meanwhile; without options the service keeps those that it has.
    """

    def work() -> int:
        machine = Machine()
        try:
            wanted = read(options or options_of(machine.text(SERVICE)) or (), program())
        except SettingError as error:
            raise click.UsageError(str(error)) from error
        if only_print:
            files = [step for step in _files(wanted, machine) if isinstance(step, Write)]
            click.echo("\n".join(f"# {step.path}\n{step.text}" for step in files), nl=False)
            return 0
        if not os.path.isdir(RUNS):
            raise FaultError("systemd does not run here.", "Start dtkdns by twistd dtkdns, from your own init.")
        require_root()
        return _install(wanted, machine, yes=yes, as_json=as_json)

    run_alone(work)


def _install(wanted: Wanted, machine: Machine, *, yes: bool, as_json: bool) -> int:
    steps = steps_to_install(wanted, machine)
    said = described(steps)
    if steps:
        _check(wanted, machine)
    nothing = "Nothing to do: dtkdns is installed and runs."
    if not agreed(steps, "To be done:", nothing, yes=yes, as_json=as_json):
        return declined(said, as_json=as_json)
    _make(steps, machine)
    if as_json:
        print_json(Outcome(True, said, what_is_left(wanted)))
    else:
        click.echo("\n".join(what_is_left(wanted)))
    return 0


def _make(steps: list[Step], machine: Machine) -> None:
    """Take the steps; if they fail and a service ran before, it runs again. Raises `FaultError`."""
    # Twisted notes which plugins there are; the service has no right to, and would look for seconds at each start.
    list(getPlugins(IServiceMaker))
    kept = [keep_file(str(machine.at(path))) for path in (SERVICE, SOCKET)]
    ran = machine.unit(UNIT).active
    try:
        make(steps)
    except FaultError as fault:
        wrong, advice = fault.wrong, f"{fault.advice} journalctl -u dtkdns says more."
        said = last_words("dtkdns") if f"restart {UNIT}" in wrong else ""
        if said:
            wrong = f"{wrong} It said: {said}"
        if ran:
            _take_back(kept)
            again = "the service runs as before" if machine.unit(UNIT).active else "but the service does not start"
            wrong = f"{wrong} It was taken back: {again}."
        raise FaultError(wrong, advice) from fault


def _take_back(kept: list[Kept]) -> None:
    """Put the units back, whatever comes of each step."""
    for one in kept:
        with contextlib.suppress(OSError):
            one.put_back()
    units = [unit for unit, one in zip((UNIT, HOLDER), kept, strict=True) if one.content is not None]
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "reset-failed", *units])
    for unit in reversed(units):
        run(["systemctl", "restart", unit], MAKE_SECONDS)


def steps_to_install(wanted: Wanted, machine: Machine) -> list[Step]:
    """What differs from the service as it should be and run; nothing where it does."""
    files = _files(wanted, machine)
    text_differs, socket_differs = (any(step.needed() for step in some) for some in (files, files[1:]))
    holds = wanted.unit.holds_port
    units = [HOLDER, UNIT] if holds else [UNIT]
    service, socket = machine.unit(UNIT), machine.unit(HOLDER)
    enabled = all(machine.unit(unit).enabled for unit in units)
    old = service.since is None or machine.changed(_own_metadata()) > service.since
    socket_fits = socket.active and not socket_differs
    former = _former_block(wanted, machine)
    state = wanted.unit.state
    steps: list[Step] = []
    if (socket_differs or former) and service.active:
        steps.append(_now("stop", UNIT))
    steps += former
    if state is not None and not os.path.isdir(state):
        steps.append(Call(f"make {state}", partial(os.makedirs, state, 0o711)))
    if not holds and socket.active:
        steps.append(_now("disable", "--now", HOLDER))
    steps += files
    if text_differs:
        steps.append(_now("daemon-reload"))
    if text_differs or not enabled:
        steps.append(_now("enable", *units))
    if not service.active and machine.has(SERVICE):
        # One that has failed too often is not started again without this.
        steps.append(_now("reset-failed", *units))
    if holds and not socket_fits:
        steps.append(_now("restart", HOLDER))
    if text_differs or not socket_fits or not service.active or old:
        steps.append(_now("restart", UNIT))
    return needed([*steps, *links()])


def _former_block(wanted: Wanted, machine: Machine) -> list[Step]:
    """What takes the block out of a hosts file that the service keeps no longer."""
    if not machine.has(SERVICE):
        return []
    old = installed(machine)
    path = old.hosts_file
    if path is None or path == wanted.values.hosts_file or not has_block(path, old.state):
        return []
    return [Call(f"take the block of dtkdns out of {path}", partial(take_block_out, path, old.state))]


def _now(*words: str) -> Run:
    return Run(("systemctl", *words), lambda: True)


def _files(wanted: Wanted, machine: Machine) -> list[Step]:
    """The service first."""
    unit = wanted.unit
    service = Write(str(machine.at(SERVICE)), unit.service())
    return [
        service,
        Write(str(machine.at(SOCKET)), unit.socket()) if unit.holds_port else Remove(str(machine.at(SOCKET))),
    ]


def _own_metadata() -> str:
    """What changes with every update of this installation."""
    return str(Path(sysconfig.get_path("purelib")))


def _check(wanted: Wanted, machine: Machine) -> None:
    """See that another dtkdns, or whatever has the port, does not stand in the way. Raises `FaultError`."""
    masked = next((path for path in (SERVICE, SOCKET) if _is_masked(machine.at(path))), None)
    if masked is not None:
        raise FaultError(
            f"{masked} is masked.", f"If it is to run: sudo systemctl unmask {os.path.basename(masked)}"
        )
    listens = machine.unit(HOLDER).active
    try:
        if not listens or _port_of(machine.text(SOCKET)) != wanted.values.port:
            find_endpoint(wanted.values.port)
        if not machine.unit(UNIT).active and os.path.isdir(wanted.values.state.path):
            try_to_take(wanted.values.state, wanted.values.hosts_file)
    except (SettingError, StateError, ClaimError) as error:
        raise FaultError(str(error), "Then run this again.") from error
    except SystemExit as error:
        raise FaultError(str(error.code).removeprefix("dtkdns: "), "Then run this again.") from error


def _is_masked(path: Path) -> bool:
    """Whether somebody has had `systemctl mask` put a link to nothing in the place of a unit."""
    return path.is_symlink() and str(path.readlink()) == os.devnull


def _port_of(socket: str) -> str:
    """The port at which the text of a socket unit has systemd listen."""
    found = re.search(r"^ListenStream=.*?(\d+)$", socket, re.MULTILINE)
    return found[1] if found is not None else ""


def what_is_left(wanted: Wanted) -> list[str]:
    """What the person does next, a line each."""
    values = wanted.values
    address = values.host or own_address()
    port = values.port if wanted.unit.listen is None else wanted.unit.listen.rpartition(":")[2]
    base = "" if values.given.cluster == DEFAULT else f"/clusters/{values.given.cluster}"
    lines = [
        "dtkdns runs, and will after every boot. In DTK's config.yaml:",
        "  dns:",
        f"    domain: {next(iter(values.given.domains), 'dtk.io')}",
        f"    host-ip: {address}",
        f"    webhook-port: {port}{base}",
    ]
    if port.isdigit():
        lines += _openings(int(port))
    return [*lines, *doubts(wanted.unit.program), "dtkdns doctor says whether all is well."]


def _openings(port: int) -> list[str]:
    """The commands that let VMs through the firewall, where it does not."""
    networks, _ = networks_of_vms(attached(), (), ())
    found = firewall(run, Machine().text("/etc/ufw/ufw.conf"), networks, port, certain=False)
    return [one.advice for one in found if one.advice]
