"""What external-dns sends, in its own terms: endpoints, and the changes made of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from attrs import frozen

from dtkdns import names

Key: TypeAlias = tuple[str, str, str]
"""What makes an endpoint one and the same: normalised name, record type, set identifier."""

ADDRESS_TYPES = frozenset({"A", "AAAA", "CNAME"})
"""The record types that make a name resolve to an address."""

_KNOWN_TYPES = {name: name for name in (*ADDRESS_TYPES, "TXT", "SRV", "NS", "PTR", "MX", "NAPTR")}
"""Each to itself: the endpoints of a type have one object for it."""
_SHORT = 45
"""Letters of an address at most."""


@frozen(weakref_slot=False)
class Endpoint:
    """One record set of external-dns (its `endpoint/endpoint.go`), with the very bytes it arrived as."""

    key: Key
    owner: str
    """The owner name in ASCII: what the name is called on the desktop."""
    targets: tuple[str, ...]
    ttl: int
    """Seconds; 0 when none was configured."""
    resource: str
    """The Kubernetes object it was made from, as `ingress/<namespace>/<name>`; empty when not said."""
    owned: str | None
    """The name that a TXT of external-dns' registry is about (its label `ownedRecord`); None when not said."""
    is_note: bool
    """Whether it is such a TXT (external-dns' `registry/txt`), which no face shows; its targets are not kept."""
    document: bytes
    """The JSON object as it was sent, with all its labels: what `GET /records` gives back."""

    @property
    def record_type(self) -> str:
        return self.key[1]


def make_endpoint(
    name: str,
    record_type: str,
    set_identifier: str,
    targets: tuple[str, ...],
    ttl: int,
    labels: Mapping[str, str],
    document: bytes,
) -> Endpoint:
    """An Endpoint from its fields, with the name normalised; what many have in common is kept once."""
    normalised = name.lower().removesuffix(".")  # `names.normalise`, without the time of a call
    owner = normalised if normalised.isascii() else names.to_ascii(normalised)
    key = normalised, _KNOWN_TYPES.get(record_type, record_type), set_identifier
    resource, owned = labels.get("resource", ""), labels.get("ownedRecord")
    is_note = record_type == "TXT" and (owned is not None or _name_their_heritage(targets))
    if is_note:
        targets = ()
    elif len(targets) == 1 and len(targets[0]) <= _SHORT:
        targets = _known(targets)
    return Endpoint(key, owner, targets, ttl, resource, owned, is_note, document)


def _name_their_heritage(targets: tuple[str, ...]) -> bool:
    return any(target.strip('"').startswith("heritage=external-dns") for target in targets)


@lru_cache(maxsize=256)
def _known(targets: tuple[str, ...]) -> tuple[str, ...]:
    """The first of equal ones that are often met: most names lead to the address of the load balancer."""
    return targets


@frozen
class Changes:
    """One `POST /records` (external-dns' `plan/plan.go`)."""

    create: tuple[Endpoint, ...] = ()
    update_old: tuple[Endpoint, ...] = ()
    update_new: tuple[Endpoint, ...] = ()
    delete: tuple[Endpoint, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.create or self.update_old or self.update_new or self.delete)
