"""An OTLP collector in this process: decodes the protobuf of each POST to /v1/traces (OTLP 1.9, OTLP/HTTP)."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from services.common import tracing
from services.common.sdk_tracer import SdkTracer

_WAIT_S = 30.0


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it arrived. Ids are in hexadecimal, `parent` is empty without one; attributes are texts."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: Mapping[str, str]


@dataclass
class OtlpReceiver:
    """Stores all that it receives.

    bodies : the requests, decompressed
    """

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The value of OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that let a process export here at once."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def spans(self) -> list[ReceivedSpan]:
        """All spans so far."""
        return [span for body in tuple(self.bodies) for span in _decoded(body)]

    def wait_for(self, condition: Callable[[list[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        """Return all spans as soon as they meet a condition; AssertionError with them where they never do."""
        deadline = time.monotonic() + _WAIT_S
        while not condition(spans := self.spans()):
            assert time.monotonic() < deadline, "\n".join(map(str, spans))
            time.sleep(0.05)
        return spans


def _decoded(body: bytes) -> Iterator[ReceivedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        names = {one.key: one.value.string_value for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(names["service.name"], span)


def _span(service: str, span: Span) -> ReceivedSpan:
    values = {one.key: str(getattr(one.value, one.value.WhichOneof("value") or "")) for one in span.attributes}
    kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    return ReceivedSpan(service, span.name, kind, *ids, span.status.code == Status.STATUS_CODE_ERROR, values)


@contextmanager
def receiving_spans() -> Iterator[OtlpReceiver]:
    """Receive on a free port until the context ends."""
    receiver = OtlpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.bodies.append(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def traced_process() -> Iterator[OtlpReceiver]:
    """Switch traces of this process on, as `configure_tracing` does, until the context ends. Flush before you look."""
    with receiving_spans() as receiver:
        tracing._tracer = SdkTracer("test", OTLPSpanExporter(f"{receiver.url}/v1/traces"))
        try:
            yield receiver
        finally:
            tracing.shutdown_tracing()


def flush_spans() -> None:
    """Wait until the spans of this process have arrived."""
    assert tracing._tracer
    tracing._tracer.flush(_WAIT_S)
