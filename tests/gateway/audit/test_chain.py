import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.audit.chain import NO_HASH, Link, new_chain, read_line, seal

KEY = b"k" * 32
CHAIN = "0123456789abcdef"


def test_a_line_holds_its_place_its_fields_and_its_hash() -> None:
    line, link = seal({"action": "read"}, Link(CHAIN, 4, "a" * 64))
    assert json.loads(line) == {"chain": CHAIN, "seq": 5, "prev": "a" * 64, "action": "read", "hash": link.hash}
    assert link == Link(CHAIN, 5, link.hash)
    assert line.endswith(b"}\n")


@given(st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text() | st.booleans()), st.booleans())
def test_any_sealed_line_is_read_back(fields: dict[str, object], keyed: bool) -> None:  # noqa: FBT001 - of hypothesis
    fields = {name: value for name, value in fields.items() if name not in ("chain", "seq", "prev", "hash")}
    key = KEY if keyed else None
    line, link = seal(fields, new_chain(NO_HASH), key)
    assert b"\n" not in line[:-1]
    read = read_line(line[:-1], key)
    assert read is not None
    assert (read.link, read.previous, read.own_hash) == (link, NO_HASH, True)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_shows(position: int, change: int) -> None:
    line, _ = seal({"action": "read", "job": "01a2"}, Link(CHAIN, 4, "a" * 64))
    changed = bytearray(line[:-1])
    changed[position % len(changed)] ^= change
    read = read_line(bytes(changed))
    assert read is None or not read.own_hash


def test_a_line_of_another_key_shows() -> None:
    line, _ = seal({}, new_chain(NO_HASH), KEY)
    for key in (None, b"x" * 32):
        read = read_line(line[:-1], key)
        assert read is not None
        assert not read.own_hash


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"no JSON",
        b"\0" * 500,
        b"[" * 100_000,
        b'{"chain":"c","seq":"1","prev":"p"}',
        b'{"chain":"c"',
        b'{"chain":"\\u001b[2J","seq":1,"prev":"p"}',
    ],
)
def test_another_line_is_none(line: bytes) -> None:
    assert read_line(line) is None
    assert read_line(line + b',"hash":"%s"}' % (b"0" * 64)) is None
