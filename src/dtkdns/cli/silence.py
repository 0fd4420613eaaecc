"""Whether external-dns goes on calling, judged for each cluster by what was seen of it lately."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import frozen

from dtkdns.status import ServiceStatus

PODS = "kubectl -n external-dns get pods"
"""Whether it runs, and with what it ended."""
INTERVALS = 3
"""Of silence are no pause between passes any more."""
SHORTEST = timedelta(seconds=90)
"""No shorter silence counts: a pod is replaced in it, and by default external-dns looks once a minute."""
UNSEEN = timedelta(minutes=3)
"""After which an external-dns should have called that is there and can."""


@frozen
class Silence:
    """A cluster whose external-dns no longer calls."""

    cluster: str
    last: datetime
    interval: timedelta
    """Between its passes before."""


def silences(status: ServiceStatus, now: datetime) -> Iterator[Silence]:
    """The clusters whose external-dns has been silent for too long.

    A pod that was replaced calls from another address: the last call of any peer counts, and the interval of the
    one that called last.
    """
    for cluster in status.clusters:
        seen = sorted(
            (one for one in status.external_dns if one.cluster == cluster.name), key=lambda one: one.last_pass
        )
        intervals = [one.interval for one in seen if one.interval is not None]
        if intervals:
            interval = timedelta(seconds=intervals[-1])
            if now - seen[-1].last_pass > max(INTERVALS * interval, SHORTEST):
                yield Silence(cluster.name, seen[-1].last_pass, interval)


def awaits_records(status: ServiceStatus) -> bool:
    """Whether stored records were lost, and external-dns has not sent them again."""
    return (status.hosts is not None and status.hosts.held) or (status.dns is not None and status.dns.held)


def unseen(status: ServiceStatus, now: datetime) -> Iterator[str]:
    """The clusters with a managed domain from which nothing has come for long, or only one pass."""
    for cluster in status.clusters:
        seen = [one for one in status.external_dns if one.cluster == cluster.name]
        begun = max((one.last_pass for one in seen), default=status.started)
        if cluster.domains and now - begun > UNSEEN and not any(one.interval is not None for one in seen):
            yield cluster.name
