"""Threads that work on assessments, one each."""

import logging
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Final

from services.dicom_node.registry.assessments import Assessment, WorkStep

log = logging.getLogger(__name__)


class Workers:
    """Threads for some steps. No assessment is worked on twice at a time.

    Parameters
    ----------
    most : number of threads
    done : called after each assessment
    """

    def __init__(
        self, steps: Sequence[WorkStep], most: int, work: Callable[[Assessment], None], done: Callable[[], object]
    ) -> None:
        self.steps: Final = tuple(steps)
        self._most, self._work, self._done = most, work, done
        self._running: dict[int, Thread] = {}
        self._lock = Lock()

    @property
    def wanted(self) -> int:
        """The number of due assessments that `start` can use: some of them may be in work."""
        with self._lock:
            return 0 if len(self._running) >= self._most else self._most + len(self._running)

    def start(self, due: Sequence[Assessment]) -> None:
        """Start assessments in free threads, those first that are listed first."""
        for assessment in due:
            with self._lock:
                if assessment.id in self._running or len(self._running) >= self._most:
                    continue
                thread = Thread(
                    target=self._run, args=[assessment], name=f"{assessment.step} {assessment.id}", daemon=True
                )
                self._running[assessment.id] = thread
            thread.start()

    def stop(self, patience_s: float) -> None:
        """Wait some time for the assessments in work; a step that is cut off is repeated after the next start."""
        for thread in tuple(self._running.values()):
            thread.join(patience_s)

    def _run(self, assessment: Assessment) -> None:
        try:
            self._work(assessment)
        except Exception:  # such as a registry on a full disk: the next round tries again
            log.exception("a step failed, and could not be noted", extra={"fields": {"id": assessment.id}})
        finally:
            with self._lock:
                del self._running[assessment.id]
            self._done()
