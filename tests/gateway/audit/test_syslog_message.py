import re
from typing import Any

import pytest

from services.gateway.audit.chain import new_chain, read_line, seal
from services.gateway.audit.events import request_event, system_event
from services.gateway.audit.syslog_message import frame

# RFC 5424, section 6, with the octet count of RFC 5425.
FRAME = re.compile(
    rb"(?P<count>[1-9][0-9]*) (?P<message><(?P<priority>[0-9]{1,3})>1 (?P<time>\S+) (?P<host>[!-~]{1,255}) "
    rb"(?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32}) - (?P<text>\{.*\}))",
    re.DOTALL,
)


def framed(event: Any, host: str = "host-1") -> tuple[dict[str, bytes], bytes]:
    raw = seal(event, new_chain("0" * 64))[0][:-1]
    line = read_line(raw)
    assert line
    found = FRAME.fullmatch(frame(line, raw, host))
    assert found
    assert int(found["count"]) == len(found["message"])
    return found.groupdict(), raw


def request(status: int) -> Any:
    code = "job_not_found" if status >= 400 else None
    return request_event("get_job", status, code, sender="ward", address="192.0.2.7", job=None, request_id="r")


@pytest.mark.parametrize(
    ("event", "severity"),
    [
        (request(200), 5),
        (request(404), 4),
        (request(503), 3),
        (system_event("start"), 5),
        (system_event("lost", lines=1), 3),
    ],
)
def test_a_line_is_the_message_of_a_frame(event: Any, severity: int) -> None:
    found, raw = framed(event)
    assert found["text"] == raw
    assert int(found["priority"]) == 10 * 8 + severity
    assert found["time"].decode() == event["time"]
    assert (found["host"], found["app"], found["id"]) == (b"host-1", b"ich-gateway", event["action"].encode())
    assert re.fullmatch(b"[0-9a-f]{16}", found["process"])


@pytest.mark.parametrize("host", ["", "two words", "grüße", "line\nbreak"])
def test_a_header_field_of_other_characters_is_nil(host: str) -> None:
    assert framed(system_event("start"), host)[0]["host"] == b"-"


@pytest.mark.parametrize("fields", [{"time": "x y", "action": "a b"}, {"time": None, "action": None}, {"action": 1}])
def test_a_strange_line_keeps_the_form_of_the_header(fields: Any) -> None:
    found, _ = framed(fields)
    assert (found["time"], found["id"]) == (b"-", b"-")


def test_long_fields_are_cut() -> None:
    found, _ = framed(system_event("a" * 99), "h" * 999)
    assert (len(found["id"]), len(found["host"])) == (32, 255)
