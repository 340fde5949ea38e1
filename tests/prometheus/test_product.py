"""Each query of the dashboard and each rule answers on a real Prometheus that scrapes the real product."""

import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from ruamel.yaml import YAML

from tests.otlp_receiver import OtlpReceiver, receiving_spans
from tests.prometheus.server import RULES, Prometheus, panel_queries, sample_sent, scraping, waited
from tests.running import NAMES, Service, running_service

pytestmark = pytest.mark.prometheus
_NAME: Final = re.compile(r"\b(?:ich|process)_[a-z_]+")
_TYPE: Final = re.compile(r"^# TYPE (\S+)", re.MULTILINE)
_ENDINGS: Final = re.compile(r"_(total|bucket|count|sum)$")
# Of a site with an OpenID provider, and those that have no sample without failures.
_WITH_PROVIDER: Final = {"ich_oidc_keys_usable"}


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with receiving_spans() as found:
        yield found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("product") / "log", more=collector.environment) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with scraping(service, tmp_path_factory.mktemp("prometheus")) as found:
        sample_sent(service, found)
        yield found


def _families(service: Service, accept: str) -> set[str]:
    """The names of all families of metrics of the product."""
    texts = [
        httpx.get(f"http://127.0.0.1:{service.ports[name]}/metrics", headers={"accept": accept}).text for name in NAMES
    ]
    return {_ENDINGS.sub("", name) for text in texts for name in _TYPE.findall(text)}


def _rules() -> list[dict[str, Any]]:
    return [rule for group in YAML(typ="safe").load(RULES)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text;version=1.0.0"])
def test_every_metric_that_is_named_exists(service: Service, prometheus: Prometheus, accept: str) -> None:
    named = {name for _, text in panel_queries() for name in _NAME.findall(text)}
    named |= {name for rule in _rules() for name in _NAME.findall(rule["expr"])}
    assert {_ENDINGS.sub("", name) for name in named} - _families(service, accept) == _WITH_PROVIDER
    assert prometheus.query("up == 0") == []


def test_every_query_answers(prometheus: Prometheus) -> None:
    without = {title for title, text in panel_queries() if not prometheus.query(text)}
    assert without <= {
        "Failures by cause, per hour",
        "DICOM node: series by step",
        "DICOM node: undelivered objects by destination and failure",
        "DICOM node: transfers by outcome, per hour",
        "Results: reasons of series that were not assessed, of one day",
        "Results: warnings by code, of one day",
    }


def test_every_rule_is_evaluated_and_a_healthy_product_alerts_nobody(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        groups = prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else []

    rules = waited(evaluated, "a rule was not evaluated")
    assert len(rules) == len(_rules())
    active = {rule["name"] for rule in rules if rule.get("state") in ("pending", "firing")}
    assert active <= {"IchDiskAlmostFull"}, "the disk is this machine's"


def test_latencies_have_the_trace_of_a_request_as_exemplar(prometheus: Prometheus, collector: OtlpReceiver) -> None:
    query = {"query": 'ich_request_seconds_bucket{route="/v1/predictions"}', "start": "0", "end": "9999999999"}
    (found, *_) = prometheus.get("query_exemplars", **query)
    traces = {exemplar["labels"]["trace_id"] for exemplar in found["exemplars"]}
    wanted = "POST /v1/predictions"
    spans = collector.wait_for(lambda spans: traces <= {span.trace for span in spans if span.name == wanted})
    assert traces
    assert spans
