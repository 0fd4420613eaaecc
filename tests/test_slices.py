"""Long work gives way, and comes to the same as in one go."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from dtkdns import slices
from dtkdns.cluster import Cluster
from dtkdns.endpoint import Changes, Endpoint, make_endpoint
from dtkdns.projection import Projection
from dtkdns.slices import STRIDE, Steps, at_once, in_slices
from dtkdns.wire import decoding_changes, decoding_desired, decoding_endpoints, encoding_endpoints


def counting(number: int, done: list[int]) -> Steps[int]:
    for step in range(number):
        done.append(step)
        yield
    return number


def failing() -> Steps[None]:
    yield
    raise ValueError("in the middle")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for work that gives way wherever it can."""
    monkeypatch.setattr(slices, "SLICE", -1.0)
    return Clock()


def test_work_in_one_go_comes_to_what_it_returns() -> None:
    done: list[int] = []
    assert at_once(counting(3, done)) == 3
    assert done == [0, 1, 2]


def test_little_work_is_done_without_giving_way() -> None:
    result: list[int] = []
    Deferred.fromCoroutine(in_slices(counting(3, []), Clock())).addCallback(result.append)
    assert result == [3]


def test_long_work_gives_way_after_each_slice(impatient: Clock) -> None:
    done: list[int] = []
    result: list[int] = []
    Deferred.fromCoroutine(in_slices(counting(3, done), impatient)).addCallback(result.append)
    assert (done, result) == ([0], [])
    impatient.advance(0)
    assert (done, result) == ([0, 1, 2], [3])


def test_what_work_raises_reaches_whoever_waits(impatient: Clock) -> None:
    with pytest.raises(ValueError, match="in the middle"):
        at_once(failing())
    waiting = Deferred.fromCoroutine(in_slices(failing(), impatient))
    impatient.advance(0)
    failures: list[str] = []
    waiting.addErrback(lambda failure: failures.append(failure.getErrorMessage()))
    assert failures == ["in the middle"]


def test_work_that_nobody_waits_for_any_longer_ends(impatient: Clock) -> None:
    done: list[int] = []
    waiting = Deferred.fromCoroutine(in_slices(counting(3, done), impatient))
    waiting.cancel()
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    assert done == [0]
    assert not impatient.getDelayedCalls()


def places(steps: Steps[object]) -> int:
    """How often the work can give way."""
    return sum(1 for _ in steps)


def test_every_part_of_a_large_change_can_give_way_again_and_again() -> None:
    number = 50 * STRIDE
    usual = b',{"dnsName":"y.dtk.io","recordType":"CNAME","labels":{"resource":"%b"}}' % (b"x" * 400)
    body = b'[{"dnsName":"x.dtk.io","recordType":"A"}%b]' % (usual * (number - 1))
    assert places(decoding_endpoints(body)) >= 50
    assert places(decoding_desired(body)) >= 50
    assert places(decoding_changes(b'{"create":%b}' % body)) >= 50
    endpoints: list[Endpoint] = [
        make_endpoint(f"n{n}.dtk.io", "CNAME", "", (f"n{n + 1}.dtk.io",), 0, {}, b"{}") for n in range(number)
    ]
    unusual = body.replace(b'{"dnsName"', b'{"targets":[],"dnsName"')
    assert places(decoding_endpoints(unusual)) >= 50
    assert places(encoding_endpoints(endpoint.document for endpoint in endpoints)) >= 50
    cluster = Cluster("default", ("dtk.io",))
    assert places(cluster.adjusting([endpoint.key for endpoint in endpoints])) >= 50
    assert places(cluster.applying(Changes(create=tuple(endpoints)), 1.0)) >= 100
    after, delta = cluster.apply(Changes(create=tuple(endpoints)), 1.0)
    assert places(after.applying(Changes(delete=tuple(endpoints)), 1.0)) >= 100
    assert places(Projection().following({"default": after}, delta.owners)) >= 100
