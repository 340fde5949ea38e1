"""Audit lines as syslog messages (RFC 5424), in frames with octet counting (RFC 5425, section 4.3)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.audit.chain import Line

_FACILITY: Final = 10  # authpriv (RFC 5424, section 6.2.1)
_NOTICE, _WARNING, _ERROR = 5, 4, 3
_SERVER_ERROR, _CLIENT_ERROR = 500, 400
_FAULTS: Final = frozenset({"reopen", "lost", "unsent"})
_APP_NAME: Final = b"ich-gateway"
_NIL: Final = "-"
_PRINTABLE: Final = re.compile("[!-~]+")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z", re.ASCII)
_HOST_CHARACTERS, _MSGID_CHARACTERS = 255, 32


def frame(line: Line, raw: bytes, host: str) -> bytes:
    """The frame of one line: the header, and the line's bytes as the message.

    PROCID is the chain, since it identifies the process for good; MSGID is the action.
    """
    fields = line.fields
    priority = _FACILITY * 8 + _severity(fields)
    time = fields.get("time")
    words = (
        time if isinstance(time, str) and _TIME.fullmatch(time) else _NIL,
        _word(host, _HOST_CHARACTERS),
        _APP_NAME.decode(),
        line.link.chain,
        _word(fields.get("action"), _MSGID_CHARACTERS),
        _NIL,
    )
    message = f"<{priority}>1 {' '.join(words)} ".encode() + raw
    return b"%d %s" % (len(message), message)


def _severity(fields: Mapping[str, Any]) -> int:
    status = fields.get("status")
    if fields.get("action") in _FAULTS:
        return _ERROR
    if type(status) is not int or status < _CLIENT_ERROR:
        return _NOTICE
    return _ERROR if status >= _SERVER_ERROR else _WARNING


def _word(value: Any, longest: int) -> str:
    """A header field of printable ASCII; the nil value for anything else."""
    text = value if isinstance(value, str) else ""
    return text[:longest] if _PRINTABLE.fullmatch(text) else _NIL
