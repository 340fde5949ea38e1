"""Whether a service can do its work, asked by probes; its log tells changes only."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from services.common.graceful_shutdown import GracefulShutdown
from services.common.problems import Problem

log = logging.getLogger(__name__)
ReadyCheck = Callable[[], Awaitable[None]]
PROBES: Final = frozenset({"/readyz", "/v2/health/ready", "/v2/models/{name}/ready"})


class Readiness:
    """Asks `ready`, which raises a Problem while the service can't do its work; a service that drains is not ready.

    Before the first readiness an INFO names each new cause. Later, each loss is one WARNING and each return one INFO.
    """

    def __init__(self, ready: ReadyCheck, shutdown: GracefulShutdown) -> None:
        self._ready = ready
        self._shutdown = shutdown
        self._was_ready = self._is_ready = False
        self._causes: set[str] = set()

    async def check(self) -> None:
        """Problem while the service is not ready."""
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
            log.warning("ready no more", exc_info=problem, extra={"fields": fields})
        elif not self._was_ready and cause not in self._causes:
            log.info("not ready yet", extra={"fields": fields})
        self._is_ready = False
        self._causes.add(cause)


def _cause(problem: Problem) -> str:
    """Codes, or the class of what went wrong, never its words."""
    stated = " ".join(str(problem.extra[key]) for key in ("stage", "cause") if key in problem.extra)
    return stated or type(problem.__cause__ or problem).__qualname__
