"""Traces by OpenTelemetry: spans of requests, of calls to other services, and of tasks.

Off unless the usual OTEL_* variables ask for them. While off, nothing of OpenTelemetry is imported.

A span names a route by its template. It holds counts, statuses and codes; never a path, a query, an address, a file
name, a UID or the message of an exception: those may name a patient.
"""

import os
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from starlette.types import Scope

from services.common.tracer import TRACEPARENT, Attributes, Kind, Span, Tracer

FLUSH_S: Final = 3.0  # the most that a shutdown waits for the collector
TASK_FLUSH_S: Final = 0.5  # the most that the end of a worker's process waits
_UNTRACED: Final = ("/livez", "/readyz", "/metrics", "/v2/health/")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MODEL_INFER: Final = re.compile(r"/v2/models/[^/]+(/infer)?")
_SERVER_ERROR: Final = 500
_HTTP_CLIENT: Final = "requests"  # of the exporter


class _NoSpan:
    def set(self, name: str, value: str | float | bool) -> None: ...  # noqa: FBT001

    def rename(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None: ...


_NO_SPAN: Final[AbstractContextManager[Span]] = nullcontext(_NoSpan())
_tracer: Tracer | None = None


class UnsupportedTracing(Exception):
    """The OTEL_* variables ask for something that this program does not have. The message says what to set."""


def wants_traces(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the OTEL_* variables ask for traces.

    Raises
    ------
    UnsupportedTracing
        they ask for another exporter than `otlp`, or another protocol than `http/protobuf`
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp", "none"):
        raise UnsupportedTracing(f"OTEL_TRACES_EXPORTER={exporter}: set it to otlp or none")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if exporter == "none" or not (exporter or any(environment.get(name) for name in endpoints)):
        return False
    protocols = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((found for name in protocols if (found := environment.get(name))), "http/protobuf")
    if protocol != "http/protobuf":
        raise UnsupportedTracing(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: set it to http/protobuf, on port 4318")
    return True


def configure_tracing(service: str) -> None:
    """Export traces of this process, where the OTEL_* variables ask for them; once a process.

    Raises
    ------
    UnsupportedTracing
        see `wants_traces`
    """
    global _tracer  # noqa: PLW0603 - one exporter a process, as its logs
    if _tracer is None and wants_traces():
        if sys.modules.get(_HTTP_CLIENT, sys) is None:
            del sys.modules[_HTTP_CLIENT]  # `lean_imports.py` keeps it out of the DICOM node
        from services.common.sdk_tracer import SdkTracer  # noqa: PLC0415 - nothing of it is loaded while off

        _tracer = SdkTracer(service)


def is_tracing() -> bool:
    """Whether this process makes spans."""
    return _tracer is not None


def span(
    name: str, kind: Kind = "internal", attributes: Attributes | None = None, parent: str | None = None
) -> AbstractContextManager[Span]:
    """A span for the time of the context. An exception that leaves it marks it as failed, by its class.

    A call to another service outside a trace has no span: probes and polls would fill the collector.

    Parameters
    ----------
    parent : traceparent of a span of another process; None for the current span, and a new trace without one
    """
    if _tracer is None or (kind == "client" and parent is None and _tracer.traceparent() is None):
        return _NO_SPAN
    return _tracer.span(name, kind, attributes, parent)


def request_span(scope: Scope) -> AbstractContextManager[Span]:
    """The span of a request that this process answers; none of probes and scrapes."""
    if _tracer is None or scope["path"].startswith(_UNTRACED):
        return _NO_SPAN
    method = _method(scope["method"])
    attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
    return _tracer.span(method, "server", attributes, _sent_traceparent(scope))


def end_request(current: Span, scope: Scope, route: str, status: int, code: str | None) -> None:
    """Name the span of a request by its route, and set its outcome; `code` is that of a problem."""
    if _tracer is None:
        return
    current.rename(f"{_method(scope['method'])} {route}")
    current.set("http.route", route)
    current.set("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        current.fail(code or str(status))
    elif code:
        current.set("ich.problem.code", code)


def call_span(method: str, path: str, peer: str) -> AbstractContextManager[Span]:
    """The span of a call to a stage, by the template of its path."""
    if _tracer is None:
        return _NO_SPAN
    template = _MODEL_INFER.sub(r"/v2/models/{name}\1", path)
    attributes = {"http.request.method": method, "url.template": template, "peer.service": peer}
    return span(f"{method} {template}", "client", attributes)


def method_span(method: str, peer: str) -> AbstractContextManager[Span]:
    """The span of a call whose path has no template here; `peer` is a name of the configuration."""
    return span(method, "client", {"http.request.method": method, "peer.service": peer})


def root_span(name: str, seed: str, attributes: Attributes | None = None) -> None:
    """A span without duration that begins a trace, whose ids derive from `seed`."""
    if _tracer is not None:
        _tracer.root(name, seed, attributes)


def root_traceparent(seed: str) -> str | None:
    """The traceparent of the root with this seed, in any process and after any restart; None while off."""
    return None if _tracer is None else _tracer.root_traceparent(seed)


def current_traceparent() -> str | None:
    """The current span, for another process; None without one."""
    return None if _tracer is None else _tracer.traceparent()


def trace_headers() -> dict[str, str]:
    """The headers that join a call to the current trace."""
    found = current_traceparent()
    return {TRACEPARENT: found} if found else {}


def current_trace_id() -> str | None:
    """The id of the current trace, for logs."""
    return None if _tracer is None else _tracer.trace_id(sampled=False)


def exemplar() -> dict[str, str] | None:
    """The labels of an exemplar: the current trace, where it is sampled."""
    found = None if _tracer is None else _tracer.trace_id(sampled=True)
    return {"trace_id": found} if found else None


def flush_tracing() -> None:
    """Export the spans of a process that ends at once; wait `TASK_FLUSH_S` at most."""
    if _tracer is not None:
        _tracer.flush(TASK_FLUSH_S)


def shutdown_tracing() -> None:
    """Export all spans and end; wait `FLUSH_S` at most."""
    global _tracer
    ending, _tracer = _tracer, None
    if ending is not None:
        ending.close(FLUSH_S)


def _method(sent: Any) -> str:
    """The method, or `_OTHER` for one that HTTP does not know (OpenTelemetry's semantic conventions)."""
    return sent if sent in _METHODS else "_OTHER"


def _sent_traceparent(scope: Scope) -> str | None:
    wanted = TRACEPARENT.encode()
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)
