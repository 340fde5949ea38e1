"""Logs, metrics and the request id that every hop passes on. None holds content of a request."""

import json
import logging
import re
import traceback
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.datastructures import Headers

from services.common.tracing import current_trace_id

REQUEST_ID: Final = "x-request-id"
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_request_id: ContextVar[str] = ContextVar("request_id", default="-")
_problem_code: ContextVar[str | None] = ContextVar("problem_code", default=None)


def set_request_id(headers: Headers) -> str:
    """Set the request id: the client's where it has safe characters only, else a new one."""
    sent = headers.get(REQUEST_ID, "")
    request_id = sent if _SAFE_ID.fullmatch(sent) else uuid.uuid4().hex
    _request_id.set(request_id)
    return request_id


def current_request_id() -> str:
    """The id of the current request, which calls to stages pass on."""
    return _request_id.get()


def set_problem_code(code: str | None) -> None:
    """Note the code of the problem that answers the current request; None at its begin."""
    _problem_code.set(code)


def current_problem_code() -> str | None:
    """The code of the problem that answers the current request; None without one."""
    return _problem_code.get()


class JsonFormatter(logging.Formatter):
    """One JSON object per line.

    An exception is logged as its class and its stack, without its message, which may quote the upload.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "request_id": current_request_id(),
            **({"trace_id": trace_id} if (trace_id := current_trace_id()) else {}),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = _class_names(record.exc_info[1])
            line["trace"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(line)


def _class_names(error: BaseException) -> str:
    """The class names of an exception and its causes."""
    name = type(error).__qualname__
    return f"{name} from {_class_names(error.__cause__)}" if error.__cause__ else name


def configure_logging(service: str) -> None:
    """Write all logs of this process, including uvicorn's, to standard error as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


class Metrics:
    """Metrics of one application, in a registry of its own, so that one process can hold several applications."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "ich_requests_total", "Requests answered", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "ich_request_seconds",
            "Seconds from a request's header to the end of its response",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=self.registry,
        )
        self.slices = Counter("ich_slices_total", "Slices processed", registry=self.registry)
