import json
import zlib
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.jobs.ticket_call import FUNCTION, ForeignCall, TicketCall, parse_call

TICKET: Final = "0123456789abcdef"
CALL: Final[list[Any]] = [FUNCTION, None, ["routine", "ann", 3, TICKET], {}]
LANES: Final = 8


def _parse(content: Any) -> TicketCall:
    return parse_call(zlib.compress(json.dumps(content).encode()), TICKET, LANES)


def test_a_ticket_is_read() -> None:
    assert _parse(CALL) == TicketCall("routine", "ann", 3, TICKET)
    assert parse_call(json.dumps(CALL).encode(), TICKET, LANES) == _parse(CALL), "RQ may store it without compression"
    assert _parse(["services.gateway.jobs.turns.take_turn", *CALL[1:]]) == _parse(CALL)


FOREIGN: Final[dict[str, Any]] = {
    "function": ["os.system", *CALL[1:]],
    "function below ours": [f"{FUNCTION}.__globals__", *CALL[1:]],
    "function as a list": [[FUNCTION], *CALL[1:]],
    "instance": [FUNCTION, "text", *CALL[2:]],
    "false instance": [FUNCTION, 0, *CALL[2:]],
    "keyword": [*CALL[:3], {"ticket": TICKET}],
    "keywords as a list": [*CALL[:3], []],
    "priority": [*CALL[:2], ["../x", "ann", 3, TICKET], {}],
    "priority as a number": [*CALL[:2], [0, "ann", 3, TICKET], {}],
    "priority as a list": [*CALL[:2], [["routine"], "ann", 3, TICKET], {}],
    "traversal": [*CALL[:2], ["routine", "../../etc", 3, TICKET], {}],
    "sender with a line break": [*CALL[:2], ["routine", "ann\n", 3, TICKET], {}],
    "sender in other letters": [*CALL[:2], ["routine", "änn", 3, TICKET], {}],
    "sender as a number": [*CALL[:2], ["routine", 7, 3, TICKET], {}],
    "lane too high": [*CALL[:2], ["routine", "ann", LANES, TICKET], {}],
    "lane below zero": [*CALL[:2], ["routine", "ann", -1, TICKET], {}],
    "lane as text": [*CALL[:2], ["routine", "ann", "3", TICKET], {}],
    "lane as a truth value": [*CALL[:2], ["routine", "ann", True, TICKET], {}],
    "lane as a fraction": [*CALL[:2], ["routine", "ann", 3.0, TICKET], {}],
    "another ticket": [*CALL[:2], ["routine", "ann", 3, "f" * 16], {}],
    "five arguments": [*CALL[:2], ["routine", "ann", 3, TICKET, 1], {}],
    "no list": {"function": FUNCTION},
    "text": "run_ticket",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_call_is_refused(content: Any) -> None:
    with pytest.raises(ForeignCall):
        _parse(content)


@pytest.mark.parametrize(
    "packed",
    [None, b"", b"\x80\x04.", zlib.compress(bytes(1 << 20)), b"[" * 1000, bytes(2000), b'["\xd8"]'],
    ids=["none", "empty", "pickle", "bomb", "deep", "long", "no text"],
)
def test_data_in_another_format_is_refused(packed: bytes | None) -> None:
    with pytest.raises(ForeignCall):
        parse_call(packed, TICKET, LANES)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(packed: bytes) -> None:
    with pytest.raises(ForeignCall):
        parse_call(packed, TICKET, LANES)
