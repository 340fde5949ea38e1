"""Threads that several requests share: each request has few items in the queue, so that all take turns."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TypeVar

from services.common.deadline import current_deadline

T = TypeVar("T")
Item = TypeVar("Item")


class FairThreads:
    """Runs functions over items, of several callers at the same time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="slices")

    def map(self, function: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        """The results in the order of the items, each computed in a copy of the caller's context.

        At most as many items as there are threads are in progress or queued. After a failure or the end of the current
        deadline, no further item is begun.

        Raises
        ------
        DeadlineExceeded, ClientClosedRequest
            the current deadline ended the work
        """
        deadline = current_deadline()

        def run(item: Item) -> T:
            deadline.check()
            return function(item)

        found: dict[int, T] = {}
        running: dict[Future[T], int] = {}
        try:
            for number, item in enumerate(items):
                running[self._threads.submit(copy_context().run, run, item)] = number
                if len(running) >= self._count:
                    _collect(running, found)
            while running:
                _collect(running, found)
        finally:
            for future in running:
                future.cancel()
        return [found[number] for number in range(len(items))]

    def close(self) -> None:
        """End the threads, after the work in progress."""
        self._threads.shutdown()


def _collect(running: dict[Future[T], int], found: dict[int, T]) -> None:
    """Wait until an item ends, and move the results of all that have."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        found[running.pop(future)] = future.result()
