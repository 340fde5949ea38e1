import time

import pytest

from services.common.deadline import Deadline, DeadlineExceeded, current_deadline, deadline_in_context
from services.common.problems import ClientClosedRequest


def test_a_deadline_without_a_time_never_ends() -> None:
    current_deadline().check()
    assert current_deadline().remaining_s == float("inf")


def test_work_ends_when_its_time_has_passed() -> None:
    late = Deadline(time.monotonic() - 1)
    assert late.remaining_s == 0
    with pytest.raises(DeadlineExceeded):
        late.check()


def test_a_cancelled_deadline_ends_steps_in_progress_and_later_ones() -> None:
    deadline, ended = Deadline(), []
    with deadline.ending(lambda: ended.append("over")):
        pass
    with deadline.ending(lambda: ended.append("first")):
        deadline.cancel()
    with deadline.ending(lambda: ended.append("later")):
        pass
    assert ended == ["first", "later"]
    assert deadline.remaining_s == 0
    with pytest.raises(ClientClosedRequest):
        deadline.check()


def test_the_current_deadline_is_that_of_the_context() -> None:
    before, own = current_deadline(), Deadline()
    with deadline_in_context(own):
        assert current_deadline() is own
    assert current_deadline() is before
