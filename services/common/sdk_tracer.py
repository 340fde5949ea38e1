"""Spans by OpenTelemetry's SDK, exported by OTLP over HTTP. Imported only where traces are on.

A collector that is away costs the requests nothing: spans wait in a bounded queue, and one thread exports them. After a
failure that thread drops all spans for a while. One log line says so, and one says when the collector is back.
"""

import logging
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from threading import Thread
from typing import Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.common.tracer import TRACEPARENT, Attributes, Kind, Span
from services.common.version import VERSION

log = logging.getLogger(__name__)
PAUSE_S: Final = 30.0
_KINDS: Final[dict[Kind, SpanKind]] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_ENTRIES: Final = ("server", "consumer")  # kinds that begin the work of a process
_NAMES: Final = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES")
_forced: ContextVar[tuple[int, int] | None] = ContextVar("forced_ids", default=None)


class PausedUntil:
    """The moment until which nothing is exported, in memory that forked processes share; 0 while exports succeed."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    @property
    def at_s(self) -> float:
        """By the monotonic clock, which all processes of a machine share."""
        return float(struct.unpack("d", self._memory[:8])[0])

    @at_s.setter
    def at_s(self, moment_s: float) -> None:
        self._memory[:8] = struct.pack("d", moment_s)


class PausingExporter(SpanExporter):
    """Drops all spans for `pause_s` after a failed export, and logs the changes only.

    Parameters
    ----------
    clock : monotonic seconds
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exporter, self._pause_s, self._clock = exporter, pause_s, clock
        self._paused = PausedUntil()

    @property
    def is_pausing(self) -> bool:
        """Whether spans are dropped now."""
        return self._clock() < self._paused.at_s

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the spans, or drop them."""
        if self.is_pausing:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self.pause()
        elif self._paused.at_s:
            self._paused.at_s = 0.0
            log.info("the collector of traces answers again")
        return result

    def pause(self) -> None:
        """Drop all spans for a while."""
        if not self._paused.at_s:
            log.warning("the collector of traces does not answer; spans are dropped until it does")
        self._paused.at_s = self._clock() + self._pause_s

    def shutdown(self) -> None:
        """End a waiting export."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - nothing waits here
        return True


class _Ids(RandomIdGenerator):
    """Random ids, or those of a root that derive from a seed."""

    def generate_trace_id(self) -> int:
        forced = _forced.get()
        return forced[0] if forced else super().generate_trace_id()

    def generate_span_id(self) -> int:
        forced = _forced.get()
        return forced[1] if forced else super().generate_span_id()


class _RecordedSpan:
    def __init__(self, span: SdkSpan) -> None:
        self._span = span

    def set(self, name: str, value: str | float | bool) -> None:  # noqa: FBT001
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)


class SdkTracer:
    """All spans of this process.

    Parameters
    ----------
    service : `service.name` is `ich-<service>`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say another
    exporter : None: OTLP over HTTP, by OTEL_EXPORTER_OTLP_*
    """

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # one line for each batch that fails
        self._exporter = PausingExporter(exporter or OTLPSpanExporter())
        self._provider = TracerProvider(resource=_resource(service), id_generator=_Ids(), shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(self._exporter)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("services", VERSION)

    @contextmanager
    def span(self, name: str, kind: Kind, attributes: Attributes | None, parent: str | None) -> Iterator[Span]:
        """See `tracing.span`."""
        context = _remote(parent) if parent else Context() if kind in _ENTRIES else None
        made = self._tracer.start_span(name, context, kind=_KINDS[kind], attributes=attributes)
        recorded, token = _RecordedSpan(made), attach(set_span_in_context(made))
        try:
            yield recorded
        except BaseException as error:
            recorded.fail(type(error).__qualname__)
            raise
        finally:
            detach(token)
            made.end()

    def root(self, name: str, seed: str, attributes: Attributes | None) -> None:
        """See `tracing.root_span`."""
        token = _forced.set(_derived(seed))
        try:
            self._tracer.start_span(name, Context(), attributes=attributes).end()
        finally:
            _forced.reset(token)

    def root_traceparent(self, seed: str) -> str:
        """See `tracing.root_traceparent`: sampled where the sampler samples a root with this id."""
        trace_id, span_id = _derived(seed)
        decision = self._provider.sampler.should_sample(None, trace_id, seed).decision
        flags = TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT
        return _traceparent(SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags)))

    def traceparent(self) -> str | None:
        """The current span; None without one."""
        context = get_current_span().get_span_context()
        return _traceparent(context) if context.is_valid else None

    def trace_id(self, *, sampled: bool) -> str | None:
        """The id of the current trace; None without one, or where it is not sampled and has to be."""
        context = get_current_span().get_span_context()
        if not context.is_valid or (sampled and not context.trace_flags.sampled):
            return None
        return f"{context.trace_id:032x}"

    def flush(self, timeout_s: float) -> None:
        """Export now; after the time-out, drop what is left."""
        if not self._exporter.is_pausing and not _ends_within(timeout_s, self._processor.force_flush):
            self._exporter.pause()

    def close(self, timeout_s: float) -> None:
        """Export what is left, and end."""
        _ends_within(timeout_s, self._provider.shutdown)


def _ends_within(timeout_s: float, work: Callable[[], object]) -> bool:
    thread = Thread(target=work, name="export spans", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return not thread.is_alive()


def _resource(service: str) -> Resource:
    """By the variables; this service's name where they give none."""
    given = dict(pair.partition("=")[::2] for pair in os.environ.get(_NAMES[1], "").split(",") if "=" in pair)
    own = {SERVICE_NAME: f"ich-{service}", SERVICE_NAMESPACE: "ich", SERVICE_VERSION: VERSION}
    if os.environ.get(_NAMES[0]):
        del own[SERVICE_NAME]
    return Resource.create({name: value for name, value in own.items() if name not in given})


def _remote(traceparent: str) -> Context:
    """A context whose span is that of another process; an empty one where the header has another form."""
    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent}, Context())


def _traceparent(context: SpanContext) -> str:
    """The header's value (W3C Trace Context, 3.2.2)."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _derived(seed: str) -> tuple[int, int]:
    """Ids of a trace (16 bytes) and of its root (8 bytes)."""
    digest = sha256(seed.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
