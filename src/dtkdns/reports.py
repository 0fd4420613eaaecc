"""What a change means, in log lines for the person at the desktop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from twisted.logger import Logger

from dtkdns import names
from dtkdns.cluster import DEFAULT
from dtkdns.endpoint import Key
from dtkdns.projection import DNS_FACE, EVERY_FACE, Hidden, Projection, Shown
from dtkdns.slices import STRIDE, Steps, at_once

T = TypeVar("T")

MANY = 20
"""Lines of a kind that one call may cause; above it there is one line with their number."""

_log = Logger(namespace="dtkdns")


def report_difference(
    old: Projection, new: Projection, touched: Iterable[str], faces: AbstractSet[str] = EVERY_FACE
) -> None:
    """Say which names appeared, moved or went, and what these faces do not show and why, each once."""
    at_once(reporting_difference(old, new, touched, faces))


def reporting_difference(
    old: Projection, new: Projection, touched: Iterable[str], faces: AbstractSet[str]
) -> Steps[None]:
    """`report_difference` in steps."""
    appeared: list[Shown] = []
    moved: list[Shown] = []
    gone: list[Shown] = []
    hidden: list[Hidden] = []
    for number, name in enumerate(touched, 1):
        if not number % STRIDE:
            yield
        for one in new.hidden.get(name, ()):
            if one.reason.faces & faces and one not in old.hidden.get(name, ()):
                hidden.append(one)
        before, now = old.shown.get(name), new.shown.get(name)
        if now is before or (names.is_wildcard(name) and DNS_FACE not in faces):
            continue
        if now is None:
            gone += [before] if before is not None else []
        elif before is None:
            appeared.append(now)
        elif before.addresses != now.addresses:
            moved.append(now)
    _say_each("{count} names appeared.", appeared, _appeared)
    _say_each("{count} names moved to another address.", moved, _appeared)
    _say_each("{count} names are gone.", gone, lambda shown: f"{shown.name} is gone{_source(shown)}.")
    not_shown = [one for one in hidden if one.reason.faces >= faces]
    dns_only = [one for one in hidden if not one.reason.faces >= faces]
    _say_each("{count} records are kept but not shown.", not_shown, _not_shown)
    _say_each("{count} records are answered by DNS, but not in the hosts file.", dns_only, _dns_only)


def report_left_out(cluster: str, left_out: Iterable[Key], known: frozenset[Key]) -> None:
    """Say which desired endpoints external-dns is told to leave alone, unless that was said before."""
    _say_each(
        "{count} desired records lie outside the managed domains and are left out.",
        [key for key in left_out if key not in known],
        lambda key: (
            f"{_name(key)} ({_plain(key[1])}) lies in none of the managed domains{_of(cluster)} and is left out."
        ),
    )


def report_fights(cluster: str, keys: Iterable[Key]) -> None:
    """Say that two external-dns undo each other's records, and the remedy."""
    for key in list(keys)[:1]:
        _log.warn(
            "{name} ({record_type}) keeps being created and deleted{of}: it seems that two external-dns share this"
            " base and undo each other's records. Give each Kubernetes cluster a base of its own, with"
            " --webhook-provider-url=http://HOST:PORT/clusters/NAME (DTK: webhook-port: PORT/clusters/NAME).",
            name=_name(key),
            record_type=_plain(key[1]),
            of=_of(cluster),
        )


def report_settings(cluster: str, domains: Iterable[str] | None, addresses: Iterable[str] | None) -> None:
    """Say which domains are managed now, or where the cluster's names lead now."""
    if domains is not None:
        _log.info("Managed domains{of}: {domains}.", of=_of(cluster), domains=", ".join(domains) or "none")
    for domain in domains or ():
        if "." not in domain:
            _log.warn(
                "{domain} is a whole top-level name: every name under it is now decided by the cluster{of}.",
                domain=domain,
                of=_of(cluster),
            )
    if addresses is not None:
        _log.info(
            "Address of the cluster{of}: {addresses}.", of=_of(cluster), addresses=", ".join(addresses) or "none"
        )


def report_counts(shown: Mapping[str, Shown], records: int, faces: AbstractSet[str] = EVERY_FACE) -> None:
    """Say what was found at start; a wildcard resolves by DNS only."""
    count = len(shown) if DNS_FACE in faces else sum(not names.is_wildcard(name) for name in shown)
    _log.info("{records} records are stored, {names} names resolve.", records=records, names=count)


def _say_each(count: str, what: list[T], sentence: Callable[[T], str]) -> None:
    if len(what) > MANY:
        _log.info(count, count=len(what))
        return
    for line in sorted(map(sentence, what)):
        _log.info("{line}", line=line)


def _appeared(shown: Shown) -> str:
    instead = f", instead of {', '.join(map(_plain, shown.replaced[:3]))}" if shown.replaced else ""
    if len(shown.replaced) > 3:
        instead += f" and {len(shown.replaced) - 3} more"
    return f"{shown.name} is {', '.join(shown.addresses)}{instead}{_source(shown)}."


def _source(shown: Shown) -> str:
    words = [shown.cluster] if shown.cluster != DEFAULT else []
    words += [_plain(shown.resource)] if shown.resource else []
    return f" ({' '.join(words)})" if words else ""


def _not_shown(hidden: Hidden) -> str:
    return f"{_record(hidden)} is kept but not shown{_of(hidden.cluster)}: {hidden.sentence}."


def _dns_only(hidden: Hidden) -> str:
    return (
        f"{_record(hidden)} is answered by DNS, but not in the hosts file{_of(hidden.cluster)}: {hidden.sentence}."
    )


def _record(hidden: Hidden) -> str:
    return f"{_name(hidden.key)} ({_plain(hidden.key[1])})"


def _of(cluster: str) -> str:
    return "" if cluster == DEFAULT else f" in cluster {cluster}"


def _name(key: Key) -> str:
    return _plain(key[0])


def _plain(text: str) -> str:
    """A text of anybody's as it can stand in a log line."""
    shown = text if len(text) <= 260 else text[:257] + "..."
    return shown if shown.isascii() and shown.isprintable() and shown else ascii(shown)
