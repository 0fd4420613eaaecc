"""`twistd dtkdns`: the options, and the wiring of the service they describe."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from attrs import frozen
from twisted.application.service import IService
from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from dtkdns.access import Access
from dtkdns.credentials import Credentials, CredentialsError, read_credentials
from dtkdns.hosts.claim import ClaimError, HostsClaim
from dtkdns.hosts.dryrun import DryRunHostsFile
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import HostsFile, why_no_right
from dtkdns.hosts.watch import HostsWatch
from dtkdns.hosts.writer import HostsBlock, HostsWriter
from dtkdns.names import inside
from dtkdns.overview import Overview
from dtkdns.passes import Passes
from dtkdns.provider import MOST_DOMAINS, Provider
from dtkdns.rdata import Network
from dtkdns.service import WebhookService
from dtkdns.settings import (
    PostedFile,
    SettingError,
    parse_cluster_addresses,
    parse_domains,
    parse_networks,
)
from dtkdns.state import StateDirectory, StateError, default_path
from dtkdns.store import Loaded, MemoryStore, SQLiteStore, Store, StoreError, StoreTooNewError, read_only
from dtkdns.web.gate import Gate
from dtkdns.web.site import make_site
from dtkdns.worker import Worker

T = TypeVar("T")


class Options(usage.Options):
    """The command line; every fault in it is one sentence, and exit status 1."""

    synopsis = "[options]"
    longdesc = (
        "Keeps the hosts file in step with the Ingresses of Kubernetes clusters: the webhook of their ExternalDNS."
    )
    optFlags = [  # noqa: N815, RUF012
        ["dry-run", None, "Log what would be written, and write nothing."],
        ["debug", None, "Log every request and how long it took."],
    ]
    optParameters = [  # noqa: N815, RUF012
        ["port", "p", "5000", "Port to listen on, on every address; or a Twisted endpoint."],
        ["domains", "d", None, "Managed domains of the default cluster, with commas between."],
        ["cluster-ip", "c", None, "Address of the default cluster: IPv4, IPv6, or one of each with a comma."],
        ["routable", None, None, "Networks (CIDR, with commas) that this machine reaches: load-balancer"
         " addresses in them are shown instead of the cluster's address."],
        ["allow", None, None, "Networks (CIDR, with commas) that may call, beside this machine [default: private"
         " networks, and those that this machine is attached to]."],
        ["allow-management", None, "", "Networks that may also change domains and addresses, as this machine may;"
         " `none`: nobody may."],
        ["allow-host", None, None, "Further names of this machine, with commas, under which it is called."],
        ["credentials", None, None, "A file of lines user:secret: every call but /healthz needs one of them."],
        ["hosts-file", None, "/etc/hosts", "The file to keep."],
        ["state", None, None, "Directory for the records [default: /var/lib/dtkdns for root,"
         " else $XDG_STATE_HOME/dtkdns]."],
    ]  # fmt: skip

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            _exit(f"{error}. twistd dtkdns --help lists the options.")

    def parseArgs(self, *words: str) -> None:  # noqa: N802
        if words:
            raise usage.UsageError(f"{words[0]} is not an option")


@frozen
class _Checked:
    """The options as values."""

    endpoint: str
    access: Access
    host_names: frozenset[str]
    credentials: Credentials | None
    domains: tuple[str, ...]
    addresses: tuple[str, ...]
    routable: tuple[Network, ...]
    hosts_file: str
    state: StateDirectory
    dry_run: bool
    debug: bool


def makeService(options: Options, reactor: Any = installed_reactor) -> IService:  # noqa: N802
    """The service that the options describe.

    twistd calls this before it goes into the background, so nothing is opened here; but all that can be said about
    the options is said here, because this is where the person still looks.
    """
    checked = _check(options)
    store_worker = Worker(reactor, "store")
    hosts_worker = Worker(reactor, "hosts")
    credentials_worker = Worker(reactor, "credentials") if checked.credentials is not None else None
    store: Store
    if checked.dry_run:
        store = MemoryStore(_read_only(checked.state))
        hosts_file: HostsFile = DryRunHostsFile(checked.hosts_file)
    else:
        store = SQLiteStore(checked.state.database, checked.state.take)
        hosts_file = HostsFile(checked.hosts_file, Journal(checked.state.journal))
    block = HostsBlock(hosts_file, checked.state.identity)
    writer = HostsWriter(block, hosts_file, hosts_worker, reactor)
    posted = PostedFile(checked.state.posted, checked.dry_run)
    provider = Provider(store, posted, checked.routable, [writer], store_worker, reactor)
    gate = Gate(checked.access, provider.manages, checked.host_names, checked.credentials, credentials_worker)
    overview = Overview(provider, writer, Passes(), reactor)
    return WebhookService(
        endpoint=checked.endpoint,
        site=make_site(gate, provider, overview, reactor, debug=checked.debug),
        provider=provider,
        posted=posted,
        option_domains=checked.domains,
        option_addresses=checked.addresses,
        state=None if checked.dry_run else checked.state,
        hosts_file=hosts_file,
        claim=HostsClaim(checked.hosts_file),
        writer=writer,
        watch=HostsWatch(hosts_file, writer.check, reactor),
        workers=tuple(worker for worker in (store_worker, hosts_worker, credentials_worker) if worker is not None),
        reactor=reactor,
        foreground=options.parent is not None and bool(options.parent["nodaemon"]),
    )


def _check(options: Options) -> _Checked:
    """The options as values; ends the process with a sentence when something can never work."""
    user_id = os.geteuid()
    state = StateDirectory(os.path.abspath(options["state"] or default_path(os.environ, user_id)))
    try:
        domains = _parsed(options, "domains", lambda text: parse_domains([text]))
        addresses = _parsed(options, "cluster-ip", parse_cluster_addresses)
        routable = _parsed(options, "routable", parse_networks)
        if len(domains) > MOST_DOMAINS:
            raise SettingError(
                f"--domains: a cluster has {MOST_DOMAINS} domains at most, and these are {len(domains)}."
            )
        access = _access(options)
        host_names = _host_names(options, domains)
        credentials = read_credentials(options["credentials"]) if options["credentials"] else None
        endpoint = _endpoint(options["port"])
        if not options["dry-run"]:
            no_right = why_no_right(options["hosts-file"])
            if no_right is not None:
                _exit(no_right)
            claim = HostsClaim(options["hosts-file"])
            state.take()
            claim.take()
            claim.release()
            state.release()
    except (SettingError, CredentialsError, StateError, ClaimError) as error:
        _exit(str(error))
    return _Checked(
        endpoint=endpoint,
        access=access,
        host_names=host_names,
        credentials=credentials,
        domains=domains,
        addresses=addresses,
        routable=routable,
        hosts_file=os.path.abspath(options["hosts-file"]),
        state=state,
        dry_run=bool(options["dry-run"]),
        debug=bool(options["debug"]),
    )


def _parsed(options: Options, name: str, parse: Callable[[str], tuple[T, ...]]) -> tuple[T, ...]:
    """The value of an option, empty where it is not given; the option is named in what `SettingError` says."""
    if options[name] is None:
        return ()
    try:
        return parse(options[name])
    except SettingError as error:
        raise SettingError(f"--{name}: {error}") from error


def _access(options: Options) -> Access:
    """Who may call. Raises `SettingError`."""
    allow = None if options["allow"] is None else _parsed(options, "allow", parse_networks)
    if options["allow-management"] == "none":
        return Access(allow, None)
    return Access(
        allow, _parsed(options, "allow-management", parse_networks) if options["allow-management"] else ()
    )


def _host_names(options: Options, domains: tuple[str, ...]) -> frozenset[str]:
    """Further names of this machine, in lower case.

    Raises `SettingError`, also for one that lies in a managed domain: where that leads is the cluster's to say.
    """
    found = _parsed(options, "allow-host", lambda text: parse_domains([text]))
    for name in found:
        if inside(name, domains):
            raise SettingError(
                f"--allow-host: {name} lies in a managed domain, so it cannot stand for this machine."
            )
    return frozenset(found)


def _endpoint(port: str) -> str:
    """The endpoint for a port number, or the one that is given (Twisted's `serverFromString` syntax).

    Raises `SettingError`, also for a port that is taken.
    """
    if ":" in port:
        try:
            serverFromString(installed_reactor, port)
        except Exception as error:
            raise SettingError(f"--port {port} is not an endpoint ({error}): give a port number.") from error
        return port
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingError(f"--port {port!r} is not a port: give a number up to 65535.")
    family = socket.AF_INET6 if _ipv6_serves_both() else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(port)))
        except PermissionError as error:
            raise SettingError(f"No right to listen on port {port}: use sudo, or a port above 1023.") from error
        except OSError as error:
            raise SettingError(
                f"Port {port} is taken: stop what listens there (sudo ss -ltnp), or give another --port."
            ) from error
    return f"tcp6:{port}" if family == socket.AF_INET6 else f"tcp:{port}"


def _ipv6_serves_both() -> bool:
    """Whether an IPv6 socket can be had here and takes IPv4 connections too (ipv6(7))."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            if probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
                return False
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _read_only(state: StateDirectory) -> Loaded:
    try:
        return read_only(state.database)
    except (StoreError, StoreTooNewError) as error:
        _exit(str(error))


def _exit(sentence: str) -> NoReturn:
    raise SystemExit(f"dtkdns: {sentence}")
