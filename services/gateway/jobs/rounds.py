"""When a gateway reconciles and sweeps: with the lease for all gateways, without it for its own uploads alone."""

from collections.abc import Callable
from typing import Final

from services.gateway.jobs.retention import Retention
from services.gateway.jobs.scheduler import FairScheduler
from services.gateway.jobs.store import JobStore

INTERVAL_S: Final = 5.0
_SWEEP_S: Final = 60.0
_IDLE_INTERVAL_S: Final = 20.0  # without open jobs in an object storage, which has a price for each request
_IDLE_SWEEP_S: Final = 120.0


class Rounds:
    """What a gateway does every few seconds: with the lease, it reconciles and sweeps for all gateways.

    Parameters
    ----------
    sweep
        removes all that no gateway needs any more
    """

    def __init__(
        self, store: JobStore, scheduler: FairScheduler, retention: Retention, sweep: Callable[[], object]
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._retention = retention
        self._sweep_all = sweep
        self._term: int | None = None
        self._sweep_at_s = self._passed_s = 0.0

    def run(self) -> float:
        """One round; the seconds until the next one. The first round of a term sweeps."""
        term = self._store.lease.term()
        if term != self._term:
            self._term, self._sweep_at_s = term, self._passed_s
            self._retention.forget()
        sweeps, busy = self._passed_s >= self._sweep_at_s, False
        try:
            busy = term is not None and self._scheduler.reconcile()
        finally:
            idle = not busy and self._store.membership is not None
            pause_s = _IDLE_INTERVAL_S if idle and term is not None else INTERVAL_S
            if sweeps:
                self._sweep_at_s = self._passed_s + (_IDLE_SWEEP_S if idle else _SWEEP_S)
            self._passed_s += pause_s
            if sweeps:
                self._sweep(term)
        return pause_s

    def _sweep(self, term: int | None) -> None:
        if term is None:
            self._store.settle_uploads(all_gateways=False)
        else:
            self._sweep_all()
