"""What is true now, as values: faces and provider report it, and who shows it to people reads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import field, frozen


@frozen
class HostsStatus:
    """How the hosts file's block stands."""

    path: str = ""
    way: str = ""
    """How it was last written: `rename`, or `in place` with the reason; empty before the first time."""
    written: datetime | None = None
    """When it was last known to hold what it should (UTC)."""
    failing: str = ""
    """Why it does not hold what it should, as a sentence; empty when it does."""
    held: bool = False
    """Whether it is left alone until external-dns has sent its records again."""
    shadowed: Mapping[str, str] = field(factory=dict)
    """Names left out because a line of the user's own gives them the addresses that stand here."""
    writes: int = 0
    """Times that the file was written, or found to be as it should."""
    seconds: float = 0.0
    """What these took together."""
    failures: int = 0
    retries: int = 0
    """Attempts after a failure."""
    foreign_edits: int = 0
    """Changes by others that were found in the file and kept."""


@frozen
class DNSStatus:
    """How the DNS server does."""

    addresses: tuple[str, ...] = ()
    """Where it takes questions, over UDP and TCP, as `address:port`; none where its port was taken."""
    serial: int = 0
    """Of its zones; it rises with every change."""
    held: bool = False
    """Whether it says "no" to nothing until external-dns has sent its records again."""
    answers: int = 0
    kept_answers: int = 0
    """Of these, how many were kept in their bytes from before."""
    refused: int = 0
    """Questions and connections of peers that may not ask, or have too many connections."""
    dropped: int = 0
    """Messages that got no reply: those that are none or are replies themselves, and where sending failed."""


@frozen
class NameStatus:
    """A name that resolves."""

    name: str
    addresses: tuple[str, ...]
    cluster: str
    resource: str
    """The Kubernetes object it comes from; empty when external-dns did not say."""
    ttl: int
    """Seconds; 0 when none was configured."""
    since: datetime
    """UTC."""


@frozen
class HiddenStatus:
    """A record that is kept but not shown."""

    name: str
    type: str
    set_identifier: str
    cluster: str
    reason: str
    """A word."""
    sentence: str
    faces: tuple[str, ...]
    """Where it is not shown: `dns`, `hosts`."""
    since: datetime | None = None
    """Since when its name has had an A, AAAA or CNAME without a break; None where it has none (UTC)."""


@frozen
class ConflictStatus:
    """A name that more than one wants to decide."""

    name: str
    kind: str
    """`line`: a line of the user's own wins; `cluster`: another cluster had it first; `fight`: two external-dns
    undo each other's records.
    """
    sentence: str


@frozen
class ExternalDNSStatus:
    """One external-dns, told by its peer and its cluster."""

    cluster: str
    peer: str
    last_pass: datetime
    """When it last asked which of its records are managed, as it does in every pass (UTC)."""
    last_change: datetime | None
    """When it last changed something; None where it has not since the start."""
    interval: float | None
    """Seconds between its passes as seen lately; None until two were seen."""


@frozen
class ClusterStatus:
    name: str
    domains: tuple[str, ...]
    addresses: tuple[str, ...]
    records: int
    names: int
    """That resolve."""


@frozen
class StoreStatus:
    records: int
    failing: str = ""
    """Why records cannot be read or changed now, as a sentence; empty when they can."""


@frozen
class PartStatus:
    """Whether a part of the service does what it should."""

    part: str
    ok: bool
    detail: str


@frozen
class Readiness:
    ready: bool
    parts: tuple[PartStatus, ...]


@frozen
class ServiceStatus:
    """Everything; the answer to `GET /status`."""

    version: str
    started: datetime
    """UTC."""
    host: str
    """The address or name of this machine that DTK's file has for the VMs; empty where none was given."""
    ready: Readiness
    store: StoreStatus
    hosts: HostsStatus | None
    """None where no hosts file is kept."""
    dns: DNSStatus | None
    """None where there is no DNS server."""
    clusters: tuple[ClusterStatus, ...]
    names: tuple[NameStatus, ...]
    hidden: tuple[HiddenStatus, ...]
    conflicts: tuple[ConflictStatus, ...]
    external_dns: tuple[ExternalDNSStatus, ...]


def utc(seconds: float) -> datetime:
    """A time in POSIX seconds, for people."""
    return datetime.fromtimestamp(seconds, UTC)
