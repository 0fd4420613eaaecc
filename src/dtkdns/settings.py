"""Options, what was posted, and which of them is in force; the file that keeps what was posted.

What was posted outlives a restart, because nobody sends it again. So it lives in a small file of its own beside
the database: replaced whole, fsynced before the answer, and the version before it kept.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec
from attrs import evolve, field, frozen

from dtkdns import names
from dtkdns.cluster import DEFAULT
from dtkdns.rdata import Network, RdataError, parse_address

MOST_DOMAINS = 100
"""Of a cluster."""


class SettingError(ValueError):
    """A value given by option or by POST is not usable; the message is a sentence for the user."""


class SetByOptionError(Exception):
    """What is to be taken away was set by an option; the message is a sentence."""


class PostedFileError(Exception):
    """What was posted could not be kept; the message is a sentence that says why."""


class Posted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was posted for one cluster, as the file holds it."""

    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int = 1
    clusters: dict[str, Posted] = {}
    cluster_ip_option: tuple[str, ...] = ()
    """The value of --cluster-ip at the last start."""
    check: str = ""
    """A digest of the rest."""

    def checked(self) -> _Document:
        """The same with the digest that it should have."""
        rest = msgspec.json.encode(msgspec.structs.replace(self, check=""))
        return msgspec.structs.replace(self, check=sha256(rest).hexdigest()[:16])


@frozen
class Given:
    """What the command line sets, or DTK's configuration where that says nothing: for one cluster."""

    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    cluster: str = DEFAULT
    source: str = "--domains"
    """Where the domains stand, for a message."""

    def domains_of(self, cluster: str) -> tuple[str, ...]:
        """Those that it sets for a cluster."""
        return self.domains if cluster == self.cluster else ()

    def addresses_of(self, cluster: str) -> tuple[str, ...]:
        """Those that it sets for a cluster."""
        return self.addresses if cluster == self.cluster else ()

    @property
    def remembered(self) -> tuple[str, ...]:
        """By what it is known at the next start whether the addresses are others, or for another cluster."""
        return self.addresses if self.cluster == DEFAULT else (f"/clusters/{self.cluster}", *self.addresses)


@frozen
class Settings:
    """The settings in force, as a value."""

    given: Given = Given()
    posted: Mapping[str, Posted] = field(factory=dict)

    def domains(self, cluster: str) -> tuple[str, ...]:
        """The managed domains of a cluster: those given, then those posted."""
        return tuple(dict.fromkeys((*self.given.domains_of(cluster), *self._of(cluster).domains)))

    def addresses(self, cluster: str) -> tuple[str, ...]:
        """The addresses of a cluster; empty when none is known."""
        return self._of(cluster).addresses

    def clusters(self) -> set[str]:
        """The clusters that have a setting."""
        return {DEFAULT, self.given.cluster, *self.posted}

    def with_domains(self, cluster: str, domains: Iterable[str]) -> Settings:
        """With further domains; one that an option sets is kept as posted too, and outlives the option."""
        old = self._of(cluster)
        new = [domain for domain in domains if domain not in old.domains]
        return self._with(cluster, msgspec.structs.replace(old, domains=(*old.domains, *new)))

    def without_domain(self, cluster: str, domain: str) -> Settings:
        """Without a posted domain.

        Raises `SetByOptionError` when an option sets it, and `KeyError` when it is not there.
        """
        if domain in self.given.domains_of(cluster):
            raise SetByOptionError(f"{domain} is set by {self.given.source}: start dtkdns without it there.")
        old = self._of(cluster)
        if domain not in old.domains:
            raise KeyError(domain)
        left = tuple(other for other in old.domains if other != domain)
        return self._with(cluster, msgspec.structs.replace(old, domains=left))

    def with_addresses(self, cluster: str, addresses: tuple[str, ...]) -> Settings:
        """With these addresses in the place of the former."""
        return self._with(cluster, msgspec.structs.replace(self._of(cluster), addresses=addresses))

    def without_cluster(self, cluster: str) -> Settings:
        """Without anything posted for the cluster; an address that an option sets stays."""
        return self._with(cluster, Posted(addresses=self.given.addresses_of(cluster)))

    def _of(self, cluster: str) -> Posted:
        return self.posted.get(cluster, Posted())

    def _with(self, cluster: str, posted: Posted) -> Settings:
        others = {name: other for name, other in self.posted.items() if name != cluster}
        return evolve(self, posted=others if posted == Posted() else {**others, cluster: posted})


def parse_domains(texts: Iterable[str]) -> tuple[str, ...]:
    """Domains, each text a comma list.

    Raises `SettingError`.
    """
    try:
        found = [names.parse_domain(part) for text in texts for part in text.split(",")]
    except names.DomainError as error:
        raise SettingError(str(error)) from error
    return tuple(dict.fromkeys(found))


def parse_cluster_addresses(text: str) -> tuple[str, ...]:
    """The addresses of a cluster from a comma list: IPv4, IPv6, or one of each.

    Raises `SettingError`.
    """
    if not text.strip():
        raise SettingError("The cluster's address is empty: give one like 192.168.122.167.")
    try:
        found = [parse_address(part.strip()) for part in text.split(",")]
    except RdataError as error:
        raise SettingError(str(error)) from error
    if len({address.version for address in found}) != len(found):
        raise SettingError("A cluster has one address, or one IPv4 and one IPv6 address: give no more.")
    return tuple(str(address) for address in found)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks from a comma list in CIDR notation.

    Raises `SettingError`.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise SettingError(f"{error}: give a network like 192.168.1.240/28.") from error


@frozen
class Listener:
    """An address and a port of this machine."""

    host: str
    """IPv4 or IPv6."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Where DNS is answered, from a comma list of `ADDRESS:PORT`, `[IPv6]:PORT` or a port; none for `off`.

    Raises `SettingError`.
    """
    if text.strip() == "off":
        return ()
    return tuple(dict.fromkeys(_parse_listener(part.strip()) for part in text.split(",")))


def _parse_listener(text: str) -> Listener:
    host, colon, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise SettingError(f"{names.quoted(text)} is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off.")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingError(f"{names.quoted(text)} is not ADDRESS:PORT: write an IPv6 address as [::1]:5053.")
    try:
        address = ipaddress.ip_address(host if colon else "127.0.0.1")
    except ValueError:
        raise SettingError(f"{names.quoted(host)} is not an address: give one of this machine's.") from None
    if address.is_multicast:
        raise SettingError(f"{address} is no address of a single machine.")
    return Listener(str(address), int(port))


@frozen
class PostedFile:
    """The file; every method blocks."""

    path: str
    read_only: bool = False
    """Whether nothing is ever written, as in a dry run."""

    def load(self, given: Given) -> tuple[Settings, list[str]]:
        """The settings in force at a start, and what was wrong with the file, in sentences.

        --cluster-ip takes effect when it is not what it was at the last start; otherwise what was posted since
        stays in force. A damaged file is put aside and the version before it is used.
        """
        document, faults = self._read_document()
        settings = Settings(given, document.clusters)
        if given.remembered != document.cluster_ip_option:
            if given.addresses:
                settings = settings.with_addresses(given.cluster, given.addresses)
            try:
                self.save(settings)
            except PostedFileError as error:
                faults.append(str(error))
        return settings, faults

    def save(self, settings: Settings) -> None:
        """Replace the file, durably; the version before it is kept beside it. Raises `PostedFileError`."""
        if self.read_only:
            return
        document = _Document(clusters=dict(settings.posted), cluster_ip_option=settings.given.remembered)
        data = msgspec.json.format(msgspec.json.encode(document.checked()))
        temporary = self.path + ".new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(data + b"\n")
                file.flush()
                os.fsync(handle)
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path, self._previous)
            os.replace(temporary, self.path)
            directory = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise PostedFileError(
                f"{self.path} cannot be written ({error.strerror}): make room or mend it, and send this again."
            ) from error

    @property
    def _previous(self) -> str:
        return self.path + ".previous"

    def _read_document(self) -> tuple[_Document, list[str]]:
        faults = []
        for path in (self.path, self._previous):
            try:
                with open(path, "rb") as file:
                    document = msgspec.json.decode(file.read(), type=_Document)
                if document != document.checked():
                    raise msgspec.DecodeError("its digest is another")
            except FileNotFoundError:
                continue
            except OSError as error:
                faults.append(f"{path} cannot be read: {error.strerror}.")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                faults.append(f"{path} is damaged ({error}){self._put_aside(path)}.")
            else:
                if path == self._previous:
                    faults.append(f"What was posted is taken from {path}: the last POST may have to be repeated.")
                return document, faults
        return _Document(), faults

    def _put_aside(self, path: str) -> str:
        if self.read_only:
            return ""
        with contextlib.suppress(OSError):
            os.replace(path, path + ".damaged")
        return f" and was put aside as {path}.damaged"
