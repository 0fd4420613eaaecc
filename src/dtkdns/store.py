"""The records on disk: what is loaded at start, and what each change commits.

SQLite in WAL mode with `synchronous=FULL`, so that a commit that returned survives a power cut. Each row carries
a digest of what it holds, because most flipped bits pass SQLite's own checks. Every method blocks: it runs at
start, before anything listens, and then on the store's own thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Protocol, TypeAlias
from zlib import crc32

from attrs import define, field, frozen

from dtkdns.cluster import Cluster, Delta, Group
from dtkdns.endpoint import ADDRESS_TYPES, Endpoint, Key
from dtkdns.wire import decode_documents

_Row: TypeAlias = tuple[int, bytes, float | None, bytes, int]
"""Number, cluster, since, document, digest; where it is damaged, anything."""

SCHEMA = 1
_CHECKPOINT_BYTES = 8 * 1024 * 1024
_TABLES = """
CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    since REAL,
    document BLOB NOT NULL,
    digest INTEGER NOT NULL
);
CREATE TABLE damaged (found REAL, id, cluster, since, document, digest);
CREATE TABLE lost (sentence TEXT NOT NULL);
"""
_PUT = "INSERT OR REPLACE INTO endpoint (id, cluster, since, document, digest) VALUES "
_COPIES = 20
_BATCH = 200
"""Rows read at a time, and put by one statement: each gives up the interpreter's lock, and has to wait for it."""
_REMOVE = "DELETE FROM endpoint WHERE id = ?"


class StoreError(Exception):
    """The records could not be read or committed now; it may mend itself. The message is a sentence."""


class StoreTooNewError(Exception):
    """The database was made by a newer dtkdns; the message is a sentence."""


@frozen
class Loaded:
    """What was found at start."""

    clusters: Mapping[str, Cluster]
    """By name, with endpoints only: domains and addresses come from the settings."""
    damage: tuple[str, ...] = ()
    """What was lost, in sentences, and not made good by a commit since; records may be missing if there is any."""


class Store(Protocol):
    def load(self) -> Loaded:
        """Open the store and read everything. Raises `StoreError` and `StoreTooNewError`."""
        ...

    def commit(self, cluster: Cluster, delta: Delta) -> None:
        """Make a change durable: `cluster` is the value after it. Raises `StoreError`; then nothing was stored."""
        ...

    def tidy(self) -> None:
        """What can be put off until a change has been answered."""
        ...

    def close(self) -> None:
        """Close it; `load` opens it again."""
        ...


class MemoryStore:
    """The twin that keeps nothing on disk; it can start from what another store holds."""

    def __init__(self, loaded: Loaded | None = None) -> None:
        self._loaded = loaded or Loaded({})

    def load(self) -> Loaded:
        return self._loaded

    def commit(self, cluster: Cluster, delta: Delta) -> None:
        clusters = dict(self._loaded.clusters)
        clusters[cluster.name] = Cluster(cluster.name, (), (), cluster.endpoints, cluster.since)
        self._loaded = Loaded(clusters)

    def tidy(self) -> None:
        pass

    def close(self) -> None:
        pass


class SQLiteStore:
    """The store in one SQLite file: a row for each endpoint, numbered in the order in which they first came.

    Which endpoint has which row is known here and not in an index, which would cost more than the rows.
    """

    def __init__(self, path: str, prepare: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._prepare = prepare
        """Called before each attempt to open the file, for what must be there first."""
        self._connection: sqlite3.Connection | None = None
        self._rows = _Rows()

    def load(self) -> Loaded:
        damage: list[str] = []
        self._prepare()
        try:
            try:
                loaded, sentences = self._load_checked(damage)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if _may_mend(error):
                    raise
                self.close()
                damage.append(f"{self.path} is damaged ({error}) and was put aside as {self._put_aside()}.")
                loaded, sentences = self._load_checked(damage)
        except StoreTooNewError:
            self.close()
            raise
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreError(f"The records in {self.path} cannot be read: {error}.") from error
        return Loaded(loaded.clusters, sentences)

    def _load_checked(self, damage: list[str]) -> tuple[Loaded, tuple[str, ...]]:
        """What is stored, and every sentence about damage, of earlier starts too."""
        loaded, self._rows = self._open_checked(damage)
        return loaded, _remember(self._connected(), [*damage, *loaded.damage])

    def commit(self, cluster: Cluster, delta: Delta) -> None:
        connection = self._connected()
        ids = self._rows.of(cluster.name)
        added = self._rows.number(ids, delta.put)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_REMOVE, [(ids[key],) for key in delta.removed if key in ids])
            for start in range(0, len(delta.put), _BATCH):
                values = _values(cluster, delta.put[start : start + _BATCH], ids)
                connection.execute(_PUT + ", ".join(["(?, ?, ?, ?, ?)"] * (len(values) // 5)), values)
            connection.execute("DELETE FROM lost")
            connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            for key in added:
                del ids[key]
            if isinstance(error, sqlite3.Error):
                raise StoreError(
                    f"The records cannot be stored in {self.path} ({error}): is the disk full or read-only?"
                ) from error
            raise
        for key in delta.removed:
            ids.pop(key, None)

    def tidy(self) -> None:
        """Move a long write-ahead log into the database."""
        if self._connection is not None and self._log_bytes() > _CHECKPOINT_BYTES:
            with contextlib.suppress(sqlite3.Error):  # the log only stays longer
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):  # what was committed is in the log
                self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.path} is not open.")
        return self._connection

    def _open_checked(self, damage: list[str]) -> tuple[Loaded, _Rows]:
        """Open the file and read its rows; what its log has lost is added to `damage`."""
        committed = _committed_frames(self.path + "-wal")
        if committed and not os.path.getsize(self.path):
            raise sqlite3.DatabaseError("it is empty, but its log is not")
        connection = self._open()
        recovered: int = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        if recovered < committed:
            damage.append(f"The last commits in {self.path}-wal are damaged and lost.")
        return _load_rows(connection)

    def _open(self) -> sqlite3.Connection:
        if not os.path.exists(self.path):  # for this user alone; its log gets the same mode
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        version = _require_known_version(connection, self.path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # `tidy` does it, after the answer
        if version == 0:
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
        fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)
        return connection

    def _put_aside(self) -> str:
        first = f"{self.path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
        others = (f"{first}-{number}" for number in count(2))
        aside = next(name for name in chain([first], others) if not os.path.exists(name))
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path + suffix, aside + suffix)
        return aside

    def _log_bytes(self) -> int:
        try:
            return os.stat(self.path + "-wal").st_size
        except OSError:
            return 0


def _require_known_version(connection: sqlite3.Connection, path: str) -> int:
    """The version of the schema, 0 where there is none yet. Raises `StoreTooNewError`."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise StoreTooNewError(f"{path} was made by a newer dtkdns: start that one, or give another --state.")
    return version


def _may_mend(error: Exception) -> bool:
    """Whether an error is one of the disk or of a lock, and not of what is stored."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF != sqlite3.SQLITE_ERROR


def read_only(path: str) -> Loaded:
    """What a database holds, without changing or creating anything: for a dry run.

    SQLite writes beside a database that it only reads, so this reads a copy. Raises `StoreError`.
    """
    files = (path, path + "-wal")
    try:
        for _ in range(_COPIES):
            with tempfile.TemporaryDirectory() as directory:
                copy = os.path.join(directory, "records.sqlite")
                before = _versions(files)
                for file, suffix in zip(files, ("", "-wal"), strict=True):
                    with contextlib.suppress(FileNotFoundError):
                        shutil.copyfile(file, copy + suffix)
                if _versions(files) != before:
                    continue
                if before[0] is None:
                    return Loaded({})
                with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                    _require_known_version(connection, path)
                    return _load_rows(connection)[0]
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"The records in {path} cannot be read: {error}.") from error
    raise StoreError(f"The records in {path} change all the time: try again.")


def _committed_frames(log: str) -> int:
    """How many frames a write-ahead log holds up to the last commit that was begun to be written.

    SQLite recovers those up to the first damaged one, and says nothing (https://www.sqlite.org/fileformat2.html,
    section 4.1: the header, the salts, and which frame ends a commit).
    """
    try:
        with open(log, "rb") as file:
            header = file.read(32)
            frame = 24 + int.from_bytes(header[8:12], "big")
            number, committed = 0, 0
            while len(start := file.read(24)) == 24 and start[8:16] == header[16:24]:
                number += 1
                if start[4:8] != bytes(4):
                    committed = number
                file.seek(32 + number * frame)
    except FileNotFoundError:
        return 0
    return committed


def _versions(files: Iterable[str]) -> list[tuple[int, int] | None]:
    """What tells one content of each file from another; None for a file that is not there."""
    found: list[tuple[int, int] | None] = []
    for file in files:
        try:
            status = os.stat(file)
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return found


@define
class _Rows:
    """Which row each stored endpoint has."""

    ids: dict[str, dict[Key, int]] = field(factory=dict)
    """By cluster."""
    last: int = 0

    def of(self, cluster: str) -> dict[Key, int]:
        return self.ids.setdefault(cluster, {})

    def number(self, ids: dict[Key, int], endpoints: Iterable[Endpoint]) -> list[Key]:
        """Give rows to those of the endpoints that have none yet; which those are."""
        added = [endpoint.key for endpoint in endpoints if endpoint.key not in ids]
        for key in added:  # one call for all would keep the interpreter's lock for long
            self.last += 1
            ids[key] = self.last
        return added


def _values(cluster: Cluster, endpoints: Iterable[Endpoint], ids: Mapping[Key, int]) -> list[object]:
    """The columns of a row for each endpoint, one after the other."""
    values: list[object] = []
    name, since = cluster.name, cluster.since
    seed = name.encode()
    before, digest = None, _digest_of_columns(seed, None)
    for endpoint in endpoints:
        key, document = endpoint.key, endpoint.document
        when = since[endpoint.owner] if key[1] in ADDRESS_TYPES else None
        if when != before:
            before, digest = when, _digest_of_columns(seed, when)
        values += (ids[key], name, when, document, crc32(document, digest))
    return values


@lru_cache(maxsize=1024)
def _digest_of_columns(cluster: bytes, since: float | None) -> int:
    """What the CRC-32 of a row's document starts from, so that it is that of all but the row's number.

    It finds every burst of up to 32 flipped bits.
    """
    return crc32(b"%b %r" % (cluster, None if since is None else float(since)))


def _load_rows(connection: sqlite3.Connection) -> tuple[Loaded, _Rows]:
    found: dict[bytes, _Found] = {}
    damaged: list[int] = []
    row = 0
    connection.text_factory = bytes
    cursor = connection.execute("SELECT id, cluster, since, document, digest FROM endpoint ORDER BY id")
    while rows := cursor.fetchmany(_BATCH):
        for (row, cluster, when, _, _), endpoint in zip(rows, _decoded(rows), strict=True):
            if endpoint is None:
                damaged.append(row)
                continue
            into = found.get(cluster)
            if into is None:
                into = found[cluster] = _Found(cluster.decode())
            owner, group = endpoint.owner, (endpoint,)
            if into.endpoints.setdefault(owner, group) is not group:
                into.others.setdefault(owner, []).append(endpoint)
            into.ids[endpoint.key] = row
            if when is not None and into.since.setdefault(owner, when) > when:
                into.since[owner] = when
    connection.text_factory = str
    clusters = {one.name: one.cluster() for one in found.values()}
    known = _Rows({one.name: one.ids for one in found.values()}, row)
    if not damaged:
        return Loaded(clusters), known
    _move_damaged(connection, damaged)
    return Loaded(clusters, (f"{len(damaged)} stored records are damaged and were put aside.",)), known


def _decoded(rows: Sequence[_Row]) -> Sequence[Endpoint | None]:
    """The endpoint of each row; None for a damaged one."""
    try:
        if all(crc32(row[3], _digest_of_columns(row[1], row[2])) == row[4] for row in rows):
            return decode_documents([row[3] for row in rows])
    except (TypeError, ValueError):
        pass
    return [None] if len(rows) == 1 else [endpoint for row in rows for endpoint in _decoded([row])]


@define
class _Found:
    """What the rows of one cluster have been so far."""

    name: str
    endpoints: dict[str, Group] = field(factory=dict)
    """The first one of each name."""
    others: dict[str, list[Endpoint]] = field(factory=dict)
    """Those behind it."""
    since: dict[str, float] = field(factory=dict)
    ids: dict[Key, int] = field(factory=dict)

    def cluster(self) -> Cluster:
        for owner, others in self.others.items():
            self.endpoints[owner] += tuple(others)
        return Cluster(self.name, endpoints=self.endpoints, since=self.since)


def _remember(connection: sqlite3.Connection, damage: list[str]) -> tuple[str, ...]:
    """All damage that no commit has followed, also that of earlier starts."""
    with contextlib.suppress(sqlite3.Error):  # then this start alone knows of it
        connection.executemany("INSERT INTO lost VALUES (?)", [(sentence,) for sentence in damage])
    return tuple(sentence for (sentence,) in connection.execute("SELECT sentence FROM lost")) or tuple(damage)


def _move_damaged(connection: sqlite3.Connection, rows: list[int]) -> None:
    """Keep damaged rows in a table of their own, out of the way of the same records when they come again."""
    connection.execute("BEGIN IMMEDIATE")
    for row in rows:
        connection.execute("INSERT INTO damaged SELECT ?, * FROM endpoint WHERE id = ?", (time.time(), row))
        connection.execute("DELETE FROM endpoint WHERE id = ?", (row,))
    connection.execute("COMMIT")
