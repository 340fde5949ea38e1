"""Retries of calls to stages: causes, bounds, counts."""

from collections.abc import Awaitable, Callable

import pytest

from services.common.retry_policy import RetryPolicy
from services.gateway.stages.stage_problems import StageBusy, StageFailed, StageFault, StageTimeout
from services.gateway.stages.stage_retries import Broken, Busy, Refused, StageRetries, Unanswered, _Tries

pytestmark = pytest.mark.anyio
QUICK = RetryPolicy(0.001, 5.0, 0.002)
FAULT = StageFailed("cnn cannot be reached", stage="cnn")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _failing(*errors: Exception) -> tuple[list[float], Callable[[float], Awaitable[str]]]:
    """An attempt that raises the errors in turn, then answers; and the remaining times that it was given."""
    left, given = list(errors), list[float]()

    async def attempt(remaining_s: float) -> str:
        given.append(remaining_s)
        if left:
            raise left.pop(0)
        return "answer"

    return given, attempt


@pytest.mark.parametrize(
    "errors",
    [
        [Broken(FAULT)],
        [Refused(FAULT)] * 9,
        [Refused(FAULT), Broken(FAULT), Refused(FAULT), Busy(StageBusy("busy"))],
    ],
)
async def test_another_attempt_answers(errors: list[Unanswered]) -> None:
    retries = StageRetries("cnn", 60)
    given, attempt = _failing(*errors)
    assert await retries.call(attempt, QUICK) == "answer"
    assert len(given) == len(errors) + 1
    assert retries.counts == {
        kind.cause: sum(isinstance(error, kind) for error in errors)
        for kind in (Refused, Broken, Busy)
        if any(isinstance(error, kind) for error in errors)
    }


async def test_a_second_broken_connection_ends_the_call() -> None:
    retries = StageRetries("cnn", 60)
    given, attempt = _failing(Broken(FAULT), Refused(FAULT), Broken(FAULT))
    with pytest.raises(StageFailed):
        await retries.call(attempt, QUICK)
    assert len(given) == 3
    assert retries.counts == {"broken": 1, "refused": 1}


@pytest.mark.parametrize("fault", [FAULT, StageTimeout("late"), StageBusy("not by a replica")])
async def test_an_answer_of_the_stage_is_final(fault: StageFault) -> None:
    retries = StageRetries("cnn", 60)
    given, attempt = _failing(fault)
    with pytest.raises(type(fault)):
        await retries.call(attempt, QUICK)
    assert (len(given), retries.counts) == (1, {})


async def test_every_attempt_gets_the_rest_of_the_time() -> None:
    given, attempt = _failing(Refused(FAULT), Refused(FAULT))
    await StageRetries("cnn", 60).call(attempt, QUICK)
    assert 60 >= given[0] > given[1] > given[2]


async def test_no_attempt_begins_after_the_window() -> None:
    given, attempt = _failing(Refused(FAULT))
    with pytest.raises(StageFailed):
        await StageRetries("cnn", 60).call(attempt, RetryPolicy(0.001, 0.0))
    assert len(given) == 1


def _tries(timeout_s: float = 60.0) -> _Tries:
    return _Tries(RetryPolicy(0.1, 5.0, 0.4), deadline=1000 + timeout_s)


def test_the_window_begins_with_the_first_failure_and_the_deadline_ends_it() -> None:
    late = _tries()
    assert late.delay_s(Broken(FAULT), 1050) is not None
    assert late.delay_s(Refused(FAULT), 1054) is not None
    assert late.delay_s(Refused(FAULT), 1055) is None
    assert _tries(3).delay_s(Refused(FAULT), 1003) is None
    assert _tries(3).delay_s(Broken(FAULT), 1003) is None


def test_the_time_that_a_busy_replica_states_holds_from_the_second_answer_on() -> None:
    busy, tries = StageBusy("busy"), _tries()
    busy.retry_after_s = 3
    first, second = tries.delay_s(Busy(busy), 1000), tries.delay_s(Busy(busy), 1000.2)
    assert first is not None
    assert first <= 0.1
    assert second == 3
    busy.retry_after_s = 60
    assert tries.delay_s(Busy(busy), 1003) is None
