"""Where a multipart body begins and ends."""

from typing import Final

from services.common.problems import BadRequest

_BLANK: Final = b" \t\r\n"


class Delimiters:
    """Refuses a preamble and an epilogue (RFC 2046, section 5.1.1): their data would be lost."""

    def __init__(self, boundary: bytes) -> None:
        self.ended = False
        self._begun = self._checked = False
        self._last = b"\r\n--" + boundary + b"--"
        self._tail = b""

    def end(self) -> None:
        """Note that the parser has met the last delimiter."""
        self.ended = True

    def check_begin(self, piece: bytes) -> None:
        """Check before a piece is parsed, since the parser skips a preamble."""
        if self._begun or not (first := piece.lstrip(b"\r\n")[:1]):
            return
        self._begun = True
        if first != b"-":
            raise BadRequest("the multipart body does not begin with its boundary")

    def check_end(self, piece: bytes) -> None:
        """Check after a piece is parsed, since the parser skips an epilogue."""
        if self._checked:
            behind = piece
        elif self.ended:
            self._checked = True
            _, _, behind = (self._tail + piece).partition(self._last)
        else:
            self._tail = (self._tail + piece[-len(self._last) :])[-len(self._last) :]
            return
        if behind.strip(_BLANK):
            raise BadRequest("data follow the last boundary of the multipart body; send all files in one body")
