"""The Grafana dashboard queries metrics that exist, by their labels."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric

from services.common.observability import Metrics
from services.gateway.jobs.metrics import QueueMetrics, count_result
from services.gateway.jobs.store import JobStore
from tests.gateway.jobs.test_metrics import CountersInMemory

DASHBOARD = Path(__file__).parents[1] / "deploy" / "grafana.json"
_METRIC = re.compile(r"\b((?:ich|process)_[a-z_]+)")
_LABELS = re.compile(r"by \(([a-z_, ]+)\)")
_SET_BY_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def _metrics(store: JobStore) -> Iterator[Metric]:
    """Yield all metrics of a gateway after each event has happened once."""
    metrics, counters = Metrics(), CountersInMemory()
    metrics.requests.labels("/v1/jobs", "POST", 202).inc()
    metrics.seconds.labels("/v1/jobs").observe(1)
    count_result(counters, "failed", "stage_failed")
    registry = CollectorRegistry()
    registry.register(QueueMetrics(counters, store))
    yield from metrics.registry.collect()
    yield from registry.collect()


def test_every_query_names_metrics_that_exist(panels: list[dict[str, Any]], tmp_path: Path) -> None:
    samples = [sample for metric in _metrics(JobStore.at(tmp_path)) for sample in metric.samples]
    names = {sample.name for sample in samples}
    for panel in panels:
        for target in panel["targets"]:
            asked = set(_METRIC.findall(target["expr"]))
            assert asked, panel["title"]
            assert asked <= names, panel["title"]
            known = {label for sample in samples if sample.name in asked for label in sample.labels}
            for labels in _LABELS.findall(target["expr"]):
                assert set(labels.split(", ")) <= known | _SET_BY_PROMETHEUS, panel["title"]


def test_every_metric_of_the_queue_is_shown(panels: list[dict[str, Any]], tmp_path: Path) -> None:
    shown = {name for panel in panels for target in panel["targets"] for name in _METRIC.findall(target["expr"])}
    ours = {
        metric.name for metric in _metrics(JobStore.at(tmp_path)) if metric.name.startswith(("ich_job", "ich_queue"))
    }
    assert ours <= {name.removesuffix("_total") for name in shown}


def test_no_two_panels_lie_on_each_other(panels: list[dict[str, Any]]) -> None:
    keys = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(keys) == len(panels) == len({panel["id"] for panel in panels})
