"""One cluster's domains, addresses and endpoints, as an immutable value.

A change makes a new `Cluster`; the old one stays what it was, so whoever still answers from it is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from attrs import evolve, field, frozen

from dtkdns import names
from dtkdns.endpoint import ADDRESS_TYPES, Changes, Endpoint, Key
from dtkdns.slices import STRIDE, Steps, at_once

Group: TypeAlias = tuple[Endpoint, ...]
"""The endpoints of one owner name, at most one of a key."""

_Group: TypeAlias = dict[Key, Endpoint] | Endpoint
"""The endpoints of one owner name while changes are applied; of most new names there is one."""

CLUSTER_NAME = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)
DEFAULT = "default"
"""The cluster whose routes are at `/`."""


@frozen
class Delta:
    """What one change made of the stored endpoints: the least that has to be committed."""

    put: tuple[Endpoint, ...] = ()
    removed: tuple[Key, ...] = ()
    owners: tuple[str, ...] = ()
    """The owner names with any difference, each once."""
    grown: int = 0
    """How many endpoints there are more than before."""

    def __bool__(self) -> bool:
        return bool(self.owners)


@frozen
class Cluster:
    name: str
    domains: tuple[str, ...] = ()
    """The managed domains in force, in ASCII, each once."""
    addresses: tuple[str, ...] = ()
    """The cluster's own addresses; empty when none is known."""
    endpoints: Mapping[str, Group] = field(factory=dict)
    """Owner name to its endpoints, in the order in which the names first came."""
    since: Mapping[str, float] = field(factory=dict)
    """Owner name to the time (POSIX seconds) since when it has had an A, AAAA or CNAME without a break."""

    def manages(self, owner: str) -> bool:
        """Whether an owner name lies in one of the managed domains."""
        return names.inside(owner, self.domains)

    def adjusting(self, desired: Sequence[Key]) -> Steps[list[bool]]:
        """Of the keys of desired endpoints, one by one, whether they are managed; in steps."""
        managed: list[bool] = []
        for first in range(0, len(desired), STRIDE):
            yield
            owners = [
                name if name.isascii() else names.to_ascii(name) for name, _, _ in desired[first : first + STRIDE]
            ]
            managed += names.each_inside(owners, self.domains)
        return managed

    def apply(self, changes: Changes, now: float) -> tuple[Cluster, Delta]:
        """The cluster after a `POST /records`, and what is different.

        The keys of `delete` and of `updateOld` go, whatever the content sent with them; then `updateNew` is put
        and then `create`. What is put as it already stood is no difference, so a repeated call changes nothing.
        """
        return at_once(self.applying(changes, now))

    def applying(self, changes: Changes, now: float) -> Steps[tuple[Cluster, Delta]]:
        """`apply` in steps."""
        groups: dict[str, _Group] = {}
        for number, endpoint in enumerate(chain(changes.delete, changes.update_old), 1):
            self._changing(groups, endpoint.owner).pop(endpoint.key, None)
            if not number % STRIDE:
                yield
        there = self.endpoints
        for number, endpoint in enumerate(chain(changes.update_new, changes.create), 1):
            owner = endpoint.owner
            if owner in there or owner in groups:
                self._changing(groups, owner)[endpoint.key] = endpoint
            else:
                groups[owner] = endpoint
            if not number % STRIDE:
                yield
        return (yield from self._with_groups(groups, now))

    def forget(self, name: str) -> tuple[Cluster, Delta]:
        """The cluster without a name and without external-dns' ownership TXT records for it.

        Those are the TXT records whose label `ownedRecord` is the name; a TXT without that label is told by its
        name, `<type>-<name>` (external-dns' `registry/mapper`).
        """
        owner = names.to_ascii(name)
        mapped = {
            names.to_ascii(f"{endpoint.record_type}-{spelling}")
            for endpoint in self.endpoints.get(owner, ())
            for spelling in (owner, endpoint.key[0])
        }

        def goes(endpoint: Endpoint) -> bool:
            if endpoint.owner == owner:
                return True
            if endpoint.record_type != "TXT":
                return False
            owned = endpoint.owned
            return endpoint.owner in mapped if owned is None else names.to_ascii(owned) == owner

        groups: dict[str, _Group] = {}
        for other, found in self.endpoints.items():
            left = {endpoint.key: endpoint for endpoint in found if not goes(endpoint)}
            if len(left) != len(found):
                groups[other] = left
        return at_once(self._with_groups(groups, now=0.0))

    def all_endpoints(self) -> Iterator[Endpoint]:
        """Every endpoint, in a stable order."""
        for found in self.endpoints.values():
            yield from found

    def _changing(self, groups: dict[str, _Group], owner: str) -> dict[Key, Endpoint]:
        """The endpoints of an owner name as they come to be, to be changed in place."""
        found = groups.get(owner)
        if not isinstance(found, dict):
            there = self.endpoints.get(owner, ()) if found is None else (found,)
            found = groups[owner] = {endpoint.key: endpoint for endpoint in there}
        return found

    def _with_groups(self, groups: Mapping[str, _Group], now: float) -> Steps[tuple[Cluster, Delta]]:
        put: list[Endpoint] = []
        removed: list[Key] = []
        owners: list[str] = []
        begun: list[str] = []
        ended: list[str] = []
        grown = 0
        endpoints = dict(self.endpoints)
        yield
        for number, (owner, found) in enumerate(groups.items(), 1):
            if not number % STRIDE:
                yield
            new = tuple(found.values()) if isinstance(found, dict) else (found,)
            before = endpoints.get(owner)
            if before is None:
                if not new:
                    continue
                put += new
            else:
                old = {endpoint.key: endpoint.document for endpoint in before}
                changed = [endpoint for endpoint in new if old.get(endpoint.key) != endpoint.document]
                gone = old.keys() - {endpoint.key for endpoint in new}
                if not changed and not gone:
                    continue
                put += changed
                removed += gone
            owners.append(owner)
            grown += len(new) - len(before or ())
            if new:
                endpoints[owner] = new
            else:
                del endpoints[owner]
            resolves = _resolve(new)
            if resolves != (owner in self.since):
                (begun if resolves else ended).append(owner)
        if not owners:
            return self, Delta()
        yield
        since = self.since
        if begun or ended:
            since = {**since, **dict.fromkeys(begun, now)}
            for owner in ended:
                del since[owner]
        delta = Delta(tuple(put), tuple(removed), tuple(owners), grown)
        return evolve(self, endpoints=endpoints, since=since), delta


def _resolve(group: Group) -> bool:
    """Whether these make a name resolve to an address."""
    for endpoint in group:  # noqa: SIM110 (`any` takes three times as long, and there may be 200,000)
        if endpoint.key[1] in ADDRESS_TYPES:
            return True
    return False
