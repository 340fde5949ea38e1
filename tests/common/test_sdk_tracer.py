"""Spans over a real OTLP receiver, and a collector that is down."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from services.common import tracing
from services.common.sdk_tracer import PausingExporter, SdkTracer
from services.common.tracing import configure_tracing, root_span, root_traceparent, shutdown_tracing, span
from tests.otlp_receiver import OtlpReceiver, receiving_spans


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with receiving_spans() as found:
        yield found


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, collector: OtlpReceiver) -> Iterator[OtlpReceiver]:
    """Traces of this process go to the collector."""
    for name, value in collector.environment.items():
        monkeypatch.setenv(name, value)
    configure_tracing("test")
    yield collector
    shutdown_tracing()


def test_an_exception_is_named_by_its_class_alone(traced: OtlpReceiver) -> None:
    def fail() -> None:
        raise ValueError("Canarini^Cantarella")

    with pytest.raises(ValueError, match="Canarini"), span("outer"), span("inner"):
        fail()
    spans = traced.wait_for(lambda found: len(found) == 2)
    assert {found.attributes["error.type"] for found in spans} == {"ValueError"}
    assert all(found.failed for found in spans)
    assert b"Canarini" not in b"".join(traced.bodies)


@pytest.mark.parametrize("sent", ["00-zz-1-01", "Canarini^Cantarella", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_malformed_traceparent_begins_a_new_trace(traced: OtlpReceiver, sent: str) -> None:
    with span("request", "server", parent=sent):
        pass
    (found,) = traced.wait_for(lambda spans: len(spans) == 1)
    assert found.parent == ""
    assert b"Canarini" not in b"".join(traced.bodies)


def test_a_call_outside_a_trace_has_no_span(traced: OtlpReceiver) -> None:
    with tracing.call_span("GET", "/v2/health/ready", "cnn"):
        assert tracing.trace_headers() == {}
    with span("request", "server"), tracing.call_span("POST", "/v2/models/slices/infer", "preprocess"):
        assert "traceparent" in tracing.trace_headers()
    spans = traced.wait_for(lambda found: len(found) == 2)
    assert {found.name for found in spans} == {"request", "POST /v2/models/{name}/infer"}


def test_a_root_has_the_ids_of_its_seed(traced: OtlpReceiver) -> None:
    root_span("assess series", "node-1")
    with span("send results", parent=root_traceparent("node-1")):
        pass
    spans = {found.name: found for found in traced.wait_for(lambda found: len(found) == 2)}
    root, child = spans["assess series"], spans["send results"]
    assert (child.trace, child.parent) == (root.trace, root.id)
    assert root_traceparent("node-2") != root_traceparent("node-1")


def test_a_sampler_of_the_environment_decides_about_roots(
    monkeypatch: pytest.MonkeyPatch, collector: OtlpReceiver
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    for name, value in collector.environment.items():
        monkeypatch.setenv(name, value)
    tracer = SdkTracer("test")
    with tracer.span("request", "server", None, None):
        assert tracer.trace_id(sampled=True) is None
        assert tracer.trace_id(sampled=False)
    assert tracer.root_traceparent("seed").endswith("-00")
    tracer.close(5)
    assert collector.bodies == []


class _Switchable(SpanExporter):
    """An exporter that fails while it is down."""

    def __init__(self) -> None:
        self.down, self.batches = True, 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the signature
        self.batches += 1
        return SpanExportResult.FAILURE if self.down else SpanExportResult.SUCCESS


def test_a_collector_that_is_down_is_asked_once_a_pause_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    inner, now = _Switchable(), [1000.0]
    exporter = PausingExporter(inner, pause_s=30, clock=lambda: now[0])
    for _ in range(10):
        for _ in range(100):
            exporter.export([])
        now[0] += 31
    assert inner.batches == 10
    inner.down = False
    exporter.export([])
    exporter.export([])
    assert inner.batches == 12
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


_FORK = """
import os
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from services.common.sdk_tracer import PausingExporter
class Down(SpanExporter):
    def export(self, spans):
        return SpanExportResult.FAILURE
exporter = PausingExporter(Down())
if child := os.fork():
    os.waitpid(child, 0)
    print(exporter.is_pausing)
else:
    exporter.export([])
    os._exit(0)
"""


def test_forked_processes_share_the_pause() -> None:
    assert subprocess.check_output([sys.executable, "-c", _FORK], stderr=subprocess.DEVNULL) == b"True\n"


def test_a_collector_that_never_answers_delays_neither_spans_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "512")
        tracer = SdkTracer("test")
        begin = time.perf_counter()
        for _ in range(5000):
            with tracer.span("request", "server", None, None):
                pass
        made = time.perf_counter()
        tracer.flush(0.2)
        tracer.close(0.2)
        print(f"5000 spans {made - begin:.2f} s, flush and end {time.perf_counter() - made:.2f} s")
        assert len(tracer._processor._batch_processor._queue) <= 512
