"""One trace for each request and each job, over real processes and a real collector."""

import json
import time
from collections.abc import Sequence
from typing import Final

import httpx
import pytest

from tests.drill.sender import ENDED
from tests.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.receiver import Receiver
from tests.running import Service
from tests.scans import ct_slice, head

pytestmark = pytest.mark.e2e
_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e47"  # and two digits of a test
_PARENT: Final = "00f067aa0b5902b7"
_STAGES: Final = ("preprocess", "cnn", "rnn")


def _files(count: int = 2) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{index}.dcm", ct_slice(index, head(128)))) for index in range(count)]


def _sent(test: str) -> dict[str, str]:
    """The headers of a client that has a trace of its own."""
    return {"traceparent": f"00-{_TRACE}{test}-{_PARENT}-01"}


def _of(test: str, spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    return [span for span in spans if span.trace == f"{_TRACE}{test}"]


def _servers(spans: Sequence[ReceivedSpan]) -> set[str]:
    return {span.service for span in spans if span.kind == "server"}


def _check_stages(spans: Sequence[ReceivedSpan], parent: ReceivedSpan) -> None:
    """Each call below the parent has the span of a stage below it; the calls reach all stages."""
    calls = [span for span in spans if span.kind == "client" and span.parent == parent.id]
    assert {call.attributes["peer.service"] for call in calls} == set(_STAGES)
    for call in calls:
        (stage,) = (span for span in spans if span.parent == call.id)
        assert call.service == parent.service
        assert (stage.kind, stage.service, stage.name) == (
            "server",
            f"ich-{call.attributes['peer.service']}",
            call.name,
        )
        assert stage.attributes["http.response.status_code"] == "200" == call.attributes["http.response.status_code"]


def test_a_prediction_is_one_trace_over_all_stages(service: Service, collector: OtlpReceiver) -> None:
    httpx.post(f"{service.url}/v1/predictions", files=_files(), headers=_sent("01"), timeout=60).raise_for_status()
    wanted = {"ich-gateway", *(f"ich-{name}" for name in _STAGES)}
    spans = _of(
        "01", collector.wait_for(lambda found: _servers(_of("01", found)) == wanted and _answered(_of("01", found)))
    )
    (request,) = (span for span in spans if span.service == "ich-gateway" and span.kind == "server")
    assert (request.name, request.parent) == ("POST /v1/predictions", _PARENT)
    assert request.attributes["http.route"] == "/v1/predictions"
    _check_stages(spans, request)
    logged = [line for line in service.log.read_text().splitlines() if f"{_TRACE}01" in line]
    assert {json.loads(line)["service"] for line in logged} >= {"gateway", "preprocess", "cnn", "rnn"}


def test_a_job_and_its_webhook_belong_to_the_trace_of_its_request(
    service: Service, collector: OtlpReceiver, receiver: Receiver
) -> None:
    query = {"webhook": f"{receiver.url}/hooks/traced"}
    sent = httpx.post(f"{service.url}/v1/jobs", files=_files(), params=query, headers=_sent("02"), timeout=60)
    job = f"{service.url}{sent.raise_for_status().headers['location']}"
    while httpx.get(job).json()["status"] not in ENDED:
        time.sleep(0.05)
    spans = _of("02", collector.wait_for(lambda found: _is_whole(_of("02", found))))
    (request,) = (span for span in spans if span.service == "ich-gateway" and span.kind == "server")
    assert (request.name, request.parent) == ("POST /v1/jobs", _PARENT)
    (ticket,) = (span for span in spans if span.kind == "producer")
    assert ticket.parent == request.id
    tasks = [span for span in spans if span.kind == "consumer"]
    assert [span.attributes["ich.outcome"] for span in tasks] == ["planned", "assessed"]
    assert {(span.service, span.parent, span.name) for span in tasks} == {
        ("ich-worker", ticket.id, "process ich-routine")
    }
    _check_stages(spans, tasks[1])
    (webhook,) = (span for span in spans if _is_webhook(span))
    assert (webhook.service, webhook.parent) == ("ich-gateway", ticket.id)
    (delivered,) = (one for one in receiver.received if one.path == "/hooks/traced")
    assert delivered.headers["traceparent"] == f"00-{webhook.trace}-{webhook.id}-01"
    httpx.delete(job).raise_for_status()


def _is_whole(spans: Sequence[ReceivedSpan]) -> bool:
    wanted = {"ich-gateway", *(f"ich-{name}" for name in _STAGES)}
    tasks = sum(span.kind == "consumer" for span in spans)
    return _servers(spans) == wanted and _answered(spans) and tasks == 2 and any(map(_is_webhook, spans))


def _answered(spans: Sequence[ReceivedSpan]) -> bool:
    """Whether the span of each called stage has arrived."""
    parents = {span.parent for span in spans}
    return all(span.id in parents for span in spans if span.kind == "client" and not _is_webhook(span))


def _is_webhook(span: ReceivedSpan) -> bool:
    return span.attributes.get("peer.service") == "webhook"


def test_a_bad_upload_fails_no_span_and_names_its_problem(service: Service, collector: OtlpReceiver) -> None:
    files = [("files", ("a.txt", b"text"))]
    assert httpx.post(f"{service.url}/v1/predictions", files=files, headers=_sent("03"), timeout=60).is_client_error
    spans = _of("03", collector.wait_for(lambda found: "ich-gateway" in _servers(_of("03", found))))
    (request,) = (span for span in spans if span.service == "ich-gateway" and span.kind == "server")
    assert request.attributes["ich.problem.code"] == "unsupported_file"
    assert not request.failed


def test_probes_and_scrapes_have_no_span(service: Service, collector: OtlpReceiver) -> None:
    for path in ("livez", "readyz", "metrics"):
        httpx.get(f"{service.url}/{path}", headers=_sent("04"))
    httpx.get(f"{service.url}/v1/models", headers=_sent("04"))
    spans = _of("04", collector.wait_for(lambda found: "ich-gateway" in _servers(_of("04", found))))
    assert {span.name for span in spans if span.service == "ich-gateway" and span.kind == "server"} == {
        "GET /v1/models"
    }
