"""The records on disk: what is loaded at start, and what each change commits.

SQLite in WAL mode with `synchronous=FULL`, so that a commit that returned survives a power cut. Each row carries
a digest of what it holds, because most flipped bits pass SQLite's own checks. Every method blocks: it runs at
start, before anything listens, and then on the store's own thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Protocol

from attrs import frozen

from dtkdns.cluster import Cluster, Delta, Group
from dtkdns.endpoint import ADDRESS_TYPES, Endpoint
from dtkdns.wire import WireError, decode_endpoint

SCHEMA = 1
_CHECKPOINT_BYTES = 8 * 1024 * 1024
_TABLES = """
CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    set_identifier TEXT NOT NULL,
    since REAL,
    document BLOB NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (cluster, name, type, set_identifier)
);
CREATE TABLE damaged (found REAL, id, cluster, name, type, set_identifier, since, document, digest);
"""
_PUT = """
INSERT INTO endpoint (cluster, name, type, set_identifier, since, document, digest) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster, name, type, set_identifier)
DO UPDATE SET since = excluded.since, document = excluded.document, digest = excluded.digest
"""
_REMOVE = "DELETE FROM endpoint WHERE cluster = ? AND name = ? AND type = ? AND set_identifier = ?"


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
    """What was lost, in sentences; records may be missing if there is any."""


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
    """The store in one SQLite file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def load(self) -> Loaded:
        damage: list[str] = []
        try:
            try:
                connection = self._open()
                loaded = _load_rows(connection)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if _may_mend(error):
                    raise
                self.close()
                damage.append(f"{self.path} is damaged ({error}) and was put aside as {self._put_aside()}.")
                loaded = _load_rows(self._open())
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreError(f"The records in {self.path} cannot be read: {error}.") from error
        return Loaded(loaded.clusters, (*damage, *loaded.damage))

    def commit(self, cluster: Cluster, delta: Delta) -> None:
        connection = self._connection
        if connection is None:
            raise StoreError(f"{self.path} is not open.")
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_REMOVE, [(cluster.name, *key) for key in delta.removed])
            connection.executemany(_PUT, _rows(cluster, delta.put))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise StoreError(f"The records cannot be stored in {self.path}: {error}.") from error

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

    def _open(self) -> sqlite3.Connection:
        self._connection = connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            self.close()
            raise StoreTooNewError(
                f"{self.path} was made by a newer dtkdns: start that one, or give another --state."
            )
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
        aside = f"{self.path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path + suffix, aside + suffix)
        return aside

    def _log_bytes(self) -> int:
        try:
            return os.stat(self.path + "-wal").st_size
        except OSError:
            return 0


def _may_mend(error: Exception) -> bool:
    """Whether an error is one of the disk or of a lock, and not of what is stored."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF != sqlite3.SQLITE_ERROR


def read_only(path: str) -> Loaded:
    """What a database holds, without changing or creating anything: for a dry run.

    Raises `StoreError`.
    """
    if not os.path.exists(path):
        return Loaded({})
    try:
        log = os.stat(path + "-wal").st_size
    except OSError:
        log = 0
    # Without a log nobody has it open, and SQLite need not make its shared-memory file.
    uri = f"file:{path}?mode=ro" if log else f"file:{path}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        with contextlib.closing(connection):
            return _load_rows(connection, move_damaged=False)
    except sqlite3.Error as error:
        raise StoreError(f"The records in {path} cannot be read: {error}.") from error


def _rows(cluster: Cluster, endpoints: Iterable[Endpoint]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    name, since = cluster.name, cluster.since
    for endpoint in endpoints:
        when = since[endpoint.owner] if endpoint.key[1] in ADDRESS_TYPES else None
        digest = _digest(name, when, endpoint.document)
        rows.append((name, *endpoint.key, when, endpoint.document, digest))
    return rows


def _digest(cluster: str, since: float | None, document: bytes) -> bytes:
    """Of all that cannot be had from the document itself, and of the document."""
    return blake2b(b"%b %r %b" % (cluster.encode(), since, document), digest_size=8).digest()


def _load_rows(connection: sqlite3.Connection, *, move_damaged: bool = True) -> Loaded:
    groups: dict[str, dict[str, list[Endpoint]]] = {}
    since: dict[str, dict[str, float]] = {}
    damaged: list[int] = []
    connection.text_factory = bytes
    query = "SELECT id, cluster, name, type, set_identifier, since, document, digest FROM endpoint ORDER BY id"
    for row_id, cluster, name, record_type, set_identifier, when, document, digest in connection.execute(query):
        try:
            where = cluster.decode()
            endpoint = decode_endpoint(document)
            stored = (name.decode(), record_type.decode(), set_identifier.decode())
            sound = _digest(where, when, document) == digest and endpoint.key == stored
        except (AttributeError, TypeError, UnicodeDecodeError, WireError):
            sound = False
        if not sound:
            damaged.append(row_id)
            continue
        groups.setdefault(where, {}).setdefault(endpoint.owner, []).append(endpoint)
        if when is not None:
            times = since.setdefault(where, {})
            times[endpoint.owner] = min(when, times.get(endpoint.owner, when))
    connection.text_factory = str
    clusters = {name: _cluster(name, found, since.get(name, {})) for name, found in groups.items()}
    if not damaged:
        return Loaded(clusters)
    if move_damaged:
        _move_damaged(connection, damaged)
    return Loaded(clusters, (f"{len(damaged)} stored records are damaged and were put aside.",))


def _cluster(name: str, groups: Mapping[str, list[Endpoint]], since: Mapping[str, float]) -> Cluster:
    endpoints: dict[str, Group] = {owner: tuple(found) for owner, found in groups.items()}
    return Cluster(name, endpoints=endpoints, since=since)


def _move_damaged(connection: sqlite3.Connection, rows: list[int]) -> None:
    """Keep damaged rows in a table of their own, out of the way of the same records when they come again."""
    connection.execute("BEGIN IMMEDIATE")
    for row in rows:
        connection.execute("INSERT INTO damaged SELECT ?, * FROM endpoint WHERE id = ?", (time.time(), row))
        connection.execute("DELETE FROM endpoint WHERE id = ?", (row,))
    connection.execute("COMMIT")
