"""The only state that changes: clusters, settings and their projection.

Every change goes the same way, one at a time: apply it to the values, commit what is different, publish the
new projection to the faces. Nothing is visible before it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import not_
from typing import ParamSpec, Protocol

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from dtkdns import names, reports
from dtkdns.cluster import Cluster, Delta
from dtkdns.endpoint import Changes, Key
from dtkdns.fights import Fights
from dtkdns.projection import Projection
from dtkdns.rdata import Network
from dtkdns.settings import MOST_DOMAINS, PostedFile, PostedFileError, Settings
from dtkdns.slices import STRIDE, Steps, give_way, in_slices
from dtkdns.state import StateError
from dtkdns.status import StoreStatus
from dtkdns.store import Loaded, Store, StoreError, StoreTooNewError
from dtkdns.wire import encoding_endpoints
from dtkdns.worker import Worker

P = ParamSpec("P")

LOAD_PAUSE = 5.0
"""Seconds between attempts to read a store that could not be read at start."""
MOST_ENDPOINTS = 200_000
"""In all clusters together."""
MOST_CLUSTERS = 64
MOST_REMEMBERED = 64
"""Clusters of which it is remembered that external-dns has read their domains."""
MOST_WAITING = 64
"""Changes that wait for the one under way; more are refused, lest a disk that hangs fill the memory."""


class NotReadyError(Exception):
    """Nothing can be answered yet; the message is a sentence."""


class FullError(Exception):
    """There would be more than dtkdns keeps; nothing was changed, and the message is a sentence."""


class NotFoundError(Exception):
    """What was named is not there; the message is a sentence."""


class Face(Protocol):
    """Something that shows projections, as the hosts file does."""

    name: str
    """The word by which a `Reason` knows it."""

    def show(self, projection: Projection, changed: Iterable[str]) -> Deferred[None]:
        """Show these names as the projection has them; fires when they are shown, fails with the reason if not.

        After a failure the face goes on trying by itself.
        """
        ...

    def hold(self) -> None:
        """Leave what is shown as it is: what should be shown is not known for certain."""
        ...

    def release(self) -> None:
        """Show again, with the next `show`."""
        ...


class Provider:
    """What external-dns' calls and the management calls do.

    What returns a Deferred or a coroutine is done once it fires, whether or not its caller still waits.
    """

    _log = Logger()

    def __init__(
        self,
        store: Store,
        posted: PostedFile,
        routable: tuple[Network, ...],
        faces: Sequence[Face],
        worker: Worker,
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._posted = posted
        self._settings = Settings()
        self._faces = faces
        self._worker = worker
        self._clock = clock
        self.projection = Projection(routable)
        self._clusters: dict[str, Cluster] = {}
        self._not_ready = "dtkdns is starting: try again."
        self._held = False
        self._disk_fails = ""
        self._records = 0
        self._retry: IDelayedCall | None = None
        self._lock = DeferredLock()
        self._encoding = DeferredLock()
        self._encoded: dict[str, tuple[Cluster, bytes]] = {}
        self._fights: dict[str, Fights] = {}
        self._left_out: dict[str, frozenset[Key]] = {}
        self._filter_read: set[str] = set()

    def load(self, settings: Settings) -> Deferred[None]:
        """Read the store and show what it holds; blocks, so it is called before anything listens.

        What is returned fires once every face has shown it, or could not. A store that cannot be read now is tried
        again later. Raises `StoreTooNewError`.
        """
        self._settings = settings
        try:
            loaded = self._store.load()
        except StoreError as error:
            self._load_failed(error)
            return succeed(None)
        return self._take(loaded)

    async def close(self) -> None:
        """Let the change that is under way end, and close the store."""
        await self._lock.acquire()
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        await self._worker.run(self._store.close)

    # What external-dns asks

    def domain_filter(self, name: str) -> tuple[str, ...]:
        """The domains whose names external-dns may send; it asks once, at its start. Never fails."""
        if len(self._filter_read) < MOST_REMEMBERED:
            self._filter_read.add(name)
        return self._settings.domains(name)

    async def records(self, name: str) -> bytes:
        """Every endpoint ever accepted, as a JSON array. Raises `NotReadyError`."""
        await self._encoding.acquire()  # what several ask for is put together once
        try:
            cluster = self._cluster(name)
            if not cluster.endpoints:
                return b"[]"
            of, encoded = self._encoded.get(name, (None, b""))
            if of is not cluster:
                documents = (endpoint.document for endpoint in cluster.all_endpoints())
                encoded = await in_slices(encoding_endpoints(documents), self._clock)
                if self._clusters.get(name) is cluster:
                    self._encoded[name] = cluster, encoded
            return encoded
        finally:
            self._encoding.release()

    def adjusting(self, name: str, desired: Sequence[Key]) -> Steps[list[bool]]:
        """Of the keys of desired endpoints, one by one, whether they are managed; in steps.

        The others are reported once. Raises `NotReadyError`.
        """
        managed = yield from self._cluster(name).adjusting(desired)
        left_out = list(compress(desired, map(not_, managed)))
        known = self._left_out.get(name, frozenset())
        if (left_out or known) and (name in self._left_out or len(self._left_out) < MOST_REMEMBERED):
            reports.report_left_out(name, left_out, known)
            self._left_out[name] = frozenset(left_out)
        return managed

    async def apply(self, name: str, changes: Changes) -> None:
        """Apply one `POST /records`, the whole of it or nothing; done when it is stored and shown.

        Raises `NotReadyError`, `FullError`, `StoreError` (nothing was stored), or what a face raises (all was
        stored).
        """
        if not changes:
            return
        shown = await self._applied(name, changes)
        try:
            await shown
        finally:
            self._worker.run(self._store.tidy).addErrback(
                lambda failure: self._log.failure("The store could not be tidied up.", failure)
            )

    async def _applied(self, name: str, changes: Changes) -> Deferred[None]:
        """`apply` up to where the faces have begun to show it.

        What was before is let go of here, which takes a moment of many records, while the faces are at work.
        """
        await self._turn()
        try:
            now = self._clock.seconds()
            before = self._cluster(name)
            cluster, delta = await in_slices(before.applying(changes, now), self._clock)
            records = self._with_room_for(before, cluster, delta)
            following = await self._change(cluster, delta)
            self._records = records
            put = (endpoint.key for endpoint in delta.put)
            reports.report_fights(name, self._fights.setdefault(name, Fights()).note(put, delta.removed, now))
            self._release()
            return await self._publish(following)
        finally:
            self._lock.release()

    # Management

    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    async def add_domains(self, name: str, domains: tuple[str, ...]) -> None:
        """Manage further domains.

        Raises `NotReadyError`, `FullError`, `PostedFileError` (nothing changed), or what a face raises (it is in
        force).
        """
        new = [domain for domain in domains if domain not in self._settings.domains(name)]

        def change(settings: Settings) -> Settings:
            following = settings.with_domains(name, domains)
            if len(following.domains(name)) > MOST_DOMAINS:
                raise FullError(
                    f"A cluster has {MOST_DOMAINS} domains at most: DELETE /domains/NAME takes one away."
                )
            return following

        await self._change_settings(name, change)
        if new and name in self._filter_read:
            self._log.info(
                "external-dns read its domains before {new} was added: restart it (kubectl rollout restart), or it"
                " goes on leaving these names alone.",
                new=", ".join(new),
            )

    async def remove_domain(self, name: str, domain: str) -> None:
        """Manage a posted domain no longer.

        Raises `NotFoundError`, `SettingError` where an option sets it, and what `add_domains` does.
        """

        def change(settings: Settings) -> Settings:
            try:
                return settings.without_domain(name, domain)
            except KeyError:
                raise NotFoundError(
                    f"{names.quoted(domain)} is not among the managed domains: GET /domains lists them."
                ) from None

        await self._change_settings(name, change)

    async def set_addresses(self, name: str, addresses: tuple[str, ...]) -> None:
        """Lead the names of a cluster to other addresses. Raises what `add_domains` does."""
        await self._change_settings(name, lambda settings: settings.with_addresses(name, addresses))

    async def forget_name(self, name: str, dns_name: str) -> None:
        """Drop a name with its ownership records.

        Raises `NotFoundError` where there is no such name, and what `apply` does.
        """
        await self._turn()
        try:
            cluster, delta = self._cluster(name).forget(dns_name)
            if not delta:
                raise NotFoundError(f"There is no record of {dns_name!a}: GET /records lists them.")
            shown = await self._publish(await self._change(cluster, delta))
            self._records += delta.grown
        finally:
            self._lock.release()
        await shown

    async def forget_cluster(self, name: str) -> None:
        """Drop a cluster's records and all that was posted for it; what options set stays.

        Raises `NotFoundError`, `NotReadyError`, `StoreError`, `PostedFileError`, or what a face raises.
        """
        await self._turn()
        try:
            cluster = self._cluster(name)
            unset = self._settings.without_cluster(name) == self._settings
            if not cluster.endpoints and unset and not self._held:
                raise NotFoundError(f"There is nothing of a cluster {name}.")
            removed = tuple(endpoint.key for endpoint in cluster.all_endpoints())
            delta = Delta((), removed, tuple(cluster.endpoints), -len(removed))
            empty = evolve(cluster, endpoints={}, since={})
            self._release()
            shown = await self._publish(await self._change(empty, delta))
            self._records += delta.grown
            self._encoded.pop(name, None)
        finally:
            self._lock.release()
        try:
            await shown
        finally:
            await self._change_settings(name, lambda settings: settings.without_cluster(name))

    # What is true now

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """The clusters that there are, by name; those without records and settings may be missing."""
        return self._clusters

    def knows(self, name: str) -> bool:
        """Whether there is such a cluster: it has records or a setting."""
        return name in self._clusters or name in self._settings.clusters()

    def manages(self, name: str) -> bool:
        """Whether a name lies in a managed domain of any cluster."""
        settings = self._settings
        return any(names.inside(name, settings.domains(cluster)) for cluster in settings.clusters())

    @property
    def store_status(self) -> StoreStatus:
        """How the store does."""
        return StoreStatus(self._records, self._not_ready or self._disk_fails)

    def fights(self) -> list[tuple[str, Key]]:
        """Cluster and key of the records that two external-dns have undone to each other in the last minutes."""
        now = self._clock.seconds()
        return [(name, key) for name, fights in self._fights.items() for key in fights.going_on(now)]

    # The way of every change

    def _with_room_for(self, before: Cluster, after: Cluster, delta: Delta) -> int:
        """The number of records in all clusters after a change. Raises `FullError`."""
        records = self._records + delta.grown
        if records > max(MOST_ENDPOINTS, self._records):
            raise FullError(
                f"There would be {records} records, and dtkdns keeps {MOST_ENDPOINTS}: nothing was changed. Forget"
                " clusters that are gone (DELETE /clusters/NAME)."
            )
        if after.endpoints and not before.endpoints:
            self._with_room_for_cluster(after.name)
        return records

    def _with_room_for_cluster(self, name: str) -> None:
        """Raise `FullError` where this would be one cluster too many."""
        there = self._settings.clusters() | {other for other, found in self._clusters.items() if found.endpoints}
        if name not in there and len(there) >= MOST_CLUSTERS:
            raise FullError(
                f"There are {MOST_CLUSTERS} clusters, and dtkdns keeps no more: forget one that is gone"
                " (DELETE /clusters/NAME)."
            )

    async def _change_settings(self, name: str, change: Callable[[Settings], Settings]) -> None:
        await self._turn()
        try:
            old = self._cluster(name)
            settings = change(self._settings)
            if settings != self._settings and name in settings.clusters():
                self._with_room_for_cluster(name)
            if settings != self._settings:
                await self._on_disk(self._posted.save, settings)
                self._settings = settings
            new = self._with_settings(old)
            owners: list[str] = []
            if new.domains != old.domains:
                changed = set(new.domains) ^ set(old.domains)
                owners += [owner for owner in new.endpoints if names.inside(owner, changed)]
            if new.addresses != old.addresses:
                owners += new.since
            reports.report_settings(
                name,
                new.domains if new.domains != old.domains else None,
                new.addresses if new.addresses != old.addresses else None,
            )
            shown = await self._publish(await self._next(new, owners))
        finally:
            self._lock.release()
        await shown

    def _release(self) -> None:
        """Let the faces show what is known, after records have come again."""
        if self._held:
            self._held = False
            for face in self._faces:
                face.release()

    async def _turn(self) -> None:
        """Wait until no other change is under way; the lock is then held."""
        if len(self._lock.waiting) >= MOST_WAITING:
            raise NotReadyError(f"{MOST_WAITING} changes wait for the disk: try again later.")
        await self._lock.acquire()

    async def _change(self, cluster: Cluster, delta: Delta) -> _Next:
        """Commit a cluster's new value, and compute meanwhile what is visible then.

        Raises `StoreError`, and then nothing has changed.
        """
        if not delta:
            return await self._next(cluster, ())
        committed = Deferred.fromCoroutine(self._on_disk(self._store.commit, cluster, delta))
        try:
            following = await self._next(cluster, delta.owners)
        finally:
            await committed
        return following

    async def _on_disk(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the worker store something; that it fails is logged once, and that it works again."""
        try:
            await self._worker.run(work, *args, **kwargs)
        except (PostedFileError, StoreError) as error:
            if not self._disk_fails:
                self._log.error("{why} Calls are answered with 503 until it works again.", why=error)
            self._disk_fails = str(error)
            raise
        if self._disk_fails:
            self._log.info("Changes can be stored again.")
        self._disk_fails = ""

    async def _next(self, cluster: Cluster, owners: Iterable[str]) -> _Next:
        clusters = {**self._clusters, cluster.name: cluster}
        return _Next(clusters, *await in_slices(self.projection.following(clusters, owners), self._clock))

    async def _publish(self, following: _Next) -> Deferred[None]:
        """Make the next values visible; what is returned waits for every face to show them."""
        old, self.projection = self.projection, following.projection
        self._clusters = following.clusters
        many = len(following.differing) > STRIDE
        shows: list[Deferred[None]] = []
        for face in self._faces:
            shows.append(face.show(self.projection, following.differing))
            if many:
                await give_way(self._clock)
        shown = Deferred.fromCoroutine(_all_of(shows))
        faces = {face.name for face in self._faces}
        await in_slices(
            reports.reporting_difference(old, self.projection, following.differing, faces), self._clock
        )
        return shown

    def _cluster(self, name: str) -> Cluster:
        if self._not_ready:
            raise NotReadyError(self._not_ready)
        cluster = self._clusters.get(name)
        return self._with_settings(Cluster(name)) if cluster is None else cluster

    def _with_settings(self, cluster: Cluster) -> Cluster:
        return evolve(
            cluster,
            domains=self._settings.domains(cluster.name),
            addresses=self._settings.addresses(cluster.name),
        )

    # Loading

    def _take(self, loaded: Loaded) -> Deferred[None]:
        self._not_ready = ""
        found = {name: Cluster(name) for name in sorted(self._settings.clusters())} | dict(loaded.clusters)
        clusters = {name: self._with_settings(cluster) for name, cluster in found.items()}
        owners = [owner for cluster in clusters.values() for owner in cluster.endpoints]
        self.projection, differing = self.projection.after(clusters, owners)
        self._clusters = clusters
        for cluster in clusters.values():
            if cluster.domains:
                reports.report_settings(cluster.name, cluster.domains, cluster.addresses or None)
        self._records = sum(len(group) for cluster in clusters.values() for group in cluster.endpoints.values())
        reports.report_counts(self.projection.shown, self._records, {face.name for face in self._faces})
        for sentence in loaded.damage:
            self._log.error(
                "{sentence} Until external-dns has sent its records again, in its next pass, the names that are"
                " shown stay, and DNS denies none.",
                sentence=sentence,
            )
        self._held = bool(loaded.damage)
        if self._held:
            for face in self._faces:
                face.hold()
        shows = [face.show(self.projection, differing) for face in self._faces]
        tried = Deferred.fromCoroutine(_all_of(shows))
        return tried.addErrback(lambda _said: None)  # the face says it, and tries on

    def _load_failed(self, error: StoreError) -> None:
        self._not_ready = f"{error} dtkdns tries again every {LOAD_PAUSE:.0f} s."
        self._log.error("{sentence}", sentence=self._not_ready)
        self._retry = self._clock.callLater(LOAD_PAUSE, self._load_again)

    def _load_again(self) -> None:
        def failed(failure: Failure) -> None:
            if failure.check(StoreError):
                self._load_failed(StoreError(failure.getErrorMessage()))
            else:
                failure.trap(StateError, StoreTooNewError)
                self._not_ready = failure.getErrorMessage()
                self._log.error("{sentence}", sentence=self._not_ready)

        loading = self._worker.run(self._store.load).addCallbacks(self._take, failed)
        loading.addErrback(lambda failure: self._log.failure("The stored records cannot be used.", failure))


@frozen
class _Next:
    """What is visible once it is published."""

    clusters: dict[str, Cluster]
    projection: Projection
    differing: tuple[str, ...]
    """The names that may look otherwise than before."""


async def _all_of(shows: list[Deferred[None]]) -> None:
    """Wait for all; raises the first failure among them."""
    for succeeded, result in await DeferredList(shows, consumeErrors=True):
        if not succeeded and isinstance(result, Failure):
            result.raiseException()
