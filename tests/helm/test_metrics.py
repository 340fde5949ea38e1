"""Every metric that a ScaledObject, an alert or the dashboard names exists in a real /metrics, with its labels."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.send_job import finished_job
from tests.helm.chart import rendered, sample_files
from tests.running import NAMES, Service

pytestmark = [pytest.mark.helm, pytest.mark.timeout(600)]

_METRIC: Final = re.compile(r"\b((?:ich|process)_[a-z_]+)\b")
_SELECTOR: Final = re.compile(r"\b(ich_[a-z_]+)\{([^}]*)\}")
_LABEL: Final = re.compile(r'([a-z_]+)=~?"([^"]*)"')
_SUFFIXES: Final = ("_total", "_bucket", "_count", "_sum")
_OF_PROMETHEUS: Final = {"namespace", "service", "job", "instance", "le"}
_OF_OPENID: Final = "ich_oidc_"  # of a gateway with an OpenID provider alone


@pytest.fixture(scope="module")
def metrics(product: Service) -> Mapping[str, dict[str, Metric]]:
    """The metric families of each service after a job and a prediction of the sample, by service and name."""
    sample = sample_files()
    parts = [("files", item) for item in sample.items()]
    httpx.post(f"{product.url}/v1/predictions", files=parts, timeout=120).raise_for_status()
    finished_job(product, sample)
    return {name: _families(f"http://127.0.0.1:{product.ports[name]}/metrics") for name in NAMES}


def _families(url: str) -> dict[str, Metric]:
    """Families by their names, also those without samples: their events have not happened yet."""
    return {family.name: family for family in text_string_to_metric_families(httpx.get(url, timeout=10).text)}


def _queries() -> Iterator[tuple[str, str]]:
    """Where a query stands, and its text."""
    release = rendered("cloud")
    for scaled in release.of("ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            yield f"{scaled['metadata']['name']} {trigger['name']}", trigger["metadata"]["query"]
    (rules,) = release.of("PrometheusRule")
    recorded = {rule["record"] for group in rules["spec"]["groups"] for rule in group["rules"] if "record" in rule}
    for group in rules["spec"]["groups"]:
        for rule in group["rules"]:
            text = rule["expr"]
            for name in recorded:
                text = text.replace(name, "")
            yield rule.get("alert") or rule["record"], text
    for config in release.of("ConfigMap"):
        for name, dashboard in config["data"].items():
            for panel in _panels(json.loads(dashboard)):
                yield from ((f"{name} {panel['title']}", target["expr"]) for target in panel.get("targets", ()))


def _panels(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in document.get("panels", ()):
        yield panel
        yield from _panels(panel)


def _names(family: str) -> set[str]:
    return {family, *(f"{family}{suffix}" for suffix in _SUFFIXES)}


def test_every_metric_of_a_query_exists(metrics: Mapping[str, dict[str, Metric]]) -> None:
    known = {name for families in metrics.values() for family in families for name in _names(family)}
    asked = {(where, name) for where, query in _queries() for name in _METRIC.findall(query)}
    assert len({where for where, _ in asked}) > 30
    assert [each for each in sorted(asked) if each[1] not in known and not each[1].startswith(_OF_OPENID)] == []


def test_keda_asks_each_service_for_a_metric_of_its_own(metrics: Mapping[str, dict[str, Metric]]) -> None:
    """With labels and values that its samples have: a wrong one would be a scaler that never scales."""
    for scaled in rendered("cloud").of("ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            ((name, selector),) = _SELECTOR.findall(trigger["metadata"]["query"])
            labels = dict(_LABEL.findall(selector))
            families = metrics[labels.pop("service").removeprefix("ich-")]
            assert labels.pop("namespace") == "radiology"
            samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
            found = [sample for sample in samples if _matches(labels, sample.labels)]
            assert found, (scaled["metadata"]["name"], name, labels)


def _matches(labels: Mapping[str, str], found: Mapping[str, str]) -> bool:
    return all(re.fullmatch(pattern, found.get(name, "")) for name, pattern in labels.items())


def test_the_queues_metrics_have_both_priorities(metrics: Mapping[str, dict[str, Metric]]) -> None:
    for name in ("ich_jobs_open", "ich_queue_series"):
        samples = {sample.labels["priority"]: sample.value for sample in metrics["gateway"][name].samples}
        assert samples == {"urgent": 0, "routine": 0}, name


def test_the_schemas_of_crds_are_used() -> None:
    assert {path.stem for path in (Path(__file__).parent / "schemas").glob("*.json")} == {
        *("ScaledObject", "ServiceMonitor", "PrometheusRule", "HTTPRoute", "Gateway")
    }
