"""KEDA's queries on a real Prometheus that scrapes the real product: what starts workers and cnn from zero."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.helm.chart import rendered, sample_files
from tests.prometheus.server import Prometheus, scraping
from tests.running import Service

pytestmark = [pytest.mark.helm, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def prometheus(product: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with scraping(product, tmp_path_factory.mktemp("prometheus")) as found:
        for query in _queries().values():
            found.wait_for(query)
        yield found


def _queries() -> dict[tuple[str, str], str]:
    return {
        (scaled["metadata"]["name"], trigger["name"]): trigger["metadata"]["query"]
        for scaled in rendered("cloud").of("ScaledObject")
        for trigger in scaled["spec"]["triggers"]
    }


@contextmanager
def _standing_workers(product: Service) -> Iterator[None]:
    """No worker takes a ticket, as where none runs."""
    workers = product.programs()["worker"]
    for process in workers:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in workers:
            os.kill(process, signal.SIGCONT)


def test_every_query_has_one_value(prometheus: Prometheus) -> None:
    """KEDA fails on several, and with `ignoreNullValues: "false"` on none."""
    assert {key: len(prometheus.query(query)) for key, query in _queries().items()} == dict.fromkeys(_queries(), 1)


def test_the_first_prediction_starts_cnn(product: Service, prometheus: Prometheus) -> None:
    query = _queries()["ich-cnn", "predictions"]
    prometheus.wait_for(f"{query} == 0")
    parts = [("files", item) for item in sample_files().items()]
    httpx.post(f"{product.url}/v1/predictions", files=parts, timeout=120).raise_for_status()
    prometheus.wait_for(f"{query} > 0")
    prometheus.wait_for(f"{_queries()['ich-cnn', 'slices']} >= 0")


def test_a_job_without_a_plan_starts_workers_and_cnn(product: Service, prometheus: Prometheus) -> None:
    queries = _queries()
    parts = [("files", item) for item in sample_files().items()]
    with _standing_workers(product):
        accepted = httpx.post(f"{product.url}/v1/jobs", params={"priority": "urgent"}, files=parts, timeout=120)
        assert accepted.status_code == 202, accepted.text
        for name in ("ich-worker", "ich-worker-urgent", "ich-cnn"):
            prometheus.wait_for(f"{queries[name, 'jobs']} == 1")
        (series,) = prometheus.query(queries["ich-worker-urgent", "series"])
        assert series["value"][1] == "0", "its series are unknown until a worker has planned it"
    for name in ("ich-worker", "ich-worker-urgent", "ich-cnn"):
        prometheus.wait_for(f"{queries[name, 'jobs']} == 0")
