"""One function over many tasks on all cores."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Final, TypeVar

from training.io.errors import CannotGoOn

Task = TypeVar("Task")
Result = TypeVar("Result")

_HANDED_OUT: Final = 2  # tasks for each process: one in work, one to go on with


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def every(function: Callable[[Task], Result], tasks: Iterable[Task], processes: int | None = None) -> Iterator[Result]:
    """The results as they come, in no order. Tasks are made when they are needed; one process works in this one.

    Raises
    ------
    CannotGoOn
        a task said so, or one of the processes was killed
    """
    count = processes or cores()
    if count == 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=begin_worker) as pool:
        try:
            yield from _results(pool, function, iter(tasks), count * _HANDED_OUT)
        except BrokenProcessPool:
            raise CannotGoOn(
                "One of the processes was killed, perhaps for want of memory: start the step again with fewer "
                "--processes, it goes on where it stopped."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _results(
    pool: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Iterator[Task], at_once: int
) -> Iterator[Result]:
    running: set[Future[Result]] = {pool.submit(function, task) for task in islice(tasks, at_once)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(function, task) for task in islice(tasks, len(done))}
        yield from (future.result() for future in done)


def begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent has been killed: nobody else would end this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
