"""When an external-dns counts as silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from dtkdns.cli.silence import INTERVALS, SHORTEST, UNSEEN, Silence, silences, unseen
from dtkdns.status import ClusterStatus, ExternalDNSStatus
from examples import HEALTHY, NOW

MOMENT = timedelta(seconds=1)


def peer(address: str, ago: timedelta, interval: float | None, cluster: str = "default") -> ExternalDNSStatus:
    return ExternalDNSStatus(cluster, address, NOW - ago, None, interval)


def silent(*peers: ExternalDNSStatus) -> list[Silence]:
    return list(silences(evolve(HEALTHY, external_dns=peers), NOW))


def test_three_intervals_of_silence_are_too_long() -> None:
    bound = INTERVALS * timedelta(minutes=10)
    assert silent(peer("10.0.0.1", bound, 600.0)) == []
    assert silent(peer("10.0.0.1", bound + MOMENT, 600.0)) == [
        Silence("default", NOW - bound - MOMENT, timedelta(minutes=10))
    ]


def test_a_pod_has_time_to_be_replaced_however_short_the_interval_is() -> None:
    assert silent(peer("10.0.0.1", SHORTEST, 1.0)) == []
    assert len(silent(peer("10.0.0.1", SHORTEST + MOMENT, 1.0))) == 1


@pytest.mark.parametrize("interval", [None, 60.0])
def test_a_peer_that_was_replaced_is_not_reported(interval: float | None) -> None:
    assert silent(peer("10.0.0.1", timedelta(days=1), 60.0), peer("10.0.0.2", MOMENT, interval)) == []


def test_the_interval_is_that_of_the_peer_that_called_last() -> None:
    day = timedelta(days=1)
    (found,) = silent(peer("10.0.0.2", day, 1.0), peer("10.0.0.1", 2 * day, 3600.0))
    assert found == Silence("default", NOW - day, timedelta(seconds=1))


def test_each_cluster_is_judged_by_itself_and_one_that_was_forgotten_is_not() -> None:
    lab = ClusterStatus("lab", ("lab.io",), (), 0, 0)
    peers = tuple(peer("10.0.0.1", timedelta(hours=1), 1.0, name) for name in ("lab", "gone"))
    status = evolve(HEALTHY, clusters=(*HEALTHY.clusters, lab), external_dns=(*HEALTHY.external_dns, *peers))
    assert [one.cluster for one in silences(status, NOW)] == ["lab"]


def test_nothing_is_known_of_one_that_was_seen_once() -> None:
    assert silent(peer("10.0.0.1", timedelta(days=1), None)) == []


def test_one_that_never_came_or_only_once_is_missed_after_a_while() -> None:
    def missed(*peers: ExternalDNSStatus, up: timedelta) -> list[str]:
        return list(unseen(evolve(HEALTHY, started=NOW - up, external_dns=peers), NOW))

    assert missed(up=UNSEEN) == []
    assert missed(up=UNSEEN + MOMENT) == ["default"]
    assert missed(peer("10.0.0.1", MOMENT, None), up=timedelta(days=1)) == []
    assert missed(peer("10.0.0.1", UNSEEN + MOMENT, None), up=timedelta(days=1)) == ["default"]
    assert missed(peer("10.0.0.1", timedelta(hours=1), 60.0), up=timedelta(days=1)) == []


def test_a_cluster_without_domains_misses_nobody() -> None:
    assert list(unseen(evolve(HEALTHY, clusters=(ClusterStatus("x", (), (), 0, 0),), external_dns=()), NOW)) == []
