"""Metrics of results, over a real Redis."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from redis import Redis
from redis.exceptions import RedisError

from services.common.labels import LABELS
from services.common.report_schemas import Report
from services.common.schemas import Reason
from services.gateway.jobs.result_metrics import MAX_BUNDLES, ResultMetrics, count_report, counts_of
from services.gateway.openapi_examples import EXAMPLE_REPORTS

ASSESSED, NOT_ASSESSED = (Report(**EXAMPLE_REPORTS[name]["value"]) for name in ("assessed", "not_assessed"))
_BUNDLE = ASSESSED.model.sha256[:12]


def _report(score: float, *, bundle: str = ASSESSED.model.sha256, point: str = "default") -> Report:
    """An assessed series with this score of each label."""
    assert ASSESSED.series
    scores = {"probabilities": dict.fromkeys(LABELS, score), "predictions": dict.fromkeys(LABELS, score >= 0.5)}
    return ASSESSED.model_copy(
        update={
            "series": ASSESSED.series.model_copy(update=scores),
            "model": ASSESSED.model.model_copy(update={"sha256": bundle}),
            "thresholds": ASSESSED.thresholds.model_copy(update={"operating_point": point}),
        }
    )


def _samples(metrics: ResultMetrics) -> dict[tuple[str, ...], float]:
    """All samples by name and values of labels in the order of their names, as an OpenMetrics parser reads them."""
    registry = CollectorRegistry()
    registry.register(metrics)
    encode, _ = choose_encoder("application/openmetrics-text")
    families: Any = parse_open_metrics(encode(registry).decode())  # type: ignore[no-untyped-call]
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_report_counts_its_scores_positives_and_reasons(redis: Redis) -> None:
    warning = Reason(code="contrast", detail="...", severity="warn")
    count_report(redis, _report(0.2))
    count_report(redis, _report(0.500001, point="sensitive").model_copy(update={"reasons": (warning, warning)}))
    found = _samples(ResultMetrics(redis))
    assert found["ich_result_reports_total", _BUNDLE, "default", "assessed"] == 1
    assert found["ich_result_reports_total", _BUNDLE, "sensitive", "assessed"] == 1
    assert found["ich_result_positives_total", _BUNDLE, "any", "sensitive"] == 1
    assert found["ich_result_positives_total", _BUNDLE, "any", "default"] == 0
    assert found["ich_result_reasons_total", _BUNDLE, "contrast", "warn"] == 1
    buckets = {bound: found["ich_result_score_bucket", _BUNDLE, "any", bound] for bound in ("0.1", "0.2", "0.5", "0.6")}
    assert buckets == {"0.1": 0, "0.2": 1, "0.5": 1, "0.6": 2}
    assert found["ich_result_score_count", _BUNDLE, "any"] == 2
    assert found["ich_result_score_sum", _BUNDLE, "any"] == pytest.approx(0.700001)


def test_a_series_that_was_not_assessed_counts_its_reason_and_no_score(redis: Redis) -> None:
    count_report(redis, NOT_ASSESSED)
    found = _samples(ResultMetrics(redis))
    assert found["ich_result_reports_total", _BUNDLE, "default", "not_assessed"] == 1
    assert found["ich_result_reasons_total", _BUNDLE, NOT_ASSESSED.reasons[0].code, "refuse"] == 1
    assert found["ich_result_score_count", _BUNDLE, "any"] == 0


def test_independent_pictures_count_nothing() -> None:
    assert counts_of(ASSESSED.model_copy(update={"series": None})) == {}


def test_two_gateways_show_the_same_numbers_and_count_each_report_once(redis: Redis) -> None:
    gateways = [ResultMetrics(redis) for _ in range(2)]
    count_report(redis, _report(0.9))
    for gateway in gateways:
        gateway.count(_report(0.9))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda gateway: list(gateway.collect()), gateways * 8))
    first, second = map(_samples, gateways)
    assert first == second
    assert first["ich_result_score_count", _BUNDLE, "any"] == 3


class _Flaky:
    """A Redis that is down at times."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.down = True

    def __getattr__(self, name: str) -> object:
        if self.down:
            raise RedisError
        return getattr(self._redis, name)


def test_reports_of_synchronous_requests_wait_while_redis_is_down(redis: Redis) -> None:
    flaky = _Flaky(redis)
    metrics = ResultMetrics(flaky)  # type: ignore[arg-type] # by `__getattr__`
    metrics.count(_report(0.9))
    assert _samples(metrics) == {}
    flaky.down = False
    metrics.count(_report(0.1))
    assert _samples(metrics)["ich_result_score_count", _BUNDLE, "any"] == 2


def test_the_latest_bundles_alone_are_shown_and_kept(redis: Redis) -> None:
    names = [f"{number:012x}" for number in range(MAX_BUNDLES + 3)]
    for name in names:
        count_report(redis, _report(0.9, bundle=name * 6))
    found: Mapping[tuple[str, ...], float] = _samples(ResultMetrics(redis))
    assert {key[1] for key in found} == set(names[-MAX_BUNDLES:])
    assert len(redis.keys("ich:results:*")) <= MAX_BUNDLES + 2
