from datetime import UTC, date, datetime

from services.common.addenda import wilson
from services.common.labels import Label
from services.gateway.feedback.agreement import agreement
from services.gateway.feedback.opinions import About, StoredOpinion
from services.gateway.feedback.schemas import Opinion

TODAY = date(2027, 1, 6)  # a Wednesday


def given_on(day: str, opinion: Opinion, label: Label = "any") -> StoredOpinion:
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return StoredOpinion(
        0, int(moment.timestamp() * 1000), About(0, label, None), opinion, predicted=True, reader="ann"
    )


def test_weeks_are_those_of_iso_8601_and_empty_ones_are_left_out() -> None:
    opinions = [
        given_on("2027-01-06", "agree"),
        given_on("2027-01-03T23:59:59", "disagree", "subdural"),
        given_on("2026-12-28", "agree"),
        given_on("2026-12-29", "uncertain"),
        given_on("2026-12-13T23:59:59", "agree"),
    ]
    old, new = agreement(opinions, 4, TODAY).periods
    assert (old.week, old.start, new.week, new.start) == ("2026-W53", "2026-12-28", "2027-W01", "2027-01-04")
    assert (old.agree, old.disagree, old.uncertain, old.rate) == (1, 1, 1, wilson(1, 2))
    assert (old.labels["any"].agree, old.labels["any"].uncertain, old.labels["subdural"].disagree) == (1, 1, 1)
    assert set(old.labels) == {"any", "subdural"}
    assert new.rate == wilson(1, 1)
    assert [period.week for period in agreement(opinions, 5, TODAY).periods] == ["2026-W50", "2026-W53", "2027-W01"]


def test_uncertain_opinions_have_no_rate() -> None:
    (period,) = agreement([given_on("2027-01-06", "uncertain")], 1, TODAY).periods
    assert period.rate is None
    assert agreement([], 1, TODAY).periods == ()
