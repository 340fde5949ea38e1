"""Counts refusals by quota, for metrics."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.quotas.limits import QUOTAS
from services.gateway.quotas.rate_limiter import RateLimiter


class Refusals:
    """Refused requests by their quota."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys((*QUOTAS, "requests"), 0))

    def add(self, quota: str) -> None:
        """Count a refusal."""
        self.counts[quota] += 1


class QuotaMetrics(Collector):
    """Collects the metrics at each scrape."""

    def __init__(self, refused: Refusals, limiter: RateLimiter | None) -> None:
        self._refused, self._limiter = refused, limiter

    def collect(self) -> Iterator[Metric]:
        """Refusals by quota, and requests that were not counted since Redis did not answer."""
        refused = CounterMetricFamily("ich_quota_refusals", "Requests beyond a sender's limit", labels=["quota"])
        for quota, count in self._refused.counts.items():
            refused.add_metric([quota], count)
        yield refused
        uncounted = self._limiter.unchecked if self._limiter else 0
        yield CounterMetricFamily("ich_rate_unchecked", "Requests that passed uncounted without Redis", uncounted)
