"""The table covers bit masks, signs, rescale, padding and the fault of RSNA files."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.preprocess.modality_lut import StoredPixelFormat, apply_modality_lut, modality_lut

UNSIGNED = StoredPixelFormat(bits_stored=12, shift=0, signed=False, slope=1, intercept=-1024, padding=None)
SIGNED = StoredPixelFormat(bits_stored=16, shift=0, signed=True, slope=1, intercept=0, padding=None)


def bits(value: int) -> int:
    return value & 0xFFFF


@given(st.integers(0, 4095), st.floats(-10, 10), st.floats(-5000, -101))
def test_rescale_rounds_and_clips(value: int, slope: float, intercept: float) -> None:
    expected = np.clip(np.rint(value * slope + intercept), -32768, 32767)
    assert modality_lut(replace(UNSIGNED, slope=slope, intercept=intercept))[value] == expected


@pytest.mark.parametrize("slope", [1e308, -1e308, 1e-308, 0.0, float("inf"), float("nan")])
@pytest.mark.parametrize("intercept", [-1e308, -1024.0, float("-inf"), float("nan")])
def test_absurd_rescale_is_clipped_and_never_undefined(slope: float, intercept: float) -> None:
    """Its headers refuse such a series, but its pixels are decoded and measured first."""
    how = replace(SIGNED, slope=slope, intercept=intercept)
    found = modality_lut(how)
    assert found.dtype == np.int16
    with np.errstate(all="ignore"):
        exact = np.array([0.0, 1.0, -1.0]) * slope + intercept
    for value, hu in zip((0, 1, bits(-1)), exact, strict=True):
        assert found[value] == (-1024 if np.isnan(hu) else np.clip(np.rint(hu), -32768, 32767))


@given(st.integers(-32768, 32767))
def test_signed_values(value: int) -> None:
    assert modality_lut(SIGNED)[bits(value)] == value


@given(st.integers(-2048, 2047))
def test_signed_twelve_bits_with_and_without_their_sign_extended(value: int) -> None:
    twelve = replace(SIGNED, bits_stored=12)
    assert modality_lut(twelve)[bits(value)] == modality_lut(twelve)[value & 0xFFF] == value


def test_bits_outside_the_stored_bits_do_not_count() -> None:
    """Old files store overlays there (PS3.5 8.1.1)."""
    assert modality_lut(UNSIGNED)[0xF000 | 1064] == 40


def test_values_that_are_not_aligned_to_bit_0() -> None:
    assert modality_lut(replace(UNSIGNED, shift=4))[1064 << 4] == 40


@pytest.mark.parametrize(
    ("how", "padding"),
    [
        (SIGNED, bits(-2000)),
        (replace(SIGNED, bits_stored=12), bits(-2000)),
        (replace(SIGNED, intercept=-1024), bits(-2000)),
        (UNSIGNED, 0),
        (replace(UNSIGNED, bits_stored=16), bits(-2000)),
    ],
)
def test_padding_is_air(how: StoredPixelFormat, padding: int) -> None:
    assert modality_lut(replace(how, padding=(padding, padding)))[padding] == -1024


def test_padding_written_in_the_other_signedness() -> None:
    """An unsigned PixelPaddingValue of 63536 over signed values: the bits of -2000."""
    assert modality_lut(replace(SIGNED, padding=(63536, 63536)))[bits(-2000)] == -1024


def test_padding_range() -> None:
    padded = modality_lut(replace(SIGNED, padding=(bits(-3000), bits(-1500))))
    assert {int(padded[bits(value)]) for value in (-3000, -2000, -1500)} == {-1024}
    assert padded[bits(-1499)] == -1499
    assert padded[bits(-3001)] == -3001
    assert (modality_lut(replace(SIGNED, padding=(bits(-1500), bits(-3000)))) == padded).all()


def test_padding_within_tissue_values_is_ignored() -> None:
    """Some anonymisers write 0, which is water at intercept 0: brain would get holes."""
    assert modality_lut(replace(SIGNED, padding=(0, 0)))[0] == 0
    assert modality_lut(replace(UNSIGNED, padding=(1064, 1064)))[1064] == 40


def test_inverted_values() -> None:
    assert modality_lut(replace(UNSIGNED, inverted=True))[4095 - 1064] == 40
    assert modality_lut(replace(SIGNED, inverted=True))[bits(-1 - 40)] == 40


@given(st.integers(-1000, 3095))
def test_faulty_intercept(hu: int) -> None:
    faulty = replace(UNSIGNED, intercept=0)
    assert faulty.faulty_intercept
    assert modality_lut(faulty)[hu % 4096] == hu


@pytest.mark.parametrize(
    "how", [UNSIGNED, SIGNED, replace(UNSIGNED, bits_stored=16, intercept=0), replace(UNSIGNED, intercept=-100)]
)
def test_a_valid_format_is_not_repaired(how: StoredPixelFormat) -> None:
    assert not how.faulty_intercept


def test_the_table_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        modality_lut(SIGNED)[0] = 1


@st.composite
def pixel_formats(draw: st.DrawFn) -> StoredPixelFormat:
    """Every kind of pixel format, common formats more often."""
    bits_stored = draw(st.sampled_from([8, 12, 16]))
    padding = draw(st.one_of(st.none(), st.tuples(st.integers(0, 65535), st.integers(0, 65535))))
    common = draw(st.sampled_from([None, (bits(-2000),) * 2, (0, 0), (bits(-1500),) * 2]))
    return StoredPixelFormat(
        bits_stored=bits_stored,
        shift=draw(st.sampled_from([0, 0, 16 - bits_stored])),
        signed=draw(st.booleans()),
        slope=draw(st.sampled_from([1.0, 1.0, 0.5, 2.0, -1.0])),
        intercept=draw(st.sampled_from([-1024.0, 0.0, -1000.5, -8192.0])),
        padding=draw(st.sampled_from([padding, common])),
        inverted=draw(st.booleans()),
    )


@given(pixel_formats(), st.tuples(st.integers(0, 65535), st.integers(0, 65535)), st.integers(0, 2**32 - 1))
def test_a_sum_equals_the_look_up(how: StoredPixelFormat, ends: tuple[int, int], seed: int) -> None:
    """For any values, with padding, in either byte order."""
    start, stop = sorted(ends)
    stored = np.random.default_rng(seed).integers(start, stop + 1, (9, 7), np.uint16)
    stored[seed % 9, seed % 7] = how.padding[0] if how.padding else 0
    given_bytes = stored.astype(">u2" if seed % 2 else "<u2")
    np.testing.assert_array_equal(apply_modality_lut(given_bytes, how), modality_lut(how)[stored])


@pytest.mark.parametrize("padding", [None, (bits(-2000),) * 2])
def test_usual_values_use_the_sum(padding: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = np.array([[bits(-2000), bits(-1024), 0, 40, 3071]], np.uint16)
    how = replace(SIGNED, padding=padding)
    expected = modality_lut(how)[stored]
    apply_modality_lut(stored, how)
    monkeypatch.setattr(np, "take", lambda *_: pytest.fail("looked up"))
    np.testing.assert_array_equal(apply_modality_lut(stored, how), expected)
