"""What is committed is there again, whatever happens to the process, the disk or a bit of the file."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Protocol
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkdns import store as store_module
from dtkdns.cluster import Cluster
from dtkdns.endpoint import Changes, Endpoint, Key
from dtkdns.store import (
    SCHEMA,
    Loaded,
    MemoryStore,
    SQLiteStore,
    Store,
    StoreError,
    StoreTooNewError,
    _committed_frames,
    read_only,
)
from dtkdns.wire import decode_endpoint

NOW = 1700000000.25


def endpoint(name: str, record_type: str = "A", target: str = "10.0.0.1", **more: object) -> Endpoint:
    fields = {"dnsName": name, "targets": [target], "recordType": record_type, **more}
    return decode_endpoint(json.dumps(fields, ensure_ascii=False).encode())


def names(count: int) -> list[Endpoint]:
    return [endpoint(f"n{number}.dtk.io") for number in range(count)]


def put(store: Store, cluster: Cluster, *endpoints: Endpoint, now: float = NOW) -> Cluster:
    return change(store, cluster, Changes(create=endpoints), now)


def change(store: Store, cluster: Cluster, changes: Changes, now: float = NOW) -> Cluster:
    after, delta = cluster.apply(changes, now)
    store.commit(after, delta)
    return after


def held(loaded: Loaded) -> dict[str, tuple[dict[Key, bytes], dict[str, float]]]:
    """Documents and times by the name of a cluster that has any."""
    return {
        name: ({found.key: found.document for found in cluster.all_endpoints()}, dict(cluster.since))
        for name, cluster in loaded.clusters.items()
        if cluster.endpoints
    }


def documents(loaded: Loaded, cluster: str = "default") -> list[bytes]:
    return [found.document for found in loaded.clusters[cluster].all_endpoints()]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def asides(path: Path) -> list[Path]:
    return [found for found in path.parent.iterdir() if re.search(r"\.damaged-\w+$", found.name)]


class Kind(Protocol):
    """A kind of store, and how what it holds is found again."""

    def new(self, directory: Path) -> Store: ...

    def after_kill(self, store: Store) -> Store:
        """What a start finds while the first one is neither closed nor asked for anything."""
        ...


class OnDisk:
    def new(self, directory: Path) -> Store:
        return SQLiteStore(str(directory / "records.sqlite"))

    def after_kill(self, store: Store) -> Store:
        assert isinstance(store, SQLiteStore)
        return SQLiteStore(store.path)


class InMemory:
    def new(self, directory: Path) -> Store:
        return MemoryStore()

    def after_kill(self, store: Store) -> Store:
        return MemoryStore(store.load())


@pytest.fixture(params=[OnDisk(), InMemory()], ids=["sqlite", "memory"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite"


def make(path: Path, *endpoints: Endpoint) -> Cluster:
    """A closed database that holds the endpoints."""
    store = SQLiteStore(str(path))
    store.load()
    cluster = put(store, Cluster("default"), *endpoints)
    store.close()
    return cluster


def load(path: Path) -> Loaded:
    store = SQLiteStore(str(path))
    try:
        return store.load()
    finally:
        store.close()


def edit(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


# Every store


def test_a_new_store_holds_nothing(kind: Kind, tmp_path: Path) -> None:
    store = kind.new(tmp_path)
    assert store.load() == Loaded({})
    store.close()


def test_what_was_committed_survives_a_process_that_is_never_closed(kind: Kind, tmp_path: Path) -> None:
    store = kind.new(tmp_path)
    store.load()
    odd = endpoint("\u00fcn\u2028\nIcode.", "TXT", "\0", unknown={"a": [1.0, None]}, setIdentifier="eu")
    default = Cluster("default", ("dtk.io",), ("10.0.0.9",))
    default = put(store, default, endpoint("B.dtk.io."), odd, now=NOW)
    default = put(store, default, endpoint("a.dtk.io"), endpoint("b.dtk.io", "AAAA", "::1"), now=NOW + 0.1)
    lab = put(store, Cluster("lab"), endpoint("b.dtk.io", target="10.0.0.2"), now=NOW + 0.2)
    again = kind.after_kill(store)
    loaded = again.load()
    assert loaded == Loaded(
        {
            "default": Cluster("default", (), (), default.endpoints, default.since),
            "lab": Cluster("lab", (), (), lab.endpoints, lab.since),
        }
    )
    assert loaded.clusters["default"].since == {"b.dtk.io": NOW, "a.dtk.io": NOW + 0.1}
    again.close()
    store.close()


def test_a_closed_store_can_be_loaded_and_committed_to_again(kind: Kind, tmp_path: Path) -> None:
    store = kind.new(tmp_path)
    store.load()
    cluster = put(store, Cluster("default"), *names(3))
    store.close()
    store.close()
    cluster = store.load().clusters["default"]
    put(store, cluster, endpoint("n3.dtk.io"))
    store.close()
    assert documents(store.load()) == [found.document for found in names(4)]
    store.close()


def test_updates_keep_the_order_in_which_records_first_came(kind: Kind, tmp_path: Path) -> None:
    store = kind.new(tmp_path)
    store.load()
    cluster = put(store, Cluster("default"), *(endpoint(f"{letter}.dtk.io") for letter in "cabd"))
    changed = endpoint("a.dtk.io", target="10.0.0.2")
    cluster = change(store, cluster, Changes(update_old=(endpoint("a.dtk.io"),), update_new=(changed,)))
    change(
        store,
        cluster,
        Changes(create=(endpoint("e.dtk.io"), endpoint("c.dtk.io", target="::")), delete=(endpoint("b.dtk.io"),)),
    )
    again = kind.after_kill(store)
    found = again.load().clusters["default"].all_endpoints()
    assert [(one.owner[0], one.targets[0]) for one in found] == [
        ("c", "::"),
        ("a", "10.0.0.2"),
        ("d", "10.0.0.1"),
        ("e", "10.0.0.1"),
    ]
    again.close()
    store.close()


def test_thousands_of_records_come_back_in_their_order(kind: Kind, tmp_path: Path) -> None:
    many = names(2 * store_module._BATCH + 1)
    store = kind.new(tmp_path)
    store.load()
    cluster = put(store, Cluster("default"), *many)
    again = kind.after_kill(store)
    assert documents(again.load()) == [found.document for found in many]
    again.close()
    change(store, cluster, Changes(delete=tuple(many[1:])))
    again = kind.after_kill(store)
    assert documents(again.load()) == [many[0].document]
    again.close()
    store.close()


def test_tidying_loses_nothing(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_CHECKPOINT_BYTES", 0)
    store = kind.new(tmp_path)
    store.tidy()
    store.load()
    cluster = put(store, Cluster("default"), *names(3))
    store.tidy()
    put(store, cluster, endpoint("n3.dtk.io"))
    again = kind.after_kill(store)
    assert documents(again.load()) == [found.document for found in names(4)]
    again.close()
    store.close()
    store.tidy()


ENDPOINTS = st.builds(
    endpoint,
    st.sampled_from(["a.dtk.io", "A.dtk.io.", "\u00fc.dtk.io", "xn--tda.dtk.io", "*.dtk.io", ""]),
    st.sampled_from(["A", "AAAA", "CNAME", "TXT"]),
    st.sampled_from(["10.0.0.1", "10.0.0.2"]),
)
LISTS = st.lists(ENDPOINTS, max_size=4).map(tuple)
POSTS = st.tuples(st.sampled_from(["default", "lab"]), st.builds(Changes, create=LISTS, delete=LISTS))


@given(kind=st.sampled_from([OnDisk(), InMemory()]), posts=st.lists(POSTS, min_size=1, max_size=8))
@settings(max_examples=120)
def test_after_any_changes_a_start_finds_what_the_clusters_hold(
    kind: Kind, posts: list[tuple[str, Changes]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = kind.new(Path(directory))
        store.load()
        clusters = {name: Cluster(name) for name in ("default", "lab")}
        for now, (name, changes) in enumerate(posts, start=1):
            clusters[name] = change(store, clusters[name], changes, now / 3)
        again = kind.after_kill(store)
        loaded = again.load()
        assert held(loaded) == held(Loaded(clusters))
        assert loaded.damage == ()
        again.close()
        store.close()


# On disk


def test_a_commit_is_synced_before_it_returns(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.load()
    assert store._connection is not None
    modes = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]
    store.close()


def test_a_long_log_is_moved_into_the_database_and_a_short_one_is_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Path(f"{path}-wal")
    store = SQLiteStore(str(path))
    store.load()
    put(store, Cluster("default"), *names(3))
    store.tidy()
    assert log.stat().st_size > 0
    monkeypatch.setattr(store_module, "_CHECKPOINT_BYTES", 0)
    store.tidy()
    assert log.stat().st_size == 0
    log.unlink()
    store.tidy()
    store.close()


def test_a_log_that_cannot_be_moved_now_stays_and_nothing_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_CHECKPOINT_BYTES", 0)
    store = SQLiteStore(str(path))
    store.load()
    assert store._connection is not None
    store._connection.execute("PRAGMA busy_timeout=0")
    put(store, Cluster("default"), *names(3))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM endpoint").fetchone()
        store.tidy()
    store.close()
    assert len(documents(load(path))) == 3


def test_nothing_is_committed_to_a_store_that_is_not_open(path: Path) -> None:
    store = SQLiteStore(str(path))
    with pytest.raises(StoreError, match="is not open"):
        put(store, Cluster("default"), *names(1))
    assert not path.exists()


def limit_pages(store: SQLiteStore, more: int) -> None:
    """Let the database grow by so many pages, as a disk does that is nearly full."""
    assert store._connection is not None
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages + more}")


def test_on_a_full_disk_nothing_is_half_stored_and_later_commits_work(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.load()
    first = put(store, Cluster("default"), *names(3))
    limit_pages(store, 1)
    changes = Changes(create=tuple(endpoint(f"m{number}.dtk.io") for number in range(500)), delete=(names(1)[0],))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot be stored in .*: .*full"):
            change(store, first, changes)
        assert held(load(path)) == held(Loaded({"default": first}))
    second = put(store, first, endpoint("m7.dtk.io"))
    limit_pages(store, 1000)
    third = change(store, second, changes)
    third = change(store, third, Changes(delete=(endpoint("m7.dtk.io"), endpoint("n1.dtk.io"))))
    assert held(load(path)) == held(Loaded({"default": third}))
    store.close()


def test_a_database_that_another_program_holds_locked_takes_the_change_when_it_comes_again(path: Path) -> None:
    store = SQLiteStore(str(path))
    store.load()
    assert store._connection is not None
    store._connection.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            put(store, Cluster("default"), *names(2))
    put(store, Cluster("default"), *names(2))
    assert documents(load(path)) == [found.document for found in names(2)]
    store.close()


def test_a_newer_database_is_refused_and_left_as_it_is(path: Path) -> None:
    make(path, *names(3))
    edit(path, f"PRAGMA user_version={SCHEMA + 1}")
    before = contents(path.parent)
    with pytest.raises(StoreTooNewError, match=r"newer dtkdns: start that one, or give another --state\.$"):
        load(path)
    assert contents(path.parent) == before


def test_a_database_that_cannot_be_opened_now_is_not_put_aside(path: Path) -> None:
    path.mkdir()
    store = SQLiteStore(str(path))
    with pytest.raises(StoreError, match=r"^The records in .* cannot be read: .*\.$"):
        store.load()
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    path.rmdir()
    assert store.load() == Loaded({})
    store.close()


# Damage


def overwrite(at: slice, filler: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] = filler * len(data[at])
        path.write_bytes(data)

    return damage


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def drop_table(path: Path) -> None:
    edit(path, "DROP TABLE endpoint")


def forget_version(path: Path) -> None:
    edit(path, "PRAGMA user_version=0")


def another_table(path: Path) -> None:
    edit(path, "DROP TABLE endpoint")
    edit(path, "CREATE TABLE endpoint (id INTEGER PRIMARY KEY)")


def cell_lost(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # A leaf of a table that has cells (SQLite file format, section 1.6).
    page = next(at for at in range(4096, len(data), 4096) if data[at] == 0x0D and data[at + 4])
    data[page + 4] -= 1
    path.write_bytes(data)


DAMAGES = [
    overwrite(slice(0, 100), b"\0"),
    overwrite(slice(None), b"x"),
    overwrite(slice(4096, None), b"\xff"),
    truncate,
    drop_table,
    forget_version,
    another_table,
    cell_lost,
]
DAMAGE_IDS = ["header", "all", "pages", "truncated", "no table", "no version", "other columns", "a row fewer"]


@pytest.mark.parametrize("damage", DAMAGES, ids=DAMAGE_IDS)
def test_a_corrupt_database_is_put_aside_whole_and_said_and_a_new_one_works(
    path: Path, damage: Callable[[Path], None]
) -> None:
    make(path, *names(100))
    damage(path)
    damaged = path.read_bytes()
    store = SQLiteStore(str(path))
    loaded = store.load()
    assert loaded.clusters == {}
    (sentence,) = loaded.damage
    (aside,) = asides(path)
    assert aside.read_bytes() == damaged
    assert sentence.startswith(f"{path} is damaged (")
    assert sentence.endswith(f") and was put aside as {aside}.")
    put(store, Cluster("default"), *names(2))
    store.close()
    again = load(path)
    assert documents(again) == [found.document for found in names(2)]
    assert again.damage == ()


def test_a_database_that_is_damaged_again_at_once_leaves_the_one_put_aside_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda _format: "20260101T000000")
    for content in (b"first" * 100, b"second" * 100):
        path.write_bytes(content)
        assert load(path).damage
        path.unlink()
    assert sorted(contents(path.parent).values()) == [b"first" * 100, b"second" * 100]


def test_a_corrupt_database_that_cannot_be_put_aside_is_left_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"x" * 5000)

    def refuse(_source: object, _target: object) -> None:
        raise OSError(30, "Read-only file system")

    store = SQLiteStore(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(StoreError, match=r"cannot be read: .*Read-only file system"):
            store.load()
    assert path.read_bytes() == b"x" * 5000
    assert store.load().damage
    store.close()


def put_row(path: Path, document: bytes) -> None:
    digest = crc32(document, crc32(b"default None"))
    edit(path, "UPDATE endpoint SET since = NULL, document = ?, digest = ? WHERE id = 2", document, digest)


ROW_DAMAGES: list[Callable[[Path], None]] = [
    lambda path: edit(path, "UPDATE endpoint SET document = replace(document, '10.', '11.') WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET document = 7 WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET since = since + 1 WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET since = NULL WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET cluster = 'defaulu' WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET digest = digest | 4294967296 WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET digest = 'x' WHERE id = 2"),
    lambda path: edit(path, "UPDATE endpoint SET cluster = x'ff' WHERE id = 2"),
    lambda path: put_row(path, b'{"dnsName":7}'),
    lambda path: put_row(path, b'{"dnsName":"'),
]
ROW_DAMAGE_IDS = ["document", "no blob", "since", "no since", "cluster", "digest", "text", "utf-8", "type", "json"]


@pytest.mark.parametrize("damage", ROW_DAMAGES, ids=ROW_DAMAGE_IDS)
def test_a_damaged_row_costs_only_that_row_which_is_kept_apart_and_may_come_again(
    path: Path, damage: Callable[[Path], None]
) -> None:
    make(path, *names(3))
    damage(path)
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute(
            "SELECT id, cluster, since, document, digest FROM endpoint WHERE id = 2"
        ).fetchone()
    store = SQLiteStore(str(path))
    loaded = store.load()
    assert loaded.damage == ("1 stored records are damaged and were put aside.",)
    assert documents(loaded) == [names(3)[0].document, names(3)[2].document]
    assert list(loaded.clusters) == ["default"]

    put(store, loaded.clusters["default"], names(3)[1])
    store.close()
    again = load(path)
    assert again.damage == ()
    assert documents(again) == [names(3)[n].document for n in (0, 2, 1)]
    with closing(sqlite3.connect(path)) as connection:
        (kept,) = connection.execute("SELECT * FROM damaged").fetchall()
    assert kept[1:] == row
    assert abs(kept[0] - time.time()) < 60


def test_a_name_has_had_addresses_since_the_first_of_its_rows(path: Path) -> None:
    make(path, endpoint("n.dtk.io"), endpoint("n.dtk.io", "AAAA", "::1"))
    digest = crc32(endpoint("n.dtk.io", "AAAA", "::1").document, crc32(b"default 5.0"))
    edit(path, "UPDATE endpoint SET since = 5, digest = ? WHERE id = 2", digest)
    loaded = load(path)
    assert loaded.damage == ()
    assert loaded.clusters["default"].since == {"n.dtk.io": 5.0}


def test_of_very_many_rows_those_that_are_damaged_are_lost_alone(path: Path) -> None:
    stored = [*names(1000), *(endpoint(f"n{number}.dtk.io", "TXT") for number in range(1000))]
    make(path, *stored)
    edit(path, "UPDATE endpoint SET digest = digest + 1 WHERE id IN (1, 200, 201, 777, 2000)")
    loaded = load(path)
    assert loaded.damage == ("5 stored records are damaged and were put aside.",)
    assert set(documents(loaded)) < {found.document for found in stored}
    assert len(documents(loaded)) == 1995
    assert len(loaded.clusters["default"].since) == 997


@given(st.data())
@settings(max_examples=80)
def test_a_flipped_bit_never_changes_or_loses_a_record_without_a_word(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "records.sqlite"
        make(path, *names(4), endpoint("a-n1.dtk.io", "TXT"))
        content = bytearray(path.read_bytes())
        used = [at for at, byte in enumerate(content) if byte and not 60 <= at < 64]  # but the schema's version
        at = data.draw(st.sampled_from(used))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        loaded = load(path)
        stored = [found.document for found in (*names(4), endpoint("a-n1.dtk.io", "TXT"))]
        found = documents(loaded) if loaded.clusters else []
        assert not set(found) - set(stored)
        if loaded.damage:
            assert len(found) == len(stored) - 1 or [one.read_bytes() for one in asides(path)] == [content]
        else:
            assert found == stored


# Reading only


def after_crash(path: Path, target: Path, suffixes: Iterable[str] = ("", "-wal", "-shm")) -> None:
    """The files as a process leaves them that is killed with its last changes in the log only."""
    store = SQLiteStore(str(path))
    store.load()
    cluster = put(store, Cluster("default"), *names(3))
    put(store, cluster, endpoint("late.dtk.io"))
    for suffix in suffixes:
        (target / f"records.sqlite{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    store.close()


def test_reading_only_changes_nothing_of_a_closed_database(path: Path) -> None:
    make(path, *names(3))
    before = contents(path.parent)
    assert documents(read_only(str(path))) == [found.document for found in names(3)]
    assert contents(path.parent) == before
    assert set(before) == {path.name}


@pytest.mark.parametrize("suffixes", [("", "-wal"), ("", "-wal", "-shm")], ids=["log", "log and shared memory"])
def test_reading_only_finds_what_is_in_the_log_and_changes_nothing(
    path: Path, tmp_path: Path, suffixes: tuple[str, ...]
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    after_crash(path, left, suffixes)
    before = contents(left)
    found = documents(read_only(str(left / path.name)))
    assert found == [one.document for one in (*names(3), endpoint("late.dtk.io"))]
    assert contents(left) == before


def test_reading_only_beside_a_running_process_gives_one_moment_of_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteStore(str(path))
    store.load()
    cluster = put(store, Cluster("default"), *names(3))
    monkeypatch.setattr(store_module, "_CHECKPOINT_BYTES", 0)
    copyfile, copied = shutil.copyfile, 0

    def copy_while_it_changes(source: str, target: str) -> None:
        nonlocal cluster, copied
        copyfile(source, target)
        copied += 1
        if copied == 1:
            cluster = put(store, cluster, endpoint("late.dtk.io"))
            store.tidy()

    monkeypatch.setattr(shutil, "copyfile", copy_while_it_changes)
    assert held(read_only(str(path))) == held(Loaded({"default": cluster}))
    assert copied > 2
    store.close()


@pytest.mark.parametrize("name", ["a b", "a?b", "a#b", "a%41b"])
def test_reading_only_finds_a_database_in_a_directory_of_any_name(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    make(directory / "records.sqlite", *names(3))
    assert len(documents(read_only(str(directory / "records.sqlite")))) == 3
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_reading_only_where_there_is_nothing_makes_nothing(path: Path) -> None:
    assert read_only(str(path)) == Loaded({})
    assert contents(path.parent) == {}


def test_reading_only_says_damaged_rows_and_leaves_them(path: Path) -> None:
    make(path, *names(3))
    edit(path, "UPDATE endpoint SET digest = digest + 1 WHERE id = 2")
    before = contents(path.parent)
    loaded = read_only(str(path))
    assert len(documents(loaded)) == 2
    assert loaded.damage
    assert contents(path.parent) == before


def test_reading_only_says_that_a_database_cannot_be_read_and_leaves_it(path: Path) -> None:
    path.write_bytes(b"x" * 5000)
    with pytest.raises(StoreError, match=r"^The records in .*records\.sqlite cannot be read: .*\.$"):
        read_only(str(path))
    assert contents(path.parent) == {path.name: b"x" * 5000}


def test_a_memory_store_starts_from_what_another_holds_and_never_changes_that(path: Path) -> None:
    cluster = make(path, *names(3))
    before = contents(path.parent)
    memory = MemoryStore(read_only(str(path)))
    assert documents(memory.load()) == [found.document for found in names(3)]
    put(memory, cluster, endpoint("new.dtk.io"))
    assert len(documents(memory.load())) == 4
    assert contents(path.parent) == before


def test_a_flipped_bit_in_the_log_is_said_because_commits_are_lost_with_it(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    after_crash(path, left, ("", "-wal"))
    log = left / f"{path.name}-wal"
    data = bytearray(log.read_bytes())
    frame = 24 + int.from_bytes(data[8:12], "big")
    data[32 + frame * _committed_frames(str(log)) - 100] ^= 1
    log.write_bytes(data)
    loaded = load(left / path.name)
    assert len(loaded.clusters["default"].endpoints) == 3
    assert loaded.damage == (f"The last commits in {log} are damaged and lost.",)


def test_an_empty_database_beside_a_log_is_put_aside_with_it(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    after_crash(path, left, ("", "-wal"))
    log = (left / f"{path.name}-wal").read_bytes()
    (left / path.name).write_bytes(b"")
    assert "it is empty, but its log is not" in load(left / path.name).damage[0]
    assert log in contents(left).values()


def test_a_database_that_changes_all_the_time_is_not_read_half(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(path, *names(3))
    times = count()
    monkeypatch.setattr("dtkdns.store._versions", lambda _files: [(next(times), 0)])
    with pytest.raises(StoreError, match="change all the time"):
        read_only(str(path))


def test_reading_only_refuses_a_newer_database(path: Path) -> None:
    make(path, *names(1))
    edit(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreTooNewError):
        read_only(str(path))
