"""The face that writes the hosts file: one write at a time, and callers that come meanwhile share the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from dtkdns import names
from dtkdns.cluster import DEFAULT
from dtkdns.hosts.entries import Entries, Entry, make_entry
from dtkdns.hosts.faults import HostsFileError
from dtkdns.hosts.markers import Pieces, parse, untouched
from dtkdns.hosts.replace import Edited, HostsFile
from dtkdns.hosts.text import Spliced, put_in, take_out
from dtkdns.hosts.versions import Signature
from dtkdns.projection import HOSTS_FACE, Projection, Shown
from dtkdns.status import HostsStatus, PartStatus, utc
from dtkdns.worker import Worker

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between attempts after a failure; each pause is twice the one before."""
SLOW_SECONDS = 10.0
"""A write that takes longer than this is a sign of trouble."""
MANY_LINES = 1000
"""From here on it is felt that the system's resolver reads the whole file for every name that it looks up."""


@frozen
class _Written:
    edited: Edited
    spliced: Spliced
    foreign_edits: int
    """Changes by others that came in between."""
    lines: int
    """Of ours."""


class HostsBlock:
    """The block as it should be, and the writing of it. Blocks; only the hosts file's own thread uses it."""

    def __init__(self, file: HostsFile, state: str) -> None:
        self._file = file
        self._state = state
        self._entries = Entries()
        self._last: Spliced | None = None
        """The text as it was left."""

    def write(self, changes: Mapping[str, Shown | None]) -> _Written:
        """Take over changed names (None: no longer shown) and write the file if it differs.

        Raises `HostsFileError`; the changes are taken over all the same.
        """
        self._entries.update({name: _entry(shown) for name, shown in changes.items()})
        spliced: list[Spliced] = []
        foreign_edits, last = 0, self._last

        def parsed(text: bytes) -> Pieces:
            known = None
            if last is not None:
                if text is last.text and (pieces := untouched(text, last.start, last.stop)) is not None:
                    return pieces
                known = last.block
            return parse(text, known if known or spliced else self._file.ours)

        def transform(text: bytes) -> bytes:
            nonlocal foreign_edits, last
            foreign_edits += last is not None and text != last.text
            last = put_in(parsed(text), self._entries, self._state)
            spliced.append(last)
            return last.text

        edited = self._file.edit(transform, lambda text: take_out(parsed(text)))
        self._last = last
        taken_over = next((one.taken_over for one in spliced if one.taken_over), "")
        moved_out = dict.fromkeys(line for one in spliced for line in one.moved_out)
        whole = evolve(spliced[-1], taken_over=taken_over, moved_out=tuple(moved_out))
        return _Written(edited, whole, foreign_edits, self._entries.count)


class HostsWriter:
    """Keeps the block of the hosts file equal to the projection."""

    _log = Logger()
    name = HOSTS_FACE

    def __init__(self, block: HostsBlock, file: HostsFile, worker: Worker, clock: IReactorTime) -> None:
        self._block = block
        self._file = file
        self._worker = worker
        self._clock = clock
        self.status = HostsStatus(path=file.path)
        self._shown: Mapping[str, Shown] = {}
        self._changed: dict[str, None] = {}
        """The names that are not taken over yet, each once."""
        self._waiting: list[Deferred[None]] = []
        self._writing: Deferred[None] | None = None
        self._signature: Signature | None = None
        self._retry: IDelayedCall | None = None
        self._stopping: list[Deferred[None]] = []
        self._pause = FIRST_PAUSE
        self._told: set[str] = set()
        self._many_told = False
        self._began = 0.0

    def readiness(self) -> PartStatus:
        """Whether the block agrees with what should be in it; a write under way does no harm unless it is slow."""
        now = self._clock.seconds()
        if self.status.held:
            detail = "left as it is until external-dns has sent its records again"
        elif self.status.failing:
            detail = self.status.failing
        elif self._writing is not None and now - self._began > SLOW_SECONDS:
            detail = f"being written for {now - self._began:.0f} s: is the disk overloaded?"
        elif self._writing is None and self._file.signature() != self._signature:
            detail = "changed by others just now"
        else:
            return PartStatus("block", True, "agrees with the records")
        return PartStatus("block", False, detail)

    def hold(self) -> None:
        """Leave the block as it is until `release`: what should be in it is not known for certain."""
        self.status = evolve(self.status, held=True)

    def release(self) -> None:
        """Write again, with the next `show`."""
        self.status = evolve(self.status, held=False)

    def show(self, projection: Projection, changed: Iterable[str]) -> Deferred[None]:
        """Write these names as the projection has them.

        The Deferred fires when the file holds them and fails with `HostsFileError` if this attempt to write
        fails; further attempts follow with growing pauses. While the block is held it fires at once.
        """
        self._shown = projection.shown
        self._changed |= dict.fromkeys(changed)
        if self.status.held:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._write()
        return waiting

    def check(self) -> None:
        """Mend the block if the file is not the one that was written last."""
        known = self.status.written is not None or self.status.failing
        if known and not self.status.held and self._writing is None and self._file.signature() != self._signature:
            self._write()

    async def stop(self) -> None:
        """Let a write that is under way end, and try no more."""
        while self._writing is not None:
            ended: Deferred[None] = Deferred()
            self._stopping.append(ended)
            await ended
        if self._retry is not None and self._retry.active():
            self._retry.cancel()

    def _write(self) -> None:
        if self._writing is not None:
            return
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        changed, self._changed = self._changed, {}
        waiting, self._waiting = self._waiting, []
        self._began = self._clock.seconds()
        done = self._worker.run(self._write_changed, self._shown, changed).addCallbacks(
            self._written, self._failed
        )
        self._writing = done.addBoth(self._answer, waiting)

    def _write_changed(self, shown: Mapping[str, Shown], changed: Iterable[str]) -> _Written:
        """Runs on the hosts file's thread."""
        return self._block.write({name: shown.get(name) for name in changed})

    def _answer(self, failure: Failure | None, waiting: list[Deferred[None]]) -> None:
        self._writing = None
        if self._waiting:
            self._write()
        for one in waiting:
            if failure is None:
                one.callback(None)
            else:
                one.errback(failure)
        self.check()
        stopping, self._stopping = self._stopping, []
        for stop in stopping:
            if not stop.called:
                stop.callback(None)

    def _written(self, written: _Written) -> None:
        edited, spliced = written.edited, written.spliced
        if self.status.failing:
            self._log.info("The hosts file can be written again.")
        if edited.way.startswith("in place") and edited.way != self.status.way:
            self._log.warn("{path} is written {way}.", path=self._file.path, way=edited.way)
        for limit in edited.limits:
            if limit not in self._told:
                self._told.add(limit)
                self._log.info("{path}: {limit}.", path=self._file.path, limit=limit)
        if written.lines >= MANY_LINES and not self._many_told:
            self._many_told = True
            self._log.info(
                "{path} has {lines} lines of dtkdns now, and every lookup on this machine reads them all (0.1 ms"
                " for 1,000). DNS has no such cost: set up your resolver for the managed domains as the README"
                " says, and start dtkdns with --hosts-file none.",
                path=self._file.path,
                lines=written.lines,
            )
        if spliced.taken_over:
            self._log.warn(
                "The block in {path} was that of another dtkdns (state {state}), which does not run: taken over.",
                path=self._file.path,
                state=spliced.taken_over,
            )
        for line in spliced.moved_out:
            self._log.warn(
                "A line of yours stood inside the block of dtkdns and is now behind it: {line!r}", line=line
            )
        self._report_shadowed(spliced.shadowed)
        self._signature = edited.signature if edited.settled else None
        self._pause = FIRST_PAUSE
        now = self._clock.seconds()
        self.status = evolve(
            self.status,
            way=edited.way or self.status.way,
            written=utc(now),
            failing="",
            shadowed=spliced.shadowed,
            writes=self.status.writes + 1,
            seconds=self.status.seconds + now - self._began,
            foreign_edits=self.status.foreign_edits + written.foreign_edits,
        )

    def _report_shadowed(self, shadowed: Mapping[str, str]) -> None:
        for name in sorted(shadowed.keys() - self.status.shadowed.keys()):
            self._log.warn(
                "{name}: a line of your own in {path} says {theirs}, and it wins. Remove it to see the cluster's.",
                name=name,
                path=self._file.path,
                theirs=shadowed[name],
            )
        for name in sorted(self.status.shadowed.keys() - shadowed.keys()):
            self._log.info("{name}: no line of your own stands in the way any more.", name=name)

    def _failed(self, failure: Failure) -> Failure:
        if failure.check(HostsFileError) is None:
            self._log.failure("The hosts file was not written because of a fault of dtkdns itself.", failure)
            failure = Failure(HostsFileError("The hosts file was not written: see the log of dtkdns."))
        reason = failure.getErrorMessage()
        self._log.error("{reason} Next try within {pause:.0f} s.", reason=reason, pause=self._pause)
        self.status = evolve(self.status, failing=reason, failures=self.status.failures + 1)
        self._signature = self._file.signature()
        self._retry = self._clock.callLater(self._pause, self._try_again)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return failure

    def _try_again(self) -> None:
        self.status = evolve(self.status, retries=self.status.retries + 1)
        self._write()


def _entry(shown: Shown | None) -> Entry | None:
    """The block's entry for a name; none for a name that is not shown, or that a hosts file cannot hold."""
    if shown is None or names.is_wildcard(shown.name):
        return None
    cluster = "" if shown.cluster == DEFAULT else shown.cluster
    return make_entry(shown.name, shown.addresses, cluster, shown.resource)
