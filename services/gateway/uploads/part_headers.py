"""Headers of one part of a multipart body: field, file name and encoding."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, Final

from python_multipart.multipart import parse_options_header

from services.common.content_coding import is_identity_coding
from services.common.problems import BadRequest

_LATIN_1: Final = frozenset({"iso-8859-1", "latin-1", "latin1"})
_PLAIN_TRANSFERS: Final = frozenset({"", "7bit", "8bit", "binary"})
_MAX_PARAMETERS: Final = 16  # of Content-Disposition
_MAX_SEMICOLONS: Final = 256 + _MAX_PARAMETERS  # a file name has up to 255; the parser's time grows with their square
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """The parsed headers.

    filename : None without such a parameter, empty where it has no value
    encoding : the header that encodes the data; empty where the data are the file itself
    """

    field: str = ""
    filename: str | None = None
    encoding: str = ""


def parse_part_headers(headers: Mapping[bytes, bytes]) -> PartHeaders:
    """Parse a part's headers, whose names are in lower case; BadRequest where a disposition has too many parameters."""
    disposition = headers.get(b"content-disposition", b"")
    _check_semicolons(disposition)
    _, options = parse_options_header(disposition)
    plain = options.get(b"filename")
    name = _extended_filename(disposition) or (None if plain is None else _text(plain))
    return PartHeaders(_text(options.get(b"name", b"")), name, _encoding(headers))


def _check_semicolons(disposition: bytes) -> None:
    """Limit those between parameters, and all of them; a quoted file name may have many."""
    if disposition.count(b";") > _MAX_SEMICOLONS or _QUOTED.sub(b"", disposition).count(b";") > _MAX_PARAMETERS:
        limit = f"{_MAX_PARAMETERS} parameters and {_MAX_SEMICOLONS} semicolons"
        remedy = "quote the file name, or remove semicolons of a file name"
        raise BadRequest(f"a Content-Disposition may have {limit}; {remedy}")


def _extended_filename(disposition: bytes) -> str | None:
    """The name in `filename*` (RFC 5987) or in continuations (RFC 2231).

    RFC 7578 forbids both in forms, but some clients send them.
    """
    if b"filename*" not in disposition.lower():
        return None
    message = Message()
    message["content-disposition"] = disposition.decode("latin-1")
    found: list[tuple[str, Any]] = message.get_params(failobj=[], header="content-disposition")
    *_, last = ["", *(value for name, value in found if name.lower() == "filename")]
    return _decoded(last) if isinstance(last, tuple) else _text(last.encode("latin-1", "replace"))


def _decoded(value: tuple[str | None, str | None, str]) -> str:
    """A percent-encoded value, in its own character set or in UTF-8."""
    charset, _, text = value
    data = text.encode("latin-1", "replace")
    return data.decode("latin-1") if (charset or "").lower() in _LATIN_1 else _text(data)


def _encoding(headers: Mapping[bytes, bytes]) -> str:
    transfer = _text(headers.get(b"content-transfer-encoding", b"")).strip()
    if transfer.lower() not in _PLAIN_TRANSFERS:
        return f"Content-Transfer-Encoding {transfer}"
    coding = _text(headers.get(b"content-encoding", b"")).strip()
    if not is_identity_coding(coding):
        return f"Content-Encoding {coding}"
    kind = _text(headers.get(b"content-type", b"")).strip().lower()
    return f"Content-Type {kind.partition(';')[0]}" if kind.startswith("multipart/") else ""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
