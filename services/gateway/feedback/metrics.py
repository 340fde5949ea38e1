"""Counters of opinions in Redis, as those of series: `ich_feedback_total{label,opinion}`."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from services.common.labels import LABELS, Label
from services.gateway.feedback.schemas import OPINIONS, Opinion
from services.gateway.jobs.metrics import Counters

_COUNTS: Final = "ich:feedback"
_WITHDRAWN: Final = "withdrawn"


def count_opinion(redis: Counters, label: Label, opinion: Opinion | None) -> None:
    """Count an opinion when it is given; None is a withdrawal."""
    redis.hincrby(_COUNTS, f"{label} {opinion or _WITHDRAWN}", 1)


class FeedbackMetrics(Collector):
    """Collects the counters at each scrape. Without samples while Redis is down: a zero would be wrong."""

    def __init__(self, redis: Counters) -> None:
        self._redis = redis

    def collect(self) -> Iterator[Metric]:
        """Opinions since Redis was emptied."""
        family = CounterMetricFamily("ich_feedback", "Opinions that readers gave", labels=["label", "opinion"])
        with suppress(RedisError):
            found: dict[bytes, bytes] = self._redis.hgetall(_COUNTS)
            for label in LABELS:
                for opinion in (*OPINIONS, _WITHDRAWN):
                    family.add_metric([label, opinion], int(found.get(f"{label} {opinion}".encode(), 0)))
        yield family
