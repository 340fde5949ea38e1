"""A parser of requests that ignores the field Upgrade (RFC 9110, 7.8).

llhttp takes a request with `Connection: Upgrade` for the last one of its connection, and httptools skips the body of
it. Java's HttpClient and `curl --http2` offer an upgrade to HTTP/2 with every first request, uploads too.
"""

from array import array
from typing import TYPE_CHECKING, Final

from httptools import HttpParserUpgrade, HttpRequestParser

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FRAMING: Final = (b"content-length", b"transfer-encoding")  # fields that tell where a body ends (RFC 9112, 6)


class RequestParser(HttpRequestParser):
    """Calls the protocol as httptools does, with the body of every request.

    At the end of a header with an upgrade the parser begins again: it reads a header that has only the framing fields
    of the request, and tells the protocol nothing of it. So all rules of llhttp hold for the body.
    """

    def __init__(self, protocol: "HttpToolsProtocol") -> None:
        self._callbacks = _Callbacks(protocol)
        self._begin()

    def _begin(self) -> None:
        super().__init__(self._callbacks)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def feed_data(self, data: "bytes | bytearray | memoryview | array[int]") -> None:
        """Parse a piece of the connection's data.

        Raises
        ------
        HttpParserError
            a message is malformed, or a callback failed
        HttpParserUpgrade
            after CONNECT, which has no body (RFC 9110, 9.3.6)
        """
        rest: bytes | None = bytes(data)
        while rest:
            rest = self._feed(rest)

    def _feed(self, data: bytes) -> bytes | None:
        """Parse until the end of the data, or of a header with an upgrade; then return what follows it."""
        try:
            super().feed_data(data)
        except HttpParserUpgrade as upgrade:
            if not self._callbacks.skips_upgrade():
                raise
            end = upgrade.args[0]
        else:
            return None
        self._read_body()  # outside of the handler: a callback's error keeps its own context
        return data[end:]

    def _read_body(self) -> None:
        self._begin()
        self._callbacks.silent = True
        super().feed_data(b"POST / HTTP/1.1\r\n%s\r\n" % self._callbacks.framing)
        self._callbacks.silent = False


class _Callbacks:
    """Hands the calls of the parser on to the protocol; while it is silent, only the end of a message.

    framing : the framing fields of the message
    """

    def __init__(self, protocol: "HttpToolsProtocol") -> None:
        self._protocol = protocol
        self.framing, self.silent = b"", False
        self.on_body = protocol.on_body
        self.on_chunk_header = getattr(protocol, "on_chunk_header", None)

    def skips_upgrade(self) -> bool:
        """Whether the message asks for an upgrade; CONNECT, which llhttp counts among them, does not."""
        parser = self._protocol.parser
        return parser.should_upgrade() and parser.get_method() != b"CONNECT"

    def on_message_begin(self) -> None:
        """Begin a message."""
        if not self.silent:
            self.framing = b""
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Hand on a piece of the target."""
        if not self.silent:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Hand on a field, and keep it where it tells where the body ends."""
        if not self.silent:
            self.framing += b"%s: %s\r\n" % (name, value) if name.lower() in _FRAMING else b""
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand on the end of a header."""
        if not self.silent:
            self._protocol.on_headers_complete()

    def on_message_complete(self) -> None:
        """Hand on the end of a message, unless it is that of a header with an upgrade."""
        if not self.skips_upgrade():
            self._protocol.on_message_complete()
