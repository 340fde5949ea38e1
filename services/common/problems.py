"""Failures as exceptions with an HTTP status; one handler of the application answers all of them.

    Problem                         RFC 9457 problem details
    |- BadRequest             400   the request itself is not understood
    |- NotFound               404   there is no such model, job or page
    |- MethodNotAllowed       405   the resource has other methods; `Allow` lists them
    |- NotAcceptable          406   no representation that `Accept` allows
    |- ContentTooLarge        413   more bytes, files or slices than this service takes
    |- UnsupportedMediaType   415   a content type or encoding that this service does not accept
    |- ClientClosedRequest    499   the client closed the connection; nobody reads this answer
    |- NotReady               503   not now; `Retry-After` says when to try again
    |- Overloaded             503   too many requests are waiting

Each part of the system adds subclasses beside the code that raises them.
The `detail` goes to the client of the request only. It may name the client's files, so it is never logged.
"""

from collections.abc import Collection
from typing import Any, ClassVar


class Problem(Exception):
    """A failure with a response. `detail` is for the client; `extra` holds further members of the document."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "The service failed"
    retry_after_s: int | None = None

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(self.code)
        self.detail = detail
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The body of the response (RFC 9457, section 3)."""
        return {
            "type": f"urn:ich:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extra,
        }

    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


class BadRequest(Problem):
    status = 400
    code = "malformed_request"
    title = "Bad request"


class NotFound(Problem):
    status = 404
    code = "not_found"
    title = "Not found"


class MethodNotAllowed(Problem):
    """`allowed`: the methods of the resource."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, detail: str, *, allowed: Collection[str] = (), **extra: Any) -> None:
        super().__init__(detail, **extra)
        self._allowed = allowed

    def headers(self) -> dict[str, str]:
        """`Allow` (RFC 9110, section 15.5.6)."""
        return {"allow": ", ".join(sorted(self._allowed))}


class NotAcceptable(Problem):
    status = 406
    code = "not_acceptable"
    title = "No representation matches the Accept header"


class ContentTooLarge(Problem):
    status = 413
    code = "too_large"
    title = "The upload is too large"


class UnsupportedMediaType(Problem):
    status = 415
    code = "unsupported_media"
    title = "Unsupported media type"


class ClientClosedRequest(Problem):
    status = 499
    code = "caller_gone"
    title = "The client closed the connection"


class NotReady(Problem):
    status = 503
    code = "not_ready"
    title = "Not ready"
    retry_after_s = 5


class Overloaded(Problem):
    status = 503
    code = "overloaded"
    title = "Too many requests are waiting"

    def __init__(self, detail: str, *, retry_after_s: int = 1, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after_s = retry_after_s
