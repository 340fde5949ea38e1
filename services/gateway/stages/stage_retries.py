"""Repeats calls of a stage: another replica may answer where one is busy, restarting or gone.

Stages keep no state, so a second attempt is safe. Each attempt may open another connection, which a balancer may give
to another replica. An answer of the stage is final unless it is 502 of a proxy, or 503.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeVar

from services.common.retry_policy import RetryPolicy
from services.gateway.stages.stage_problems import StageFault

T = TypeVar("T")
log = logging.getLogger(__name__)
Cause = Literal["refused", "broken", "busy"]
_FIRST_DELAY_S: Final = 0.1
_MAX_DELAY_S: Final = 0.4
_MAX_BROKEN: Final = 1  # a request that ends replicas must not end all of them


class Unanswered(Exception):
    """A call that another replica may answer; `fault` is raised where none does."""

    cause: ClassVar[Cause]

    def __init__(self, fault: StageFault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class Refused(Unanswered):
    """No connection was opened: nothing was sent."""

    cause = "refused"


class Broken(Unanswered):
    """The connection broke before the whole answer, or a proxy says so."""

    cause = "broken"


class Busy(Unanswered):
    """The replica takes no more requests for `retry_after_s` of the fault."""

    cause = "busy"


def retry_policy(give_up_s: float) -> RetryPolicy:
    """Delays between the attempts of one call."""
    return RetryPolicy(_FIRST_DELAY_S, give_up_s, _MAX_DELAY_S)


class StageRetries:
    """The retries of one stage's calls, counted by cause.

    Parameters
    ----------
    timeout_s : of a call with all its attempts; None is no limit
    """

    def __init__(self, stage: str, timeout_s: float | None) -> None:
        self.counts: Counter[Cause] = Counter()
        self._stage = stage
        self._timeout_s = math.inf if timeout_s is None else timeout_s

    async def call(self, attempt: Callable[[float], Awaitable[T]], policy: RetryPolicy) -> T:
        """The result of `attempt`, which gets the seconds until the call must end.

        Raises
        ------
        StageFault
            by `attempt` itself, or of the last Unanswered
        """
        tries = _Tries(policy, time.monotonic() + self._timeout_s)
        while True:
            try:
                return await attempt(tries.deadline - time.monotonic())
            except Unanswered as error:
                delay_s = tries.delay_s(error, time.monotonic())
                if delay_s is None:
                    raise error.fault from error.__cause__
                self._count(error.cause)
            await asyncio.sleep(delay_s)

    def _count(self, cause: Cause) -> None:
        self.counts[cause] += 1
        log.info("a stage is called again", extra={"fields": {"stage": self._stage, "cause": cause}})


@dataclass(slots=True)
class _Tries:
    """The failed attempts of one call. `policy.give_up_s` counts from the first one."""

    policy: RetryPolicy
    deadline: float
    failures: int = 0
    broken: int = 0
    busy: int = 0
    give_up_at: float = math.inf

    def delay_s(self, error: Unanswered, now: float) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        self._add(error, now)
        delay_s = self.policy.jittered_s(self.failures)
        if isinstance(error, Busy) and self.busy > 1:  # the first time, another replica may have room at once
            delay_s = max(delay_s, error.fault.retry_after_s or 0)
        last = self.deadline if isinstance(error, Broken) else min(self.deadline, self.give_up_at)
        return delay_s if self.broken <= _MAX_BROKEN and now + delay_s < last else None

    def _add(self, error: Unanswered, now: float) -> None:
        if not self.failures:
            self.give_up_at = now + self.policy.give_up_s
        self.failures += 1
        self.broken += isinstance(error, Broken)
        self.busy += isinstance(error, Busy)
