"""The life of the process: lock, load, listen, and in the end drain."""

from __future__ import annotations

import sys

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from dtkdns.access import own_address, peer_address
from dtkdns.cluster import DEFAULT
from dtkdns.dns.server import DNSServer, ListenError
from dtkdns.garbage import return_memory, uncollected
from dtkdns.hosts.claim import ClaimError
from dtkdns.hosts.face import FormerHostsFile, HostsFace
from dtkdns.journal import for_stderr
from dtkdns.notify import Notifier
from dtkdns.overview import Overview
from dtkdns.provider import Provider
from dtkdns.settings import Given, Listener, PostedFile
from dtkdns.state import StateDirectory, StateError
from dtkdns.store import StoreTooNewError
from dtkdns.web.server import WebhookSite
from dtkdns.worker import Worker

STOP_SECONDS = 15.0
"""How long a stop may take."""
SWITCH_SECONDS = 0.0001
"""After which a thread that computes gives way to another: the reactor has to wait so long for each of its system
calls while the database's or the hosts file's thread is at work, and a question takes two of them.
"""
READY_SECONDS = 30.0
"""How long systemd is left to wait for the first look at the hosts file, which may hang on a disk."""
DRAIN_SECONDS = 10.0
"""How much of that requests in flight have; the rest is for the disk."""


class StartError(Exception):
    """The service cannot start; the message is a sentence."""


class WebhookService(Service):
    """Everything that runs, started and stopped in order."""

    _log = Logger()

    def __init__(
        self,
        *,
        endpoint: str,
        site: WebhookSite,
        provider: Provider,
        overview: Overview,
        notifier: Notifier,
        posted: PostedFile,
        given: Given,
        host: str,
        state: StateDirectory | None,
        hosts: HostsFace | None,
        former_hosts: FormerHostsFile | None,
        dns: DNSServer | None,
        workers: tuple[Worker, ...],
        reactor: IReactorTime,
        foreground: bool,
    ) -> None:
        self._endpoint = endpoint
        self._site = site
        self._provider = provider
        self._overview = overview
        self._notifier = notifier
        self._posted = posted
        self._given = given
        self._host = host
        self._state = state
        self._hosts = hosts
        self._former_hosts = former_hosts
        self._dns = dns
        self._workers = workers
        self._reactor = reactor
        self._foreground = foreground
        self.port: IListeningPort | None = None
        self._shown: Deferred[None] = succeed(None)
        """Fires when every face has tried to show what was stored."""

    def privilegedStartService(self) -> None:  # noqa: N802
        """Take the state, load it, and only then listen.

        Raises `StateError`, `ClaimError`, `StoreTooNewError`, `ListenError` and `StartError`, which twistd hands
        to whoever started a daemon; in the foreground, where it would print a traceback, `SystemExit` with the
        same sentence.
        """
        try:
            self._start()
        except (StateError, ClaimError, StoreTooNewError, ListenError, StartError) as error:
            Deferred.fromCoroutine(self._provider.close())
            for worker in self._workers:
                worker.stop()
            if self._dns is not None:
                Deferred.fromCoroutine(self._dns.stop())
            if self._hosts is not None:
                self._hosts.release()
            if self._foreground:
                raise SystemExit(for_stderr(f"dtkdns: {error}")) from error
            raise

    def _start(self) -> None:
        if self._state is not None:
            self._state.take()
            if self._hosts is not None:
                self._hosts.take()
            if self._former_hosts is not None:
                self._former_hosts.clear()
        sys.setswitchinterval(SWITCH_SECONDS)
        for worker in self._workers:
            worker.start()
        settings, faults = self._posted.load(self._given)
        for fault in faults:
            self._log.error("{fault}", fault=fault)
        with uncollected(staying=True):
            self._shown = self._provider.load(settings)
        return_memory()
        if self._dns is not None:
            self._dns.listen()
        self._listen()
        self._tell_url()
        self._announce(settings.domains(self._given.cluster))

    def startService(self) -> None:  # noqa: N802
        """Watch the hosts file for changes by others, and tell systemd once what was stored is shown."""
        super().startService()  # type: ignore[no-untyped-call]
        self._shown.addTimeout(READY_SECONDS, self._reactor).addErrback(lambda _late: None)
        self._shown.addCallback(self._tell_ready)
        if self._state is not None and self._hosts is not None:
            self._hosts.watch.start()

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Answer the requests in flight, finish the write, close the store; within a bound."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._shown.cancel()
        self._notifier.stopping()
        stopped = Deferred.fromCoroutine(self._drain())
        stopped.addTimeout(STOP_SECONDS, self._reactor)
        return stopped.addErrback(self._stopped_late)

    def _tell_ready(self, _none: None) -> None:
        if self.running:
            self._notifier.ready(self._overview.summary)

    async def _drain(self) -> None:
        if self.port is not None:
            await maybeDeferred(self.port.stopListening)
        if self._hosts is not None:
            self._hosts.watch.stop()
        drained = self._site.drain().addTimeout(DRAIN_SECONDS, self._reactor)
        await drained.addErrback(self._not_drained)
        if self._hosts is not None:
            await self._hosts.writer.stop()
        if self._dns is not None:
            await self._dns.stop()
        await self._provider.close()
        for worker in self._workers:
            worker.stop()
        await deferLater(self._reactor, 0)
        if self._hosts is not None:
            self._hosts.release()
        if self._state is not None:
            self._state.release()
        self._log.info("Stopped.")

    def _not_drained(self, _failure: Failure) -> None:
        self._log.warn("A request was not answered within {seconds:.0f} s: cut.", seconds=DRAIN_SECONDS)

    def _stopped_late(self, _failure: Failure) -> None:
        self._log.warn("Stopped after {seconds:.0f} s without waiting any longer.", seconds=STOP_SECONDS)

    def _listen(self) -> None:
        found: list[object] = []
        maybeDeferred(serverFromString(self._reactor, self._endpoint).listen, self._site).addBoth(found.append)
        result = found[0] if found else None
        if isinstance(result, Failure):
            reason = result.getErrorMessage().rstrip(".")
            raise StartError(f"{self._endpoint} cannot be listened at ({reason}): give another --port.")
        assert IListeningPort.providedBy(result)  # noqa: S101 (server endpoints listen at once)
        self.port = result

    def _tell_url(self) -> None:
        """Write down where the command line finds this service."""
        assert self.port is not None  # noqa: S101 (it was just opened)
        host = self.port.getHost()
        address, number = peer_address(host), getattr(host, "port", None)
        if self._state is None or address is None or number is None:
            return
        called = Listener("127.0.0.1" if address.is_unspecified else str(address), int(number))
        scheme = "https" if self._endpoint.startswith(("ssl:", "tls:")) else "http"
        self._state.tell_url(f"{scheme}://{called}")

    def _announce(self, domains: tuple[str, ...]) -> None:
        assert self.port is not None  # noqa: S101 (it was just opened)
        host = self.port.getHost()
        number = getattr(host, "port", None)
        if number is None:
            self._log.info("dtkdns listens at {endpoint}.", endpoint=self._endpoint)
            return
        bound = peer_address(host)
        every = bound is None or bound.is_unspecified
        own = own_address() if every else str(bound)
        self._log.info(
            "dtkdns listens on port {port} of {where}. In DTK's config.yaml:\n"
            "  dns:\n    domain: {domain}\n    host-ip: {address}\n    webhook-port: {port}{base}",
            port=number,
            base="" if self._given.cluster == DEFAULT else f"/clusters/{self._given.cluster}",
            where="every address" if every else own,
            domain=next(iter(domains), "dtk.io"),
            address=self._host or own,
        )
