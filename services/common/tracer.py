"""What the services need of a library of traces: `tracing.py` uses it, `sdk_tracer.py` implements it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Literal, Protocol

Kind = Literal["server", "client", "producer", "consumer", "internal"]
Attributes = Mapping[str, str | int | float | bool]
TRACEPARENT: Final = "traceparent"  # W3C Trace Context; `tracestate` is not read, since it may hold any text


class Span(Protocol):
    """A span in progress."""

    def set(self, name: str, value: str | float | bool) -> None:  # noqa: FBT001 - a value of OpenTelemetry
        """Set an attribute."""

    def rename(self, name: str) -> None:
        """Give the span another name."""

    def fail(self, error_type: str) -> None:
        """Mark the operation as failed, with a code or a class of an exception."""


class Tracer(Protocol):
    """Makes and exports spans."""

    def span(
        self, name: str, kind: Kind, attributes: Attributes | None, parent: str | None
    ) -> AbstractContextManager[Span]: ...

    def root(self, name: str, seed: str, attributes: Attributes | None) -> None: ...

    def root_traceparent(self, seed: str) -> str: ...

    def traceparent(self) -> str | None: ...

    def trace_id(self, *, sampled: bool) -> str | None: ...

    def flush(self, timeout_s: float) -> None: ...

    def close(self, timeout_s: float) -> None: ...
