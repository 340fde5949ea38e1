"""Readers' agreement with the predictions, by ISO week and label."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from services.common.addenda import wilson
from services.common.labels import LABELS
from services.gateway.feedback.opinions import StoredOpinion
from services.gateway.feedback.schemas import Agreement, AgreementCounts, AgreementPeriod


def agreement(opinions: Iterable[StoredOpinion], weeks: int, today: date) -> Agreement:
    """The latest opinions of some weeks, the present one included, by the week in which they were given."""
    first = _monday(today) - timedelta(weeks=weeks - 1)
    by_week: dict[date, list[StoredOpinion]] = {}
    for one in opinions:
        monday = _monday(datetime.fromtimestamp(one.at_ms / 1000, UTC).date())
        if monday >= first:
            by_week.setdefault(monday, []).append(one)
    return Agreement(periods=tuple(_period(monday, found) for monday, found in sorted(by_week.items())))


def _period(monday: date, found: list[StoredOpinion]) -> AgreementPeriod:
    by_label = {label: [one for one in found if one.about.label == label] for label in LABELS}
    year, week, _ = monday.isocalendar()
    return AgreementPeriod(
        week=f"{year}-W{week:02d}",
        start=monday.isoformat(),
        labels={label: _counts(some) for label, some in by_label.items() if some},
        **dict(_counts(found)),
    )


def _counts(opinions: list[StoredOpinion]) -> AgreementCounts:
    said = Counter(one.opinion for one in opinions)
    rate = wilson(said["agree"], said["agree"] + said["disagree"])
    return AgreementCounts(agree=said["agree"], disagree=said["disagree"], uncertain=said["uncertain"], rate=rate)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
