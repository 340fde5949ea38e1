"""Readiness of a service for probes; the log records changes only."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from services.common.graceful_shutdown import GracefulShutdown
from services.common.problems import Problem

log = logging.getLogger(__name__)
ReadyCheck = Callable[[], Awaitable[None]]
PROBES: Final = frozenset({"/readyz", "/v2/health/ready", "/v2/models/{name}/ready"})


class Readiness:
    """Runs `ready`, which raises a Problem while the service cannot serve requests; off during a graceful shutdown.

    Before the first readiness, an INFO record names each new cause. Later, each loss is one WARNING record, and each
    recovery one INFO record.
    """

    def __init__(self, ready: ReadyCheck, shutdown: GracefulShutdown) -> None:
        self._ready = ready
        self._shutdown = shutdown
        self._was_ready = self._is_ready = False
        self._causes: set[str] = set()

    async def check(self) -> None:
        """Raise a Problem while the service is not ready."""
        self._shutdown.check()
        try:
            await self._ready()
        except Problem as problem:
            self._note_problem(problem)
            raise
        self._note_ready()

    def _note_ready(self) -> None:
        if not self._is_ready:
            log.info("ready again" if self._was_ready else "ready")
        self._was_ready = self._is_ready = True
        self._causes.clear()

    def _note_problem(self, problem: Problem) -> None:
        cause = _cause(problem)
        fields = {"code": problem.code, "cause": cause}
        if self._is_ready:
            log.warning("no longer ready", exc_info=problem, extra={"fields": fields})
        elif not self._was_ready and cause not in self._causes:
            log.info("not ready yet", extra={"fields": fields})
        self._is_ready = False
        self._causes.add(cause)


def _cause(problem: Problem) -> str:
    """Stage and cause, or the class of the error, never its message."""
    stated = " ".join(str(problem.extra[key]) for key in ("stage", "cause") if key in problem.extra)
    return stated or type(problem.__cause__ or problem).__qualname__
