from services.gateway.audit.events import system_event
from services.gateway.audit.refusals import LINES_PER_PERIOD, PERIOD_S, RefusalLimit

REFUSAL = system_event("refuse_key")


def test_a_period_has_a_number_of_lines_and_one_that_counts_the_others() -> None:
    now = [0.0]
    limit = RefusalLimit(lambda: now[0])
    assert sum(limit.admits(REFUSAL) for _ in range(LINES_PER_PERIOD + 7)) == LINES_PER_PERIOD
    assert limit.summary() == []
    now[0] = PERIOD_S
    (line,) = limit.summary()
    assert (line["action"], line["left_out"]) == ("refuse_key", 7)
    assert limit.summary(final=True) == []
    assert limit.admits(REFUSAL)


def test_the_last_summary_does_not_wait() -> None:
    limit = RefusalLimit(lambda: 0.0)
    for _ in range(LINES_PER_PERIOD + 1):
        limit.admits(REFUSAL)
    assert [line["left_out"] for line in limit.summary(final=True)] == [1]


def test_other_events_are_never_left_out() -> None:
    limit = RefusalLimit(lambda: 0.0)
    assert all(limit.admits(system_event("read")) for _ in range(LINES_PER_PERIOD * 2))
