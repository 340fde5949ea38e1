"""Threads that work on assessments, one each."""

import logging
import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Final

from services.dicom_node.registry.assessments import Assessment, WorkStep

log = logging.getLogger(__name__)


class Claims:
    """The assessments in work, by id: each by one thread at a time."""

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._lock = Lock()

    def take(self, assessment: int) -> bool:
        """Whether the assessment was free."""
        with self._lock:
            if assessment in self._ids:
                return False
            self._ids.add(assessment)
            return True

    def give_back(self, assessment: int) -> None:
        with self._lock:
            self._ids.discard(assessment)

    def __len__(self) -> int:
        return len(self._ids)


class Workers:
    """Threads for some steps.

    Parameters
    ----------
    most : number of threads
    work : is to check that the assessment is still due: it may be listed before another thread ends its work
    done : called after each assessment
    """

    def __init__(
        self,
        steps: Sequence[WorkStep],
        most: int,
        claims: Claims,
        work: Callable[[Assessment], None],
        done: Callable[[], object],
    ) -> None:
        self.steps: Final = tuple(steps)
        self._most, self._claims, self._work, self._done = most, claims, work, done
        self._threads: dict[int, Thread] = {}

    @property
    def wanted(self) -> int:
        """The number of due assessments that `start` can use: some of them may be in work."""
        return self._most + len(self._claims) if len(self._threads) < self._most else 0

    def start(self, due: Sequence[Assessment]) -> None:
        """Start assessments in free threads, those first that are listed first. Of one thread only."""
        for assessment in due:
            if len(self._threads) < self._most and self._claims.take(assessment.id):
                thread = Thread(target=self._run, args=[assessment], name=f"step {assessment.id}", daemon=True)
                self._threads[assessment.id] = thread
                thread.start()

    def stop(self, patience_s: float) -> None:
        """Wait so long for all assessments in work; a step that is cut off is repeated after the next start."""
        deadline = time.monotonic() + patience_s
        for thread in tuple(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, assessment: Assessment) -> None:
        try:
            self._work(assessment)
        except Exception:  # such as a registry on a full disk: the next round tries again
            log.exception("a step failed, and could not be noted", extra={"fields": {"id": assessment.id}})
        finally:
            del self._threads[assessment.id]
            self._claims.give_back(assessment.id)
            self._done()
