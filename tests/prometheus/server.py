"""A real Prometheus that scrapes a real product, with this repository's rules."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.e2e.send_job import finished_job
from tests.running import NAMES, ROOT, Service, free_ports

RULES: Final = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD: Final = ROOT / "deploy" / "grafana.json"
_WAIT_S: Final = 60.0


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        """The data of a request to its API; AssertionError with its message where it refuses."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=30).json()
        assert answer["status"] == "success", (query, answer)
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression, as soon as there are some."""
        return waited(lambda: self.query(expression), expression)


def waited(look: Callable[[], list[dict[str, Any]]], what: str) -> list[dict[str, Any]]:
    """What `look` finds, as soon as it finds something; AssertionError where it never does."""
    deadline = time.monotonic() + _WAIT_S
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


def sample_sent(service: Service, prometheus: Prometheus) -> None:
    """Send the sample series twice as a job and twice as a prediction, so that counters increase between scrapes."""
    files = {path.name: path.read_bytes() for path in sorted((ROOT / "samples" / "series").glob("*.dcm"))}
    for count in (1, 2):
        finished_job(service, files)
        parts = [("files", item) for item in files.items()]
        httpx.post(f"{service.url}/v1/predictions", files=parts, timeout=120).raise_for_status()
        prometheus.wait_for(f'sum(ich_result_reports_total{{status="assessed"}}) == {2 * count}')


def panel_queries() -> list[tuple[str, str]]:
    """Title and expression of each query of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


@contextmanager
def scraping(service: Service, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes all services of a product each second, until the context ends."""
    (port,) = free_ports(1)
    config, rules = folder / "prometheus.yml", folder / "alerts.yaml"
    rules.write_text(RULES.read_text().replace("interval: 5m", "interval: 1s"))
    config.write_text(json.dumps(_config(service, rules)))
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        found = Prometheus(f"http://127.0.0.1:{port}")
        try:
            waited(lambda: _ready(found), "Prometheus is not ready")
            yield found
        finally:
            process.terminate()


def _ready(server: Prometheus) -> list[dict[str, Any]]:
    try:
        return [{}] if httpx.get(f"{server.url}/-/ready").is_success else []
    except httpx.TransportError:
        return []


def _labels(name: str) -> dict[str, str]:
    """As the ServiceMonitor of the Helm chart sets them."""
    return {"namespace": "radiology", "service": f"ich-{name}"}


def _config(service: Service, rules: Path) -> dict[str, Any]:
    jobs: Sequence[dict[str, Any]] = [
        {
            "job_name": "ich-dicom-node" if name == "node" else f"ich-{name}",
            "static_configs": [{"targets": [f"127.0.0.1:{service.ports[name]}"], "labels": _labels(name)}],
        }
        for name in NAMES
    ]
    intervals = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": intervals, "rule_files": [str(rules)], "scrape_configs": jobs}
