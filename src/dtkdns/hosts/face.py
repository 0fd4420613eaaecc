"""The hosts file as a part of the service: claimed, mended, watched, let go in the end; or given up for good."""

from __future__ import annotations

from attrs import frozen
from twisted.logger import Logger

from dtkdns.hosts.claim import HostsClaim
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.replace import HostsFile, read_text
from dtkdns.hosts.text import read, remove
from dtkdns.hosts.watch import HostsWatch
from dtkdns.hosts.writer import HostsWriter

_log = Logger(namespace="dtkdns.hosts")


@frozen
class HostsFace:
    """What belongs to one hosts file."""

    file: HostsFile
    claim: HostsClaim
    writer: HostsWriter
    watch: HostsWatch

    def take(self) -> None:
        """Claim the file, and mend what a crash left. Raises `ClaimError`."""
        self.claim.take()
        try:
            for sentence in self.file.recover():
                _log.warn("{sentence}", sentence=sentence)
        except HostsFileError as error:
            _log.error("{error} It is tried again with the next write.", error=str(error))

    def release(self) -> None:
        """Let others have the file."""
        self.claim.release()


@frozen
class FormerHostsFile:
    """A hosts file that is kept no longer: a block that is left in it would win over DNS for ever."""

    file: HostsFile
    state: str
    """Whose block it must be."""

    def clear(self) -> None:
        """Take the block out if there is one; says what it did, or what it could not do."""
        path = self.file.path
        try:
            if self.take_out():
                _log.info("{path} is kept no longer: the block of dtkdns is taken out.", path=path)
        except HostsFileError as error:
            _log.warn("{error} Names that stand in {path} still win over DNS.", error=error, path=path)

    def take_out(self) -> bool:
        """Take the block out, and say whether there was one. Raises `HostsFileError`."""
        block = read(read_text(self.file.target))
        if block is None or block.state != self.state:
            return False
        self.file.edit(lambda text: remove(text, self.file.ours))
        return True
