import time
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from services.common.deadline import Deadline, DeadlineExceeded, current_deadline, deadline_in_context
from services.common.problems import ClientClosedRequest
from services.preprocess.fair_threads import FairThreads


@pytest.fixture
def threads() -> Iterator[FairThreads]:
    found = FairThreads(2)
    yield found
    found.close()


def test_results_have_the_order_of_their_items(threads: FairThreads) -> None:
    def slow(item: int) -> int:
        time.sleep(0.001 * (item % 3))
        return item

    assert threads.map(slow, range(50)) == list(range(50))
    assert threads.map(str, []) == []


def test_the_deadline_of_the_caller_holds_in_the_threads(threads: FairThreads) -> None:
    own = Deadline()
    with deadline_in_context(own):
        assert threads.map(lambda _: current_deadline() is own, range(5)) == [True] * 5


def test_no_item_begins_after_the_deadline(threads: FairThreads) -> None:
    begun: list[int] = []
    deadline = Deadline()

    def work(item: int) -> None:
        begun.append(item)
        if item == 3:
            deadline.cancel()

    with deadline_in_context(deadline), pytest.raises(ClientClosedRequest):
        threads.map(work, range(1000))
    assert len(begun) < 10
    with deadline_in_context(Deadline(time.monotonic() - 1)), pytest.raises(DeadlineExceeded):
        threads.map(begun.append, range(3))
    assert len(begun) < 10


def test_no_item_begins_after_a_failure(threads: FairThreads) -> None:
    begun: list[int] = []

    def fail(item: int) -> None:
        begun.append(item)
        raise ValueError(item)

    with pytest.raises(ValueError, match=r"0|1"):
        threads.map(fail, range(1000))
    assert len(begun) < 5


def test_callers_take_turns(threads: FairThreads) -> None:
    """A caller with one item need not wait for the thousand of another."""
    order: list[str] = []
    begun, release = Event(), Event()

    def slow(item: int) -> None:
        begun.set()
        release.wait(10)
        order.append(f"slow {item}")

    first = Thread(target=threads.map, args=(slow, range(1000)))
    first.start()
    begun.wait(10)
    second = Thread(target=threads.map, args=(lambda _: order.append("quick"), range(1)))
    second.start()
    time.sleep(0.05)
    release.set()
    second.join(10)
    assert order.index("quick") < 10
    first.join(30)
    assert len(order) == 1001
