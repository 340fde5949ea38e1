"""Runs one function over many tasks in worker processes. The only process pool of training."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from training.io.errors import TrainingError

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD: Final = 3  # tasks in hand for each process; more than one, because tasks differ in length


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def parallel_map(
    function: Callable[[Task], Result], tasks: Iterable[Task], processes: int | None = None
) -> Iterator[Result]:
    """Yield results in the order of their tasks.

    Tasks are taken from the iterable shortly before a process needs them. With one process, the work is done here.

    Parameters
    ----------
    processes : worker processes, started by "spawn"; one for each core where None

    Raises
    ------
    TrainingError
        a task raised it, or a worker process was killed
    """
    count = processes or cores()
    if count == 1:
        yield from map(function, tasks)
        return
    pending: deque[Future[Result]] = deque()
    with worker_pool(count) as pool:
        try:
            for task in tasks:
                pending.append(pool.submit(function, task))
                if len(pending) >= count * _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise TrainingError(
                "A worker process was killed, perhaps because memory ran out: start the step again with fewer "
                "--processes; it resumes where it stopped."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def worker_pool(processes: int, initializer: Callable[[], None] | None = None) -> ProcessPoolExecutor:
    """Return a pool whose processes leave Ctrl-C to their parent and end with it; `initializer` runs first in each."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=(initializer,))


def _start_worker(initializer: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    if initializer:
        initializer()


def _exit_with(parent: int) -> None:
    """End this process when its parent is gone: a killed parent ends nobody."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
