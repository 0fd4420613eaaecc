"""Work that blocks is done elsewhere, one piece after the other, and all of it before the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.internet.task import deferLater

from dtkdns.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker(reactor, "test")
    found.start()
    yield found
    found.stop()


@ensureDeferred
async def test_the_result_comes_back_to_the_reactor_from_a_thread_that_is_not_its_own(worker: Worker) -> None:
    def work(*args: int, **named: int) -> tuple[object, ...]:
        return threading.current_thread(), args, named

    thread, args, named = await worker.run(work, 1, 2, three=3)
    assert (args, named) == ((1, 2), {"three": 3})
    assert thread is not threading.current_thread()
    assert (await worker.run(threading.current_thread)) is thread


@ensureDeferred
async def test_an_error_comes_back_as_it_was_raised_and_later_work_is_done(worker: Worker) -> None:
    error = ValueError("bad")

    def work() -> None:
        raise error

    with pytest.raises(ValueError, match="bad") as raised:
        await worker.run(work)
    assert raised.value is error
    assert await worker.run(int, "7") == 7


@ensureDeferred
async def test_work_is_done_one_after_the_other_in_the_order_asked_for(worker: Worker) -> None:
    done: list[int] = []
    busy = threading.Lock()

    def work(number: int) -> None:
        assert busy.acquire(blocking=False)
        done.append(number)
        busy.release()

    results = await DeferredList([worker.run(work, number) for number in range(200)])
    assert all(succeeded for succeeded, _ in results)
    assert done == list(range(200))


@ensureDeferred
async def test_the_reactor_goes_on_while_work_blocks(worker: Worker) -> None:
    released = threading.Event()
    waiting = worker.run(released.wait, 10)
    assert await deferLater(reactor, 0, lambda: "a turn") == "a turn"
    assert not waiting.called
    released.set()
    assert await waiting


@ensureDeferred
async def test_what_was_asked_for_before_the_start_is_done_after_it() -> None:
    worker = Worker(reactor, "test")
    early = worker.run(int, "1")
    worker.start()
    assert await early == 1
    worker.stop()


@ensureDeferred
async def test_a_stop_waits_for_all_that_was_asked_for_and_ends_the_thread() -> None:
    worker = Worker(reactor, "test")
    worker.start()
    thread = await worker.run(threading.current_thread)
    gate = threading.Event()
    done: list[int] = []
    pending = [worker.run(gate.wait, 10), *(worker.run(done.append, number) for number in range(50))]
    gate.set()
    worker.stop()
    assert done == list(range(50))
    assert not thread.is_alive()
    await DeferredList(pending)


@ensureDeferred
async def test_a_disk_that_hangs_keeps_no_process_from_ending(worker: Worker) -> None:
    assert (await worker.run(threading.current_thread)).daemon


def test_a_worker_that_was_never_started_can_be_stopped() -> None:
    Worker(reactor, "test").stop()
