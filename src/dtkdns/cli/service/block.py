"""The block that a service has in a hosts file: whether it is there, and how it goes when the service does."""

from __future__ import annotations

import os

from dtkdns.cli.machine import Machine
from dtkdns.cli.service.installation import program, read
from dtkdns.cli.service.unit import SERVICE, options_of
from dtkdns.hosts.claim import ClaimError, HostsClaim
from dtkdns.hosts.face import FormerHostsFile
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import HostsFile, read_text
from dtkdns.hosts.text import read as read_block
from dtkdns.smoke.report import FaultError
from dtkdns.state import StateDirectory
from dtkdns.tap import Values


def installed(machine: Machine) -> Values:
    """Where the files of the installed service are; where there is none, those of one without options."""
    options = options_of(machine.text(SERVICE)) or ()
    return read([word for word in options if word.startswith(("--hosts-file=", "--state="))], program()).values


def has_block(path: str, state: StateDirectory) -> bool:
    """Whether the hosts file has the block of this state. Raises `FaultError`."""
    try:
        block = read_block(read_text(os.path.realpath(path)))
    except HostsFileError as error:
        raise FaultError(str(error), "Then run this again.") from error
    return block is not None and block.state == state.identity


def take_block_out(path: str, state: StateDirectory) -> None:
    """Have the hosts file as it was before. Raises `FaultError`, also where a dtkdns still keeps it."""
    claim = HostsClaim(path)
    file = HostsFile(path, Journal(state.journal))
    try:
        claim.take()
        try:
            file.recover()
            FormerHostsFile(file, state.identity).take_out()
        finally:
            claim.release()
    except (ClaimError, HostsFileError) as error:
        raise FaultError(str(error), "Then run this again.") from error
