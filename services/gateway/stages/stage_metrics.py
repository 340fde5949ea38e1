"""Metrics of the calls to stages."""

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.stages.stage_client import Stages
from services.gateway.stages.stage_retries import Cause


class StageRetryMetrics(Collector):
    """Repeated calls of this process by stage and cause."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def collect(self) -> Iterator[Metric]:
        """All causes of each stage, from 0."""
        family = CounterMetricFamily(
            "ich_stage_retries", "Calls of a stage that were tried again", labels=["stage", "cause"]
        )
        for stage in self._stages.clients:
            for cause in get_args(Cause):
                family.add_metric([stage.name, cause], stage.retries.counts[cause])
        yield family
