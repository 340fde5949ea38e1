import pytest

from services.common.connections.message_limits import MAX_HEADER_BYTES, LimitExceeded, MessageLimits


def _code(error: pytest.ExceptionInfo[LimitExceeded]) -> str:
    return error.value.problem.code


def test_target_and_fields_share_the_bytes_of_a_header() -> None:
    limits = MessageLimits()
    limits.add_target(bytes(MAX_HEADER_BYTES - 10))
    limits.add_field(bytes(5), bytes(5))
    with pytest.raises(LimitExceeded) as error:
        limits.add_field(b"a", b"")
    assert _code(error) == "header_too_large"


def test_a_header_has_a_number_of_fields() -> None:
    limits = MessageLimits()
    for _ in range(100):
        limits.add_field(b"a", b"b")
    with pytest.raises(LimitExceeded) as error:
        limits.add_field(b"a", b"b")
    assert "100 fields and 64 KiB" in error.value.problem.detail


def test_many_chunks_must_have_some_bytes_on_average() -> None:
    limits = MessageLimits()
    for _ in range(5000):
        limits.add_body(bytes(64))
        limits.add_chunk()
    tiny = MessageLimits()
    for _ in range(1000):
        tiny.add_chunk()
    with pytest.raises(LimitExceeded) as error:
        tiny.add_chunk()
    assert _code(error) == "malformed_request"
