"""Apply, commit, publish: in that order, one change at a time, and what happens when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from dtkdns import provider as provider_module
from dtkdns import slices
from dtkdns.cluster import Cluster, Delta
from dtkdns.endpoint import Changes, Endpoint, make_endpoint
from dtkdns.fights import WINDOW
from dtkdns.projection import HOSTS_FACE, Projection
from dtkdns.provider import LOAD_PAUSE, MOST_WAITING, FullError, NotFoundError, NotReadyError, Provider
from dtkdns.settings import Given, PostedFile, PostedFileError, Settings
from dtkdns.slices import STRIDE, at_once
from dtkdns.status import StoreStatus
from dtkdns.store import Loaded, MemoryStore, StoreError, StoreTooNewError
from running import TurningClock, running


def address(name: str, target: str = "10.0.0.1") -> Endpoint:
    document = f'{{"dnsName":"{name}","targets":["{target}"],"recordType":"A"}}'.encode()
    return make_endpoint(name, "A", "", (target,), 0, {}, document)


class InlineWorker:
    """Runs work at once, or, while `hangs`, when the test says so."""

    def __init__(self) -> None:
        self.hangs = False
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.waiting.append((lambda: work(*args), done))
        if not self.hangs:
            self.catch_up()
        return done

    def catch_up(self) -> None:
        while self.waiting:
            work, done = self.waiting.pop(0)
            try:
                done.callback(work())
            except Exception:
                done.errback()


class RecordingFace:
    """Shows at once; notes what, and fails while it is told to."""

    name = HOSTS_FACE

    def __init__(self) -> None:
        self.shows: list[tuple[Projection, tuple[str, ...]]] = []
        self.held = False
        self.failure: Exception | None = None

    def show(self, projection: Projection, changed: Iterable[str]) -> Deferred[None]:
        self.shows.append((projection, tuple(changed)))
        return fail(self.failure) if self.failure else succeed(None)

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False


class FailingStore(MemoryStore):
    failure: StoreError | StoreTooNewError | None = None

    def load(self) -> Loaded:
        if self.failure:
            raise self.failure
        return super().load()

    def commit(self, cluster: Cluster, delta: Delta) -> None:
        if self.failure:
            raise self.failure
        super().commit(cluster, delta)


class Parts:
    def __init__(self, directory: Path, loaded: Loaded | None = None) -> None:
        self.clock = TurningClock()
        self.clock.advance(1000)
        self.worker = InlineWorker()
        self.face = RecordingFace()
        self.store = FailingStore(loaded)
        self.posted = PostedFile(str(directory / "posted.json"))
        self.provider = Provider(
            self.store,
            self.posted,
            (),
            [self.face],
            self.worker,  # type: ignore[arg-type]
            self.clock,
        )

    def load(self) -> Provider:
        self.provider.load(Settings(Given(("dtk.io",))))
        return self.provider

    def status(self) -> tuple[int, str]:
        """How many records are counted, which are those that are there, and why the store fails."""
        status = self.provider.store_status
        there = sum(len(list(cluster.all_endpoints())) for cluster in self.provider.clusters.values())
        assert status.records == there
        return status.records, status.failing


def many(number: int, prefix: str = "a") -> tuple[Endpoint, ...]:
    return tuple(address(f"{prefix}{count}.dtk.io") for count in range(number))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


@ensureDeferred
async def test_nothing_is_visible_before_it_is_committed(parts: Parts) -> None:
    provider = parts.load()
    parts.worker.hangs = True
    applied = Deferred.fromCoroutine(provider.apply("default", Changes(create=(address("a.dtk.io"),))))
    assert await provider.records("default") == b"[]"
    assert provider.projection.shown == {}
    parts.worker.hangs = False
    parts.worker.catch_up()
    await applied
    assert await provider.records("default") == b"[" + address("a.dtk.io").document + b"]"
    assert parts.face.shows[-1][1] == ("a.dtk.io",)


@ensureDeferred
async def test_what_cannot_be_committed_changes_nothing(parts: Parts) -> None:
    provider = parts.load()
    shows = len(parts.face.shows)
    parts.store.failure = StoreError("The disk is full.")
    with pytest.raises(StoreError):
        await provider.apply("default", Changes(create=(address("a.dtk.io"),)))
    assert await provider.records("default") == b"[]"
    assert len(parts.face.shows) == shows
    parts.store.failure = None
    await provider.apply("default", Changes(create=(address("a.dtk.io"),)))
    assert await provider.records("default") != b"[]"


@ensureDeferred
async def test_what_a_face_cannot_show_is_kept_all_the_same(parts: Parts) -> None:
    provider = parts.load()
    parts.face.failure = OSError("read-only")
    with pytest.raises(OSError, match="read-only"):
        await provider.apply("default", Changes(create=(address("a.dtk.io"),)))
    assert b"a.dtk.io" in await provider.records("default")


@ensureDeferred
async def test_a_repeated_post_is_answered_when_the_face_shows_it(parts: Parts) -> None:
    provider = parts.load()
    await provider.apply("default", Changes(create=(address("a.dtk.io"),)))
    parts.face.failure = OSError("read-only")
    with pytest.raises(OSError, match="read-only"):
        await provider.apply("default", Changes(create=(address("a.dtk.io"),)))


@ensureDeferred
async def test_an_empty_post_touches_nothing(parts: Parts) -> None:
    provider = parts.load()
    shows = len(parts.face.shows)
    await provider.apply("default", Changes())
    assert len(parts.face.shows) == shows


@ensureDeferred
async def test_a_disk_that_hangs_does_not_gather_changes_without_end(parts: Parts) -> None:
    provider = parts.load()
    parts.worker.hangs = True
    changes = [Changes(create=(address(f"a{number}.dtk.io"),)) for number in range(MOST_WAITING + 1)]
    under_way = [Deferred.fromCoroutine(provider.apply("default", change)) for change in changes]
    with pytest.raises(NotReadyError, match="wait for the disk"):
        await provider.apply("default", changes[0])
    parts.worker.hangs = False
    parts.worker.catch_up()
    for done in under_way:
        await done
    assert (await provider.records("default")).count(b"dnsName") == MOST_WAITING + 1


@ensureDeferred
async def test_damage_leaves_the_faces_alone_until_records_come_again(
    tmp_path: Path, log_lines: list[str]
) -> None:
    parts = Parts(tmp_path, Loaded({}, ("The database is damaged.",)))
    provider = parts.load()
    assert parts.face.held
    await provider.apply("default", Changes())
    assert parts.face.held
    await provider.apply("default", Changes(create=(address("a.dtk.io"),)))
    assert not parts.face.held
    assert any("The database is damaged. Until external-dns has sent" in line for line in log_lines)


@ensureDeferred
async def test_a_store_that_cannot_be_read_is_tried_again_and_only_the_filter_is_answered_meanwhile(
    tmp_path: Path,
) -> None:
    kept = address("a.dtk.io")
    cluster = Cluster("default", endpoints={"a.dtk.io": (kept,)}, since={"a.dtk.io": 1.0})
    parts = Parts(tmp_path, Loaded({"default": cluster}))
    parts.store.failure = StoreError("The disk cannot be read.")
    provider = parts.load()
    assert provider.domain_filter("default") == ("dtk.io",)
    with pytest.raises(NotReadyError, match="cannot be read"):
        await provider.records("default")
    with pytest.raises(NotReadyError, match="cannot be read"):
        at_once(provider.adjusting("default", []))
    parts.clock.advance(LOAD_PAUSE)
    with pytest.raises(NotReadyError):
        await provider.apply("default", Changes(create=(kept,)))
    parts.store.failure = None
    parts.clock.advance(LOAD_PAUSE)
    assert await provider.records("default") == b"[" + kept.document + b"]"
    assert provider.projection.shown["a.dtk.io"].addresses == ("10.0.0.1",)


def test_a_store_that_turns_out_to_be_too_new_is_not_tried_again(parts: Parts) -> None:
    parts.store.failure = StoreError("The disk cannot be read.")
    provider = parts.load()
    parts.store.failure = StoreTooNewError("A newer dtkdns made it.")
    parts.clock.advance(LOAD_PAUSE)
    assert provider.store_status.failing == "A newer dtkdns made it."
    assert parts.clock.getDelayedCalls() == []


@ensureDeferred
async def test_closing_ends_the_attempts_to_read_the_store(parts: Parts) -> None:
    parts.store.failure = StoreError("The disk cannot be read.")
    provider = parts.load()
    await provider.close()
    assert parts.clock.getDelayedCalls() == []


@ensureDeferred
async def test_what_is_posted_is_durable_before_it_is_in_force(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = parts.load()

    def full(_settings: Settings) -> None:
        raise PostedFileError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(PostedFile, "save", lambda _self, settings: full(settings))
        with pytest.raises(PostedFileError):
            await provider.add_domains("default", ("lab.io",))
    assert provider.settings().domains("default") == ("dtk.io",)
    await provider.add_domains("default", ("lab.io",))
    loaded, _ = parts.posted.load(Given())
    assert loaded.domains("default") == ("lab.io",)


@ensureDeferred
async def test_two_that_undo_each_others_records_are_reported_with_the_remedy(
    parts: Parts, log_lines: list[str]
) -> None:
    provider = parts.load()
    record = address("a.dtk.io")
    for _ in range(4):
        await provider.apply("default", Changes(create=(record,)))
        await provider.apply("default", Changes(delete=(record,)))
        parts.clock.advance(WINDOW / 10)
    fights = [line for line in log_lines if "keeps being created and deleted" in line]
    assert len(fights) == 1
    assert "/clusters/NAME" in fights[0]


@ensureDeferred
async def test_a_reason_is_logged_once_and_not_in_every_pass(parts: Parts, log_lines: list[str]) -> None:
    provider = parts.load()
    for _ in range(3):
        await provider.apply("default", Changes(create=(address("*.dtk.io"),)))
    assert len([line for line in log_lines if line.startswith("*.dtk.io (A) is kept but not shown")]) == 1


@ensureDeferred
async def test_forgetting_what_is_not_there_is_an_error(parts: Parts) -> None:
    provider = parts.load()
    for forgetting in (provider.forget_name("default", "a.dtk.io"), provider.forget_cluster("lab")):
        with pytest.raises(NotFoundError):
            await forgetting


@ensureDeferred
async def test_a_cluster_that_can_only_half_be_forgotten_goes_on_with_its_domains(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = parts.load()
    await provider.add_domains("lab", ("lab.io",))
    await provider.apply("lab", Changes(create=(address("a.lab.io"),)))

    def full(_self: PostedFile, _settings: Settings) -> None:
        raise PostedFileError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(PostedFile, "save", full)
        with pytest.raises(PostedFileError):
            await provider.forget_cluster("lab")
    assert await provider.records("lab") == b"[]"
    await provider.apply("lab", Changes(create=(address("a.lab.io"),)))
    assert provider.projection.shown["a.lab.io"].addresses == ("10.0.0.1",)
    await provider.forget_cluster("lab")
    assert provider.settings().domains("lab") == ()


@ensureDeferred
async def test_the_same_name_in_three_clusters_is_no_fight(parts: Parts, log_lines: list[str]) -> None:
    provider = parts.load()
    record = address("a.dtk.io")
    for cluster in ("one", "two", "three", "one"):
        await provider.apply(cluster, Changes(create=(record,)))
        await provider.apply(cluster, Changes(delete=(record,)))
    assert not any("keeps being created" in line for line in log_lines)


# How much is kept


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dtkdns that keeps 3 records, 2 clusters and 2 domains of each."""
    for name, most in (("MOST_ENDPOINTS", 3), ("MOST_CLUSTERS", 2), ("MOST_DOMAINS", 2)):
        monkeypatch.setattr(provider_module, name, most)


def test_what_is_kept_is_enough_for_60000_names_with_their_ownership_records() -> None:
    assert provider_module.MOST_ENDPOINTS >= 3 * 60_000


@ensureDeferred
async def test_the_records_are_counted_through_every_kind_of_change(parts: Parts) -> None:
    provider = parts.load()
    assert parts.status() == (0, "")
    await provider.apply("default", Changes(create=many(3)))
    await provider.apply("lab", Changes(create=many(2, "b")))
    assert parts.status() == (5, "")
    await provider.apply("default", Changes(create=many(3)))
    update = Changes(update_old=many(1), update_new=(address("a0.dtk.io", "10.0.0.2"),))
    await provider.apply("default", update)
    assert parts.status() == (5, "")
    await provider.apply("default", Changes(delete=many(1) + many(1, "unknown")))
    assert parts.status() == (4, "")
    await provider.forget_name("default", "a1.dtk.io")
    assert parts.status() == (3, "")
    await provider.forget_cluster("lab")
    assert parts.status() == (1, "")
    parts.load()
    assert parts.status() == (1, "")


@ensureDeferred
async def test_a_change_that_is_not_committed_is_not_counted(parts: Parts) -> None:
    provider = parts.load()
    await provider.apply("default", Changes(create=many(2)))
    parts.store.failure = StoreError("The disk is full.")
    for change in (
        provider.apply("default", Changes(create=many(1, "b"))),
        provider.forget_name("default", "a0.dtk.io"),
        provider.forget_cluster("default"),
    ):
        with pytest.raises(StoreError):
            await change
        assert parts.status() == (2, "The disk is full.")
    parts.store.failure = None
    await provider.apply("default", Changes(create=many(1, "b")))
    assert parts.status() == (3, "")


@ensureDeferred
@pytest.mark.usefixtures("small")
async def test_more_records_than_are_kept_are_refused_whole(parts: Parts) -> None:
    provider = parts.load()
    await provider.apply("default", Changes(create=many(2)))
    await provider.apply("lab", Changes(create=many(1)))
    before, shows = [await provider.records(name) for name in ("default", "lab")], len(parts.face.shows)
    for changes in (Changes(create=many(1, "b")), Changes(delete=many(1), create=many(2, "b"))):
        with pytest.raises(FullError, match=r"4 records, and dtkdns keeps 3.*DELETE /clusters/NAME"):
            await provider.apply("default", changes)
    assert [await provider.records(name) for name in ("default", "lab")] == before
    assert len(parts.face.shows) == shows
    assert parts.status() == (3, "")
    await provider.apply("default", Changes(delete=many(1), create=many(1, "b")))
    await provider.forget_cluster("lab")
    await provider.apply("default", Changes(create=many(1)))
    assert parts.status() == (3, "")


@ensureDeferred
@pytest.mark.usefixtures("small")
async def test_a_store_that_already_holds_more_may_shrink_and_change_but_not_grow(tmp_path: Path) -> None:
    held = {one.owner: (one,) for one in many(6)}
    parts = Parts(
        tmp_path, Loaded({"default": Cluster("default", endpoints=held, since=dict.fromkeys(held, 1.0))})
    )
    provider = parts.load()
    with pytest.raises(FullError):
        await provider.apply("default", Changes(create=many(1, "b")))
    await provider.apply("default", Changes(create=(address("a0.dtk.io", "10.0.0.2"),)))
    await provider.apply("default", Changes(delete=many(2), create=many(1, "b")))
    assert parts.status() == (5, "")
    with pytest.raises(FullError):
        await provider.apply("default", Changes(create=many(1)))
    await provider.apply("default", Changes(delete=many(6)))
    assert parts.status() == (1, "")


@ensureDeferred
@pytest.mark.usefixtures("small")
async def test_one_cluster_too_many_is_refused_whether_by_its_records_or_its_settings(parts: Parts) -> None:
    provider = parts.load()
    await provider.apply("lab", Changes(create=many(1)))
    for change in (
        provider.apply("other", Changes(create=many(1))),
        provider.add_domains("other", ("other.io",)),
        provider.set_addresses("other", ("10.0.0.1",)),
    ):
        with pytest.raises(FullError, match=r"There are 2 clusters.*DELETE /clusters/NAME"):
            await change
    assert "other" not in provider.clusters
    assert provider.settings().clusters() == {"default"}
    await provider.add_domains("lab", ("lab.io",))
    await provider.apply("lab", Changes(delete=many(1)))
    await provider.apply("lab", Changes(create=many(1)))
    await provider.apply("other", Changes(delete=many(1)))
    await provider.forget_cluster("lab")
    await provider.apply("other", Changes(create=many(1)))
    assert parts.status() == (1, "")


@ensureDeferred
@pytest.mark.usefixtures("small")
async def test_one_domain_too_many_is_refused_and_none_of_them_is_added(parts: Parts) -> None:
    provider = parts.load()
    with pytest.raises(FullError, match=r"2 domains at most: DELETE /domains/NAME"):
        await provider.add_domains("default", ("a.io", "b.io"))
    assert provider.settings().domains("default") == ("dtk.io",)
    await provider.add_domains("default", ("a.io", "dtk.io"))
    await provider.add_domains("default", ("a.io",))
    with pytest.raises(FullError):
        await provider.add_domains("default", ("b.io",))
    await provider.remove_domain("default", "a.io")
    await provider.add_domains("default", ("b.io",))
    assert provider.settings().domains("default") == ("dtk.io", "b.io")


@ensureDeferred
@pytest.mark.usefixtures("small")
async def test_what_is_too_much_is_a_507_which_external_dns_survives(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        records = [
            {"dnsName": f"a{number}.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"} for number in range(4)
        ]
        reply = await service.change(create=records)
        assert (reply.status, reply.text.count("\n")) == (507, 1)
        assert await service.records() == []
        assert (await service.change(create=records[:3])).status == 204
        assert (await service.call("POST", "/domains", b"a.io,b.io")).status == 507


@ensureDeferred
async def test_records_that_several_ask_for_at_once_are_put_together_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = parts.load()
    await provider.apply("default", Changes(create=many(2 * STRIDE)))
    monkeypatch.setattr(slices, "SLICE", -1.0)
    first, second = (Deferred.fromCoroutine(provider.records("default")) for _ in range(2))
    parts.clock.pump([0] * 5)
    assert await second is await first


@ensureDeferred
async def test_a_caller_that_goes_away_leaves_the_records_to_the_others(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = parts.load()
    await provider.apply("default", Changes(create=many(2 * STRIDE)))
    monkeypatch.setattr(slices, "SLICE", -1.0)
    first, second = (Deferred.fromCoroutine(provider.records("default")) for _ in range(2))
    first.cancel()
    first.addErrback(lambda failure: failure.trap(CancelledError))
    parts.clock.pump([0] * 5)
    assert (await second).count(b"dnsName") == 2 * STRIDE


@ensureDeferred
async def test_records_that_change_while_they_are_put_together_are_those_from_before_for_this_caller_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = parts.load()
    await provider.apply("default", Changes(create=many(2 * STRIDE)))
    with monkeypatch.context() as patch:
        patch.setattr(slices, "SLICE", -1.0)
        before = Deferred.fromCoroutine(provider.records("default"))
    await provider.forget_cluster("default")
    parts.clock.pump([0] * 5)
    assert (await before).count(b"dnsName") == 2 * STRIDE
    assert await provider.records("default") == b"[]"
    assert not provider._encoded


@ensureDeferred
async def test_what_callers_make_up_is_remembered_of_so_many_clusters_only(parts: Parts) -> None:
    provider = parts.load()
    outside = [address("a.example").key]
    names = [f"cluster-{number}" for number in range(2 * provider_module.MOST_REMEMBERED)]
    for _ in range(2):
        for name in names:
            provider.domain_filter(name)
            at_once(provider.adjusting(name, outside))
    assert len(provider._left_out) == len(provider._filter_read) == provider_module.MOST_REMEMBERED
    assert at_once(provider.adjusting(names[-1], outside)) == [False]


@ensureDeferred
async def test_what_is_left_out_is_said_again_when_it_was_managed_in_between(
    parts: Parts, log_lines: list[str]
) -> None:
    provider = parts.load()
    outside = [address("a.example").key]
    for desired in (outside, outside, [], outside):
        at_once(provider.adjusting("default", desired))
    assert len([line for line in log_lines if line.startswith("a.example (A) lies in none")]) == 2


@ensureDeferred
async def test_a_name_is_managed_when_it_lies_in_a_domain_of_any_cluster(parts: Parts) -> None:
    provider = parts.load()
    await provider.add_domains("lab", ("lab.io",))
    managed = {name: provider.manages(name) for name in ("dtk.io", "a.lab.io", "evildtk.io", "io")}
    assert managed == {"dtk.io": True, "a.lab.io": True, "evildtk.io": False, "io": False}


@ensureDeferred
async def test_why_the_store_fails_is_told_until_it_works_again(parts: Parts) -> None:
    parts.store.failure = StoreError("The disk cannot be read.")
    provider = parts.load()
    assert provider.store_status == StoreStatus(
        0, f"The disk cannot be read. dtkdns tries again every {LOAD_PAUSE:.0f} s."
    )
    parts.store.failure = None
    parts.clock.advance(LOAD_PAUSE)
    assert provider.store_status == StoreStatus(0)


@ensureDeferred
async def test_a_fight_that_goes_on_is_told_with_its_cluster(parts: Parts) -> None:
    provider = parts.load()
    record = address("a.dtk.io")
    for _ in range(4):
        await provider.apply("lab", Changes(create=(record,)))
        await provider.apply("lab", Changes(delete=(record,)))
    assert provider.fights() == [("lab", record.key)]
    parts.clock.advance(WINDOW + 1)
    assert provider.fights() == []
