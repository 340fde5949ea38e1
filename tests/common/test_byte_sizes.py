import pytest

from services.common.byte_sizes import format_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (-5, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1000 * 1024**2, "1000 MiB"),
        (1023 * 1024**2 + 600_000, "1024 MiB"),
        (1024**3, "1 GiB"),
        (1536 * 1024**2, "1.5 GiB"),
        (123_456_789, "118 MiB"),
        (5000 * 1024**4, "5000 TiB"),
    ],
)
def test_a_number_of_bytes_is_text_without_an_exponent(count: int, text: str) -> None:
    assert format_bytes(count) == text
