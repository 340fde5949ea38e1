"""uvicorn's HTTP protocol with time-outs, bounded headers and a place in the table of connections.

uvicorn has no time-out for a header or a body, and no bound of a header (Apache's mod_reqtimeout and nginx's
`client_header_timeout` are the models). The application's lifespan gives the table in its state.
"""

import sys
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from services.common.connections.client_address import Proxies, address_group
from services.common.connections.client_progress import Progress
from services.common.connections.connection_problems import RequestTimeout, TooManyConnections, encode_problem
from services.common.connections.message_limits import MAX_HEADER_BYTES, LimitExceeded, MessageLimits, header_too_large
from services.common.connections.request_parser import RequestParser
from services.common.connections.table import CONNECTIONS, MAX_DISCARDED_BYTES, PROXIES, ConnectionTable
from services.common.problems import BadRequest, Problem

_MAX_PIPELINED: Final = 8
_STALLED_S: Final = 5.0  # from then on a client that does not send or read may be evicted
_LINGER_S: Final = 2.0
_DISCARD_S: Final = 120.0  # for the rest of a body whose request is already answered
_ALL_BUSY: Final = (
    "every connection of this address, or of the server, has a request in work; send the request again later"
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection: a Connection of the table."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = RequestParser(self)
        self._table: ConnectionTable = app_state[CONNECTIONS]
        self._proxies: Proxies = app_state[PROXIES]
        limits, now = self._table.limits, self._table.clock()
        self.address, self.proxied = "", False
        self._refused = self._lingers = False
        self._running: RequestResponseCycle | None = None
        self._in_body = False  # between the header and the end of a message
        self._header_since: float | None = now  # None while no byte of the next header has come
        self._idle_since = self._now = now
        self._sent = Progress(limits.body_s, limits.min_bytes_per_s, now)
        self._read = Progress(limits.response_s, limits.min_bytes_per_s, now)
        self._unread_bytes = 0  # of responses, in the transport's buffer
        self._raw_bytes = 0  # since the last whole header, piece of a body or end of a message
        self._limits = MessageLimits()

    # -- from the transport --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Take a place in the table, or refuse the connection."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else None
        self.address, self.proxied = address_group(peer), peer is None or peer in self._proxies
        if not self._table.admit(self):
            self._refuse(TooManyConnections(_ALL_BUSY), "refused")

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the table, and end the request in work."""
        self._end_lingering()
        self._table.remove(self)
        self._disconnect_application()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, within the bounds of a header."""
        if self._refused:
            return
        self._now = self._table.clock()
        if self._header_since is None and not self._in_body:
            self._header_since = self._now
        self._raw_bytes += len(data)
        super().data_received(data)
        if self._raw_bytes > MAX_HEADER_BYTES:
            self._refuse(header_too_large(), "bad_request")

    def resume_writing(self) -> None:
        """The client has read most of the buffer."""
        self._read.reset(self._table.clock())
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed or breaks a limit."""
        cause = getattr(
            sys.exc_info()[1], "__context__", None
        )  # uvicorn calls this where it catches the parser's error
        self._refuse(cause.problem if isinstance(cause, LimitExceeded) else BadRequest(msg), "bad_request")

    # -- from the parser -----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a header."""
        self._limits = MessageLimits()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the target."""
        self._limits.add_target(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field; a trailer field is dropped, since it must not be read as a header (RFC 9110, 6.5.1)."""
        self._limits.add_field(name, value)
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request."""
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise LimitExceeded(BadRequest(f"at most {_MAX_PIPELINED} requests may wait on one connection"))
        self._in_body, self._header_since, self._raw_bytes = True, None, 0
        self._sent.reset(self._now)
        super().on_headers_complete()
        if self.scope["method"] == "CONNECT":
            self.cycle.keep_alive = False  # the parser reads nothing behind such a request

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._limits.add_chunk()

    def on_body(self, body: bytes) -> None:
        """Count a piece of the body."""
        self._raw_bytes = 0
        self._limits.add_body(body)
        self._sent.add(len(body), self._now)
        super().on_body(body)
        if self.cycle.response_complete:
            self._table.discarded_bytes += len(body)
            if self._table.discarded_bytes > MAX_DISCARDED_BYTES:
                self.flow.pause_reading()  # until the next sweep

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body, self._raw_bytes = False, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if not self._in_work():
            self._idle_since = self._table.clock()
            self._header_since = self._idle_since if self._raw_bytes and not self._in_body else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle  # `self.cycle` is the latest one, which may wait behind it
        super()._start_asgi_task(cycle, app)

    # -- from the table ------------------------------------------------------------------------------------------------

    def waits_since(self) -> tuple[int, float] | None:
        """Rank and time since when the connection waits for its client; None while it is served."""
        now = self._table.clock()
        if self._refused or not self._in_work():
            return 0, self._idle_since
        self._note_unread(now)
        last = self._read.last if self._unread_bytes else self._sent.last if self._waits_for_body() else now
        return (1, last) if now - last > _STALLED_S else None

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def enforce_timeouts(self) -> None:
        """Close the connection where the client was too slow."""
        now = self._table.clock()
        self._note_unread(now)
        if self._unread_bytes and self._read.too_slow(now):
            self._close("unread_response")
        elif self.transport.is_closing() or self._refused:
            return
        elif self._in_work():
            self._enforce_body(now)
        elif self._in_body:
            self._enforce_discard(now)
        elif self._header_since is not None and now - self._header_since >= self._table.limits.header_s:
            self._enforce_header()

    def _enforce_body(self, now: float) -> None:
        limits = self._table.limits
        if not self._waits_for_body():
            self._sent.reset(now)
        elif self._sent.too_slow(now):
            rate = f"at {limits.min_bytes_per_s} bytes per second or more"
            detail = f"a body must not pause for {limits.body_s:g} s, and must arrive {rate}"
            self._refuse(RequestTimeout(detail), "body_timeout")

    def _enforce_discard(self, now: float) -> None:
        """Let the rest of a body come whose request is already answered, so that its client reads the answer."""
        if self._sent.too_slow(now) or now - self._idle_since > _DISCARD_S:
            self._close("body_timeout")
            return
        self.flow.resume_reading()

    def _enforce_header(self) -> None:
        """Close: without an answer where no byte came, as a browser opens connections in advance."""
        if not self._raw_bytes:
            self._close("header_timeout")
            return
        detail = f"a header must arrive within {self._table.limits.header_s:g} s"
        self._refuse(RequestTimeout(detail), "header_timeout")

    def _note_unread(self, now: float) -> None:
        """Measure how much of the responses the client has read."""
        size = self.transport.get_write_buffer_size()
        if not size or not self._unread_bytes:
            self._read.reset(now)
        elif size < self._unread_bytes:
            self._read.add(self._unread_bytes - size, now)
        self._unread_bytes = size

    def _in_work(self) -> bool:
        """Whether the application has a request of this connection."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _waits_for_body(self) -> bool:
        """Whether the next piece of a body is the client's turn."""
        unread = self.flow.read_paused or self.cycle.body or self.cycle.waiting_for_100_continue
        return self._in_body and not unread

    # -- ends ----------------------------------------------------------------------------------------------------------

    def _close(self, cause: str) -> None:
        self._table.closed[cause] += 1
        self.transport.abort()

    def _refuse(self, problem: Problem, cause: str) -> None:
        """Answer with a problem, unless another response has begun, and close when the client has read it."""
        if self._refused:
            return
        self._refused, begun = True, bool(self.pipeline) or (self._in_work() and self.cycle.response_started)
        self._table.closed[cause] += 1
        self._disconnect_application()
        if not begun:
            self.transport.write(encode_problem(problem))
        if begun or not self._table.may_linger():
            self.transport.close()
            return
        self._lingers = True
        self._table.lingering += 1
        self.flow.resume_reading()  # unread data would let the kernel reset the connection before the answer is read
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.abort)

    def _end_lingering(self) -> None:
        if self._lingers:
            self._lingers = False
            self._table.lingering -= 1

    def _disconnect_application(self) -> None:
        """Tell the application that the client is gone."""
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
