"""Metrics of results, for drift: scores, positives, reasons; by bundle, and without anything that names a patient.

Counters lie in Redis, as those of series: workers have no metrics of their own, and each gateway shows the same ones.

ich:results:bundles         sorted set: bundles by the time of their latest report, in seconds since 1970
ich:results:<bundle>        hash of counters, such as `score any 0.5`

A bundle is named by the first 12 digits of its card's SHA-256. The latest bundles alone are shown and kept, so that
each rollout adds no metrics for good.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, get_args

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from services.common.labels import LABELS
from services.common.operating_points import OperatingPoint
from services.common.report_schemas import Report

# Calibrated scores lie near 0 and 1; thresholds lie between 0.005 and 0.95.
BUCKETS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MAX_BUNDLES: Final = 4
_BUNDLES: Final = "ich:results:bundles"
_DIGITS: Final = 12
_POINTS: Final[tuple[OperatingPoint, ...]] = get_args(OperatingPoint)
_PARTS: Final = 1_000_000  # sums are whole numbers: a probability has six decimal places
Counts = Mapping[str, int]


class Results(Protocol):
    """The commands of Redis that count results."""

    def pipeline(self) -> Any:
        """Several commands in one transaction."""

    def zrevrange(self, name: str, start: int, end: int, /) -> Any:
        """Members of a sorted set, the highest first, as bytes."""

    def hgetall(self, name: str, /) -> Any:
        """All fields of a hash and their values, as bytes."""


def bundle_name(report: Report) -> str:
    """The value of the label `bundle`."""
    return report.model.sha256[:_DIGITS]


def counts_of(report: Report) -> Counter[str]:
    """What one report counts. Independent pictures are no series, and count nothing."""
    found: Counter[str] = Counter()
    if report.status == "assessed" and report.series is None:
        return found
    point, series = report.thresholds.operating_point, report.series
    found[f"reports {report.status} {point}"] = 1
    for severity, code in {(reason.severity, reason.code) for reason in report.reasons}:
        found[f"reason {severity} {code}"] = 1
    if report.status == "assessed" and series and series.probabilities and series.predictions:
        for label in LABELS:
            score = series.probabilities[label]
            found[f"score {label} {BUCKETS[bisect_left(BUCKETS, score)]}"] = 1
            found[f"sum {label}"] = round(score * _PARTS)
            found[f"positive {label} {point}"] = int(series.predictions[label])
    return found


def count_report(redis: Results, report: Report) -> None:
    """Count a report now; RedisError where Redis does not."""
    add_counts(redis, bundle_name(report), counts_of(report))


def add_counts(redis: Results, bundle: str, counts: Counts, clock: Callable[[], float] = time.time) -> None:
    """Add to the counters of a bundle, in one transaction, and forget the oldest bundles."""
    if not counts:
        return
    old = [name.decode() for name in redis.zrevrange(_BUNDLES, MAX_BUNDLES, -1)]
    with redis.pipeline() as pipeline:
        for name, count in counts.items():
            pipeline.hincrby(_key(bundle), name, count)
        pipeline.zadd(_BUNDLES, {bundle: clock()})
        for name in old:
            pipeline.zrem(_BUNDLES, name)
            pipeline.delete(_key(name))
        pipeline.execute()


class ResultMetrics(Collector):
    """Collects the counters at each scrape, and adds those of this process's synchronous requests to Redis then.

    A synchronous request needs no Redis, so its counts wait here; they are lost where the process is killed.
    """

    def __init__(self, redis: Results) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._pending: dict[str, Counter[str]] = {}

    def count(self, report: Report) -> None:
        """Count the report of a synchronous request."""
        with self._lock:
            self._pending.setdefault(bundle_name(report), Counter()).update(counts_of(report))

    def flush(self) -> None:
        """Add the waiting counts to Redis; RedisError where that fails: they keep waiting."""
        while self._pending:
            with self._lock:
                bundle, counts = self._pending.popitem() if self._pending else ("", Counter())
            try:
                add_counts(self._redis, bundle, counts)
            except RedisError:
                with self._lock:
                    self._pending.setdefault(bundle, Counter()).update(counts)
                raise

    def collect(self) -> Iterator[Metric]:
        """Families without samples while Redis is down: a zero would be wrong."""
        families = _Families()
        with suppress(RedisError):
            self.flush()
            for name in self._redis.zrevrange(_BUNDLES, 0, MAX_BUNDLES - 1):
                bundle = name.decode()
                found = self._redis.hgetall(_key(bundle))
                families.add(bundle, {field.decode(): int(value) for field, value in found.items()})
        yield from families.all


class _Families:
    """The families of metrics, and their samples."""

    def __init__(self) -> None:
        self._reports = CounterMetricFamily(
            "ich_result_reports", "Reports of series", labels=["status", "operating_point", "bundle"]
        )
        self._positives = CounterMetricFamily(
            "ich_result_positives",
            "Assessed series in which a label is predicted",
            labels=["label", "operating_point", "bundle"],
        )
        self._reasons = CounterMetricFamily(
            "ich_result_reasons", "Reports with a reason, by its code", labels=["code", "severity", "bundle"]
        )
        self._scores = HistogramMetricFamily(
            "ich_result_score", "Probabilities of assessed series", labels=["label", "bundle"]
        )

    @property
    def all(self) -> tuple[Metric, ...]:
        return self._reports, self._positives, self._reasons, self._scores

    def add(self, bundle: str, counts: Counts) -> None:
        """Add the samples of a bundle."""
        for status in ("assessed", "not_assessed"):
            for point in _POINTS:
                count = counts.get(f"reports {status} {point}", 0)
                self._reports.add_metric([status, point, bundle], count)
        for label in LABELS:
            for point in _POINTS:
                self._positives.add_metric([label, point, bundle], counts.get(f"positive {label} {point}", 0))
            self._add_scores(label, bundle, counts)
        for name, count in sorted(counts.items()):
            match name.split(" "):
                case ["reason", severity, code]:
                    self._reasons.add_metric([code, severity, bundle], count)

    def _add_scores(self, label: str, bundle: str, counts: Counts) -> None:
        total, buckets = 0, []
        for bound in BUCKETS:
            total += counts.get(f"score {label} {bound}", 0)
            buckets.append((str(bound), total))
        self._scores.add_metric([label, bundle], [*buckets, ("+Inf", total)], counts.get(f"sum {label}", 0) / _PARTS)


def _key(bundle: str) -> str:
    return f"ich:results:{bundle}"
