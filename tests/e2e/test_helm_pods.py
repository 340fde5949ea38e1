"""The pods of the Helm chart, run with podman: they start as Kubernetes starts them, and cnn starts from zero."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.helm.chart import rendered
from tests.helm.pods import Pods, podman, running_pods

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]
IMAGES: Final = {
    "gateway": ("SERVICE=gateway",),
    "preprocess": ("SERVICE=preprocess",),
    "cnn": ("SERVICE=cnn", "GROUP=openvino"),
    "rnn": ("SERVICE=rnn", "GROUP=openvino"),
}
BUILD: Final = ("build", "--quiet", "--isolation=chroot", "--network=host", "--file", "services/Dockerfile")
ORDER: Final = ("redis", "preprocess", "cnn", "rnn", "gateway", "worker")
START_S: Final = 120
LOCAL: Final = {"host": "127.0.0.1:8000"}  # as through `kubectl port-forward`


def _build() -> None:
    """Those of Compose, from its layers, and that of the bundle."""
    for name, arguments in IMAGES.items():
        options = [word for argument in arguments for word in ("--build-arg", argument)]
        podman(*BUILD, *options, "--tag", f"localhost/ich-{name}:helm", ".")
    podman(*BUILD, "--target", "bundle", "--tag", "localhost/ich-bundle:helm", ".")


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """The value set of one host without a GPU."""
    _build()
    release = rendered("cpu", 'image.registry="localhost"', 'image.tag="helm"', "drainSeconds=1")
    with running_pods(release, tmp_path_factory.mktemp("volumes"), f"ich-helm-{os.getpid()}") as running:
        for component in ORDER:
            running.start(component)
        yield running


def _wait(pods: Pods, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not done():
        assert time.monotonic() < deadline, pods.logs()
        time.sleep(0.3)


def _ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _metrics(url: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=10).text)
    return {(each.name, *sorted(each.labels.values())): each.value for family in families for each in family.samples}


def test_the_test_of_the_chart_passes(pods: Pods) -> None:
    """`helm test`: the sample as a job, through gateway, Redis, worker and volume, and as a prediction."""
    _wait(pods, lambda: _ok(f"{pods.address('gateway')}/readyz"))
    report = pods.run("test")
    assert "assessed: 28 slices" in report
    assert "research" in report.lower()


def test_a_job_waits_for_a_cnn_without_pods_and_wakes_it(pods: Pods, samples: Path) -> None:
    """KEDA's part is played here: it starts cnn where `ich_jobs_open` or the predictions' counter is above 0."""
    gateway = pods.address("gateway")
    _wait(pods, lambda: _ok(f"{gateway}/readyz"))
    files = [("files", (path.name, path.read_bytes())) for path in sorted((samples / "series").glob("*.dcm"))]
    pods.stop("cnn")
    assert not _ok(f"{gateway}/readyz")
    assert _ok(f"{gateway}/livez"), "the readiness probe of the chart"

    before = _metrics(gateway)
    refused = httpx.post(f"{gateway}/v1/predictions", files=files, headers=LOCAL, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (502, "stage_failed"), refused.text
    assert int(refused.headers["retry-after"]) > 0
    counter = ("ich_requests_total", *sorted(("POST", "/v1/predictions", "502")))
    assert _metrics(gateway)[counter] == before[counter] + 1

    accepted = httpx.post(f"{gateway}/v1/jobs", files=files, headers=LOCAL, timeout=60)
    assert accepted.status_code == 202, accepted.text
    _wait(pods, lambda: _metrics(gateway)["ich_jobs_open", "routine"] == 1)
    pods.start("cnn")
    job: dict[str, Any] = {}

    def ended() -> bool:
        job.update(httpx.get(gateway + accepted.headers["location"], headers=LOCAL, timeout=10).json())
        return bool(job["ended"])

    _wait(pods, ended)
    assert job["status"] == "finished", job
    _wait(pods, lambda: _metrics(gateway)["ich_jobs_open", "routine"] == 0)
