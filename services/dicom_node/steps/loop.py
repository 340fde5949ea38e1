"""The thread that runs the steps: a part of the node."""

import logging
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Final, Self

from services.dicom_node.registry.assessments import due_assessments
from services.dicom_node.registry.delivery_steps import Destination
from services.dicom_node.registry.registry import Registry
from services.dicom_node.registry.retention import KeepTimes, sweep
from services.dicom_node.selection.verdict import SelectionRules
from services.dicom_node.settings import Settings
from services.dicom_node.steps.building import Building, ChildProcess
from services.dicom_node.steps.completing import Completing
from services.dicom_node.steps.gateway_jobs import HttpGatewayJobs, connect_gateway
from services.dicom_node.steps.steps import Steps
from services.dicom_node.steps.submitting import Submitting
from services.dicom_node.steps.workers import Claims, Workers

log = logging.getLogger(__name__)
_PERIOD_S: Final = 1.0
_STORE_CLOCK_S: Final = 10.0
_DELETE_S: Final = 5.0
_SWEEP_S: Final = 60.0
_STOP_S: Final = 3.0


class StepLoop:
    """Looks each second for series that are complete and assessments that are due, and works on them in threads.

    Parameters
    ----------
    stop_builds : kills the builds in progress; they are repeated after the next start
    close : closes the connections to the gateway
    """

    name = "assessments"

    def __init__(
        self,
        registry: Registry,
        steps: Steps,
        completing: Completing,
        settings: Settings,
        *,
        stop_builds: Callable[[], None] = lambda: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._registry, self._steps, self._completing = registry, steps, completing
        self._stop_builds, self._close = stop_builds, close
        self._keep = KeepTimes(settings.received_keep_s, settings.unassessed_keep_s, settings.results_keep_s)
        self._wake, self._stopping = Event(), False
        claims, advance, wake = Claims(), steps.advance, self._wake.set
        self._transfers = Workers(("complete", "submitted"), settings.submissions, claims, advance, wake)
        self._builds = Workers(("reported",), settings.builds, claims, advance, wake)
        self._next_s: dict[str, float] = {}
        self._deleting = Thread()
        self._thread = Thread(target=self._run, name=self.name, daemon=True)

    @classmethod
    def create(
        cls,
        registry: Registry,
        selection: SelectionRules,
        destinations: Mapping[str, Destination],
        settings: Settings,
        wake_sender: Callable[[], None],
    ) -> Self:
        """The loop with the gateway of the settings, and with processes that build."""
        http = connect_gateway(settings)
        gateway = HttpGatewayJobs(http, settings)
        builder = ChildProcess(settings.build_timeout_s)
        building = Building(
            registry,
            builder,
            destinations,
            settings.results,
            settings.build_memory_bytes,
            settings.first_series_number,
        )
        submitting = Submitting(registry, gateway, f"blood key_images {settings.priority}", settings.keep_jobs)
        steps = Steps(registry, submitting, building, wake_sender)
        completing = Completing(registry, selection, settings)
        return cls(registry, steps, completing, settings, stop_builds=builder.stop, close=http.close)

    @property
    def failures(self) -> Mapping[str, int]:
        """The number of failed attempts since the start, by code."""
        return self._steps.failures

    def start(self) -> None:
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look at once for work, from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """End soon; a step that is cut off is repeated after the next start."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._stop_builds()
        for workers in (self._transfers, self._builds):
            workers.stop(_STOP_S)
        self._close()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._round()
            except Exception:  # the next round may succeed; without rounds, nothing is ever assessed
                log.exception("a round of the steps failed; the next one tries again")
            self._wake.wait(_PERIOD_S)
            self._wake.clear()

    def _round(self) -> None:
        self._completing.run()
        if not self._steps.gateway_is_paused:
            self._start(self._transfers)
            self._every(_DELETE_S, "delete", self._start_deleting)
        self._start(self._builds)
        self._every(_STORE_CLOCK_S, "clock", self._registry.clock.store)
        self._every(_SWEEP_S, "sweep", lambda: sweep(self._registry, self._keep))

    def _start(self, workers: Workers) -> None:
        if not (wanted := workers.wanted):
            return
        with self._registry.database.read() as connection:
            due = due_assessments(connection, self._registry.clock.now_s(), workers.steps, wanted)
        workers.start(due)

    def _start_deleting(self) -> None:
        """In a thread: a gateway that hangs delays nothing else."""
        if not self._deleting.is_alive():
            self._deleting = Thread(target=self._steps.delete_jobs, name="delete jobs", daemon=True)
            self._deleting.start()

    def _every(self, period_s: float, name: str, work: Callable[[], None]) -> None:
        now_s = self._registry.clock.now_s()
        if now_s >= self._next_s.get(name, 0.0):
            self._next_s[name] = now_s + period_s
            work()
