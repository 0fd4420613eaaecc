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
from twisted.logger import Logger
from twisted.python import usage

from dtkdns.access import Access
from dtkdns.credentials import Credentials, CredentialsError, read_credentials
from dtkdns.dns.server import DNSServer, ListenError, check_listener, each_address
from dtkdns.dtkconfig import DTKConfig, read_config
from dtkdns.hosts.claim import ClaimError, HostsClaim
from dtkdns.hosts.dryrun import DryRunHostsFile
from dtkdns.hosts.face import FormerHostsFile, HostsFace
from dtkdns.hosts.inplace import Journal
from dtkdns.hosts.replace import HostsFile, why_no_right
from dtkdns.hosts.watch import HostsWatch
from dtkdns.hosts.writer import HostsBlock, HostsWriter
from dtkdns.journal import for_stderr
from dtkdns.names import inside
from dtkdns.notify import notifier
from dtkdns.overview import Overview
from dtkdns.passes import Passes
from dtkdns.provider import Face, Provider
from dtkdns.rdata import Network
from dtkdns.service import WebhookService
from dtkdns.settings import (
    MOST_DOMAINS,
    Given,
    Listener,
    PostedFile,
    SettingError,
    parse_cluster_addresses,
    parse_domains,
    parse_listeners,
    parse_networks,
)
from dtkdns.state import StateDirectory, StateError, default_path
from dtkdns.store import Loaded, MemoryStore, SQLiteStore, Store, StoreError, StoreTooNewError, read_only
from dtkdns.web.gate import Gate
from dtkdns.web.site import make_site
from dtkdns.worker import Worker

T = TypeVar("T")

_log = Logger(namespace="dtkdns")

PORT_DEFAULT = "5000"
SYSTEMD = "systemd"
"""In the place of a port: the socket that systemd listens at."""
DNS_DEFAULT = "127.0.0.1:5053"
HOSTS_DEFAULT = "/etc/hosts"
NO_HOSTS_FILE = "none"


class Options(usage.Options):
    """The command line; every fault in it is one sentence, and exit status 1."""

    synopsis = "[options]"
    longdesc = (
        "Keeps the hosts file, and a DNS server, in step with the Ingresses of Kubernetes clusters: the webhook of"
        " their ExternalDNS."
    )
    optFlags = [  # noqa: N815, RUF012
        ["dry-run", None, "Log what would be written, and write nothing."],
        ["debug", None, "Log every request and how long it took."],
    ]
    optParameters = [  # noqa: N815, RUF012
        ["port", "p", None, "Port to listen on, on every address; or a Twisted endpoint; or `systemd`: the socket"
         f" that systemd hands over [default: {PORT_DEFAULT}]."],
        ["config", None, None, "DTK's config.yaml: its section dns gives domain, port and cluster; options win."],
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
        ["hosts-file", None, HOSTS_DEFAULT, "The file to keep; `none`: names are shown by DNS only."],
        ["dns", None, None, "Where to answer DNS for the managed domains: ADDRESS:PORT, with commas, or a port of"
         f" the loopback address; `off`: nowhere [default: {DNS_DEFAULT}, if it is free]."],
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
class Values:
    """What the options say; whether this machine grants it is another question."""

    port: str
    """A number, an endpoint, or `SYSTEMD`."""
    access: Access
    host_names: frozenset[str]
    credentials: Credentials | None
    given: Given
    host: str
    """What to announce; empty where that is to be found out."""
    routable: tuple[Network, ...]
    hosts_file: str | None
    listeners: tuple[Listener, ...]
    """Where DNS is to be answered, `0.0.0.0` as such."""
    state: StateDirectory


def read_values(options: Options) -> Values:
    """The options as values. Raises `SettingError`, `CredentialsError`."""
    config = read_config(options["config"]) if options["config"] is not None else DTKConfig()
    given = _given(options, config)
    values = Values(
        port=(config.port or PORT_DEFAULT) if options["port"] is None else options["port"],
        access=_access(options),
        host_names=_host_names(options, given.domains),
        credentials=_credentials(options, config),
        given=given,
        host=config.host,
        routable=_parsed(options, "routable", parse_networks),
        hosts_file=None if options["hosts-file"] == NO_HOSTS_FILE else os.path.abspath(options["hosts-file"]),
        listeners=_parsed(options, "dns", parse_listeners, DNS_DEFAULT),
        state=StateDirectory(os.path.abspath(options["state"] or default_path(os.environ, os.geteuid()))),
    )
    if values.hosts_file is None and not values.listeners:
        raise SettingError("With --hosts-file none and --dns off nothing would show the names: leave out one.")
    return values


@frozen
class _Checked:
    """What the options say, and this machine grants."""

    values: Values
    endpoint: str
    listeners: tuple[Listener, ...]
    """Where DNS is answered, each address."""
    dry_run: bool
    debug: bool


def makeService(options: Options, reactor: Any = installed_reactor) -> IService:  # noqa: N802
    """The service that the options describe.

    twistd calls this before it goes into the background, so nothing is opened here; but all that can be said about
    the options is said here, because this is where the person still looks.
    """
    checked = _check(options)
    values = checked.values
    store_worker = Worker(reactor, "store")
    hosts_worker = Worker(reactor, "hosts") if values.hosts_file is not None else None
    credentials_worker = Worker(reactor, "credentials") if values.credentials is not None else None
    store: Store
    if checked.dry_run:
        store = MemoryStore(_read_only(values.state))
    else:
        store = SQLiteStore(values.state.database, values.state.take)
    hosts = None if hosts_worker is None else _hosts(checked, hosts_worker, reactor)
    dns = None
    if checked.listeners:
        dns = DNSServer(checked.listeners, values.access, reactor)
    writer = None if hosts is None else hosts.writer
    posted = PostedFile(values.state.posted, checked.dry_run)
    faces: list[Face] = [face for face in (writer, dns) if face is not None]
    provider = Provider(store, posted, values.routable, faces, store_worker, reactor)
    gate = Gate(values.access, provider.manages, values.host_names, values.credentials, credentials_worker)
    overview = Overview(provider, writer, dns, Passes(), reactor, values.host)
    return WebhookService(
        endpoint=checked.endpoint,
        site=make_site(gate, provider, overview, reactor, debug=checked.debug),
        provider=provider,
        overview=overview,
        notifier=notifier(os.environ, reactor),
        posted=posted,
        given=values.given,
        host=values.host,
        state=None if checked.dry_run else values.state,
        hosts=hosts,
        former_hosts=_former_hosts(values.state) if hosts is None else None,
        dns=dns,
        workers=tuple(worker for worker in (store_worker, hosts_worker, credentials_worker) if worker is not None),
        reactor=reactor,
        foreground=options.parent is not None and bool(options.parent["nodaemon"]),
    )


def _hosts(checked: _Checked, worker: Worker, reactor: Any) -> HostsFace:
    """The face for the hosts file."""
    path = checked.values.hosts_file
    assert path is not None  # noqa: S101 (there is a worker for it)
    file: HostsFile
    file = DryRunHostsFile(path) if checked.dry_run else HostsFile(path, Journal(checked.values.state.journal))
    writer = HostsWriter(HostsBlock(file, checked.values.state.identity), file, worker, reactor)
    return HostsFace(file, HostsClaim(path), writer, HostsWatch(file, writer.check, reactor))


def _former_hosts(state: StateDirectory) -> FormerHostsFile:
    """The hosts file that was kept unless another one was given."""
    return FormerHostsFile(HostsFile(HOSTS_DEFAULT, Journal(state.journal)), state.identity)


def _check(options: Options) -> _Checked:
    """The options as values; ends the process with a sentence when something can never work."""
    try:
        values = read_values(options)
        endpoint = find_endpoint(values.port)
        listeners = _listeners(values, given=options["dns"] is not None)
        if not options["dry-run"]:
            try_to_take(values.state, values.hosts_file)
    except (SettingError, CredentialsError, StateError, ClaimError) as error:
        _exit(str(error))
    return _Checked(values, endpoint, listeners, bool(options["dry-run"]), bool(options["debug"]))


def try_to_take(state: StateDirectory, hosts_file: str | None) -> None:
    """Take the state and the hosts file, and let them go again.

    Ends the process with a sentence where there is no right to write the file. Raises `StateError`, `ClaimError`.
    """
    if hosts_file is None:
        state.take()
        state.release()
        return
    no_right = why_no_right(hosts_file)
    if no_right is not None:
        _exit(no_right)
    claim = HostsClaim(hosts_file)
    state.take()
    claim.take()
    claim.release()
    state.release()


def _parsed(
    options: Options, name: str, parse: Callable[[str], tuple[T, ...]], default: str | None = None
) -> tuple[T, ...]:
    """The value of an option, empty where it is not given and has no default.

    The option is named in what `SettingError` says.
    """
    text = default if options[name] is None else options[name]
    if text is None:
        return ()
    try:
        return parse(text)
    except SettingError as error:
        raise SettingError(f"--{name}: {error}") from error


def _given(options: Options, config: DTKConfig) -> Given:
    """What the options set, and the file where they say nothing. Raises `SettingError`."""
    domains = _parsed(options, "domains", lambda text: parse_domains([text]))
    if len(domains) > MOST_DOMAINS:
        raise SettingError(
            f"--domains: a cluster has {MOST_DOMAINS} domains at most, and these are {len(domains)}."
        )
    addresses = _parsed(options, "cluster-ip", parse_cluster_addresses)
    source = "--domains" if domains else "--config"
    return Given(domains or config.domains, addresses, config.cluster, source)


def _credentials(options: Options, config: DTKConfig) -> Credentials | None:
    """Those of the file for them; else those in front of DTK's host-ip. Raises `CredentialsError`."""
    if options["credentials"]:
        return read_credentials(options["credentials"])
    return Credentials(dict([config.credentials])) if config.credentials is not None else None


def _access(options: Options) -> Access:
    """Who may call. Raises `SettingError`."""
    allow = None if options["allow"] is None else _parsed(options, "allow", parse_networks)
    if options["allow-management"] == "none":
        return Access(allow, None)
    return Access(
        allow, _parsed(options, "allow-management", parse_networks) if options["allow-management"] else ()
    )


def _listeners(values: Values, *, given: bool) -> tuple[Listener, ...]:
    """Where DNS is answered; nowhere where nothing was said, the default is taken, and a hosts file is kept.

    Raises `SettingError`.
    """
    try:
        listeners = tuple(dict.fromkeys(one for listener in values.listeners for one in each_address(listener)))
        for listener in listeners:
            check_listener(listener)
    except ListenError as error:
        if given or values.hosts_file is None:
            raise SettingError(f"--dns: {error}") from error
        _log.warn("{error} Until then names are in the hosts file only.", error=error)
        return ()
    return listeners


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


def find_endpoint(port: str) -> str:
    """The endpoint for a port number, or the one that is given (Twisted's `serverFromString` syntax).

    Raises `SettingError`, also for a port that is taken.
    """
    if port == SYSTEMD:
        return _handed_over()
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


def _handed_over() -> str:
    """The endpoint for the first socket that systemd hands over (sd_listen_fds(3)). Raises `SettingError`."""
    try:
        handle = serverFromString(installed_reactor, "systemd:domain=INET6:index=0").fileno
        with socket.socket(fileno=os.dup(handle)) as found:
            return f"systemd:domain={found.family.name.removeprefix('AF_')}:index=0"
    except (IndexError, OSError) as error:
        raise SettingError(
            "--port systemd: systemd has handed over no socket: start dtkdns by dtkdns.socket, or give a port."
        ) from error


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
    raise SystemExit(for_stderr(f"dtkdns: {sentence}"))
