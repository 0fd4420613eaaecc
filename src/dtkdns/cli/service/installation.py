"""This installation of dtkdns, and the units that describe it to systemd."""

from __future__ import annotations

import os
import pwd
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

import dtkdns
from dtkdns.cli.plan import Link
from dtkdns.cli.service.unit import HOMES, SCRATCH, Program, Unit, is_below, listen_of
from dtkdns.credentials import CredentialsError
from dtkdns.settings import SettingError
from dtkdns.state import default_path
from dtkdns.tap import NO_HOSTS_FILE, SYSTEMD, Options, Values, read_values

FILES = ("config", "credentials")
"""Options whose value is a file that is read at the start, and may belong to anybody."""
PATHS = (*FILES, "hosts-file", "state")
COMMAND = "/usr/local/bin/dtkdns"
MANUAL = "/usr/local/share/man/man1/dtkdns.1"
MOST_PORT = 65535
_NUMBER = re.compile(r"(?:tcp6?:)?(\d+)(?::.*)?", re.ASCII)
_PORT = re.compile(r"\w+:(\d+)", re.ASCII)
_READ = re.compile(r"(?:privateKey|certKey|extraCertChain|dhParameters)=((?:[^:\\]|\\.)+)")
"""Files in an endpoint with TLS (endpoints(3))."""


@frozen
class Wanted:
    """What is to be installed."""

    unit: Unit
    values: Values


def program() -> Program:
    """This installation."""
    places = [sys.prefix, sys.base_prefix, str(Path(dtkdns.__file__).parents[1])]
    # A plugin of an editable installation lies beside `src`.
    if os.path.basename(places[-1]) == "src":
        places[-1] = os.path.dirname(places[-1])
    found: list[str] = []
    for place in map(os.path.realpath, places):
        if not is_below(place, found):
            found.append(place)
    return Program(os.path.join(sysconfig.get_path("scripts"), "twistd"), tuple(found))


def links() -> list[Link]:
    """What makes command and manual page be found."""
    command = os.path.join(sysconfig.get_path("scripts"), "dtkdns")
    manual = os.path.join(sysconfig.get_path("data"), "share/man/man1/dtkdns.1")
    return [Link(at, to) for at, to in ((COMMAND, command), (MANUAL, manual)) if at != to and os.path.exists(to)]


def doubts(program: Program) -> list[str]:
    """Why this installation had better be elsewhere, as sentences."""
    found = []
    scratch = next((place for place in program.directories if is_below(place, SCRATCH)), None)
    if scratch is not None:
        found.append(f"Mind that a boot may empty {scratch}, and dtkdns is gone then.")
    owner = _owner_of(program)
    if owner is not None:
        found.append(f"Mind that {owner}, and what stands there runs as root.")
    return [*found, "Better install it into /opt/dtkdns."] if found else []


def _owner_of(program: Program) -> str | None:
    """A user other than root who can change the program, and its directory; None where there is none."""
    for place in (*program.directories, program.twistd):
        status = os.stat(place)
        if status.st_uid != 0:
            try:
                name = pwd.getpwuid(status.st_uid).pw_name
            except KeyError:
                name = str(status.st_uid)
            return f"{name} can change {place}"
    return None


def read(words: Sequence[str], program: Program) -> Wanted:
    """What the options of the service come to. Raises `SettingError`."""
    options = Options()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(list(words))
    except SystemExit as error:
        raise SettingError(str(error.code or "").removeprefix("dtkdns: ")) from error
    defaults = Options()  # type: ignore[no-untyped-call]
    given = {
        name: _absolute(name, value)
        for name, value in options.items()
        if value is not None and value != defaults[name]
    }
    options.update(given)
    try:
        values = read_values(options)
    except CredentialsError as error:
        raise SettingError(str(error)) from error
    _check(given, values)
    return Wanted(_unit(given, values, program), values)


def _check(given: dict[str, object], values: Values) -> None:
    """See that a unit can hold these options. Raises `SettingError`."""
    if values.port.partition(":")[0] == SYSTEMD:
        raise SettingError(f"--port {SYSTEMD} is what the service will be given: say which port.")
    number = _NUMBER.fullmatch(values.port)
    if number is not None and not 0 < int(number[1]) <= MOST_PORT:
        raise SettingError(f"--port: {number[1]} is no port: give one from 1 to {MOST_PORT}.")
    broken = next((name for name, value in given.items() if not str(value).isprintable()), None)
    if broken is not None:
        raise SettingError(f"--{broken}: a line break or another control character cannot stand in a unit.")
    directory = None if values.hosts_file is None else os.path.dirname(os.path.realpath(values.hosts_file))
    if directory is not None and not os.path.isdir(directory):
        raise SettingError(f"--hosts-file: there is no directory {directory}: make it, or give another file.")


def _absolute(name: str, value: object) -> object:
    if name in PATHS and value != NO_HOSTS_FILE:
        return os.path.abspath(str(value))
    return value


def _unit(given: dict[str, object], values: Values, program: Program) -> Unit:
    listen = listen_of(values.port)
    files = {name: str(given[name]) for name in FILES if name in given}
    if listen is None:
        program = Program(program.twistd, (*program.directories, *_files_of(values.port)))
    words = {name: f"--{name}" if value == 1 else f"--{name}={value}" for name, value in given.items()}
    left_out = {*files, *(["port"] if listen is not None else [])}
    own_state = values.state.path == default_path({}, 0) or "state" not in given
    kept = values.hosts_file
    ports = [listener.port for listener in values.listeners]
    endpoint = _PORT.match(values.port)
    if listen is None and endpoint is not None:
        ports.append(int(endpoint[1]))
    return Unit(
        program=program,
        options=tuple(word for name, word in words.items() if name not in left_out),
        listen=listen,
        files=files,
        state=None if own_state else values.state.path,
        hosts_directory=None if kept is None else os.path.dirname(os.path.realpath(kept)),
        low_port=any(port < 1024 for port in ports),
        network=any(not listener.host.startswith(("127.", "::1")) for listener in values.listeners),
        given=tuple(words.values()),
    )


def _files_of(endpoint: str) -> list[str]:
    """The files that an endpoint names and that are hidden from a service. Raises `SettingError`."""
    found = [re.sub(r"\\(.)", r"\1", path) for path in _READ.findall(endpoint)]
    relative = next((path for path in found if not os.path.isabs(path)), None)
    if relative is not None:
        raise SettingError(
            f"--port: a service has no directory of its own, so write the whole path of {relative}."
        )
    return [path for path in found if is_below(path, HOMES)]
