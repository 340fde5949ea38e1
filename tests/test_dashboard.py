"""The Grafana dashboard queries metrics that exist, by their labels."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric
from redis import Redis

from services.common.observability import Metrics
from services.common.report_schemas import Report
from services.dicom_node.registry.database import Database
from services.dicom_node.status.metrics import LiveCounts, StatusMetrics
from services.dicom_node.status.overview import Overview
from services.gateway.feedback.metrics import FeedbackMetrics
from services.gateway.jobs.lease import SoleGateway
from services.gateway.jobs.metrics import QueueMetrics, count_result
from services.gateway.jobs.operation_metrics import OperationMetrics
from services.gateway.jobs.result_metrics import ResultMetrics, count_report
from services.gateway.jobs.store import JobStore
from services.gateway.openapi_examples import EXAMPLE_REPORTS
from tests.dicom_node.status.conftest import Rows
from tests.dicom_node.status.test_metrics import Reception
from tests.redis_process import running_redis

DASHBOARD = Path(__file__).parents[1] / "deploy" / "grafana.json"
_METRIC = re.compile(r"\b((?:ich|process)_[a-z_]+)")
_LABELS = re.compile(r"by \(([a-z_, ]+)\)")
_SET_BY_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


def _metrics(folder: Path, redis: Redis) -> Iterator[Metric]:
    """Yield all metrics of a gateway and a DICOM node after each event has happened once."""
    metrics = Metrics()
    metrics.requests.labels("/v1/jobs", "POST", 202).inc()
    metrics.seconds.labels("/v1/jobs").observe(1)
    count_result(redis, "failed", "stage_failed")
    for example in EXAMPLE_REPORTS.values():
        count_report(redis, Report(**example["value"]))
    registry = CollectorRegistry()
    registry.register(QueueMetrics(redis, JobStore.at(folder)))
    registry.register(ResultMetrics(redis))
    registry.register(FeedbackMetrics(redis))
    registry.register(OperationMetrics(redis, SoleGateway(), {"jobs": folder}))
    yield from metrics.registry.collect()
    yield from registry.collect()
    yield from _node_metrics(folder / "registry.sqlite")


def _node_metrics(path: Path) -> Iterator[Metric]:
    """Yield all metrics of a DICOM node with one transfer and one failed delivery."""
    with closing(Database(path)) as database:
        rows = Rows(database)
        series = rows.series(step=None)
        rows.instance(series)
        rows.delivery(rows.assessment(series, 1, "built"), "pacs", "dead", "refused")
        with database.write() as connection:
            connection.execute("UPDATE transfers SET outcome = 'released'")
        yield from StatusMetrics(
            Overview(database, ()).read, LiveCounts(Reception(), Reception(), {"stage_failed": 1}), 1000
        ).collect()


def test_every_query_names_metrics_that_exist(panels: list[dict[str, Any]], tmp_path: Path, redis: Redis) -> None:
    samples = [sample for metric in _metrics(tmp_path, redis) for sample in metric.samples]
    names = {sample.name for sample in samples}
    for panel in panels:
        for target in panel["targets"]:
            asked = set(_METRIC.findall(target["expr"]))
            assert asked, panel["title"]
            assert asked <= names, panel["title"]
            known = {label for sample in samples if sample.name in asked for label in sample.labels}
            for labels in _LABELS.findall(target["expr"]):
                assert set(labels.split(", ")) <= known | _SET_BY_PROMETHEUS, panel["title"]


def test_every_metric_of_queue_and_results_is_shown(panels: list[dict[str, Any]], tmp_path: Path, redis: Redis) -> None:
    shown = {name for panel in panels for target in panel["targets"] for name in _METRIC.findall(target["expr"])}
    begins = ("ich_job", "ich_queue", "ich_result", "ich_workers")
    ours = {metric.name for metric in _metrics(tmp_path, redis) if metric.name.startswith(begins)}
    assert ours <= {name.removesuffix("_total").removesuffix("_bucket") for name in shown}


def test_no_two_panels_lie_on_each_other(panels: list[dict[str, Any]]) -> None:
    keys = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(keys) == len(panels) == len({panel["id"] for panel in panels})
