"""A hosts file that is only read: what would be written goes to the log."""

from __future__ import annotations

from twisted.logger import Logger

from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import Edited, Foreign, HostsFile, Transform, read_text
from dtkdns.hosts.text import remove
from dtkdns.reports import MANY


class DryRunHostsFile(HostsFile):
    """Takes the place of the real file: `edit` changes a copy in memory and logs each line's difference."""

    _log = Logger()

    def __init__(self, path: str) -> None:
        super().__init__(path, Journal(""))
        self._text: bytes | None = None

    def edit(self, transform: Transform, _foreign: Foreign = remove) -> Edited:
        """Log what would be written. Raises `HostsFileError`."""
        text = read_text(self.target) if self._text is None else self._text
        new = transform(text)
        self._text = new
        before, after = text.splitlines(), new.splitlines()
        old_lines, new_lines = set(before), set(after)
        difference = [("-", line) for line in before if line not in new_lines]
        difference += [("+", line) for line in after if line not in old_lines]
        for sign, line in difference[:MANY]:
            self._log.info("Would write: {sign} {line}", sign=sign, line=line.decode("latin-1"))
        if len(difference) > MANY:
            self._log.info("Would write {count} lines more.", count=len(difference) - MANY)
        return Edited(new, False, "", self.signature())
