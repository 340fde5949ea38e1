"""Implausible geometry is refused with its value and limit; missing geometry gives a warning."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.acceptance import is_refused
from services.common.recipe import DEFAULT_RECIPE
from services.common.schemas import Reason
from services.preprocess.geometry_reasons import geometry_reasons
from services.preprocess.header_reader import read_header
from services.preprocess.pipeline import Pipeline
from tests.preprocess.dicom_files import ct, enhanced, written


def reasons_of(*files: bytes, position_mm: tuple[float, ...] = (0.0,)) -> list[Reason]:
    headers = [read_header(file, len(file)) for file in files]
    return geometry_reasons([(header, frame) for header in headers for frame in header.frames], position_mm)


def codes(**changes: Any) -> list[str]:
    return [item.code for item in reasons_of(ct(**changes))]


def big(**changes: Any) -> dict[str, Any]:
    return {"Rows": 512, "Columns": 512, **changes}


def test_a_head_gives_no_reason() -> None:
    assert codes(**big()) == []
    assert codes(**big(PixelSpacing=[0.488281, 0.48828])) == []


@pytest.mark.parametrize(
    "spacing",
    [[5, 0.5], [0.5, 5], [0.2, 0.41], [0.19, 0.19], [0.1, 0.19], [0.99, 0.99], [0.6, 1.0], [0, 0.5], [-0.5, -0.5],
     [1e-9, 1e-9], [1e9, 1e9], [1e9, 1e-9], [300, 300]],
)  # fmt: skip
def test_implausible_pixels_are_refused(spacing: list[float]) -> None:
    (found,) = [item for item in reasons_of(ct(**big(PixelSpacing=spacing))) if item.severity == "refuse"]
    assert found.code == "implausible_geometry"


def test_the_message_names_the_value_and_the_limit() -> None:
    (found, *_) = reasons_of(ct(**big(PixelSpacing=[5, 0.5])))
    assert "the pixel aspect is 10 (PixelSpacing 5\\0.5 mm), outside 0.5 to 2" in found.detail
    assert "the field of view is 2560 x 256 mm, outside 100 to 500 mm" in found.detail
    (found, *_) = reasons_of(ct(**big(PixelSpacing=[0, 0.5])))
    assert "PixelSpacing is 0\\0.5 mm; it must exceed 0" in found.detail


@pytest.mark.parametrize("spacing", [[0.976563, 0.976563], [0.1954, 0.1954], [0.25, 0.5], [0.8, 0.4]])
def test_rounded_limits_are_plausible(spacing: list[float]) -> None:
    assert not is_refused(reasons_of(ct(**big(PixelSpacing=spacing))))


def test_one_implausible_slice_refuses_its_series() -> None:
    assert is_refused(reasons_of(ct(), ct(PixelSpacing=[4, 40])))


@pytest.mark.parametrize(
    ("place", "plausible"),
    [([-125, -125, -4000], True), ([999, -999, 0], True), ([1001, 0, 0], False), ([0, -1e6, 0], False),
     ([0, 0, 1e9], False)],
)  # fmt: skip
def test_positions_outside_the_scanner(place: list[float], plausible: bool) -> None:  # noqa: FBT001 - parametrised
    assert is_refused(reasons_of(ct(ImagePositionPatient=place))) == (not plausible)


def test_a_series_longer_than_a_metre() -> None:
    assert not is_refused(reasons_of(ct(), position_mm=(0, 999)))
    (found, *_) = reasons_of(ct(), position_mm=(0, 500, 1200))
    assert "the series is 1200 mm long, more than 1000 mm" in found.detail


def test_malformed_orientation_is_refused() -> None:
    (found, *_) = reasons_of(ct(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]))
    assert found.code == "implausible_geometry"
    assert "ImageOrientationPatient is 1\\0\\0\\1\\0\\0; it must be two unit vectors" in found.detail
    assert is_refused(reasons_of(ct(ImageOrientationPatient=[0] * 6)))


def test_missing_geometry_warns() -> None:
    assert codes(**big(PixelSpacing=None)) == ["no_pixel_spacing"]
    assert codes(**big(ImageOrientationPatient=None)) == ["no_orientation"]
    assert codes(Rows=64, Columns=20, PixelSpacing=None) == ["no_pixel_spacing", "resampled"]


def test_each_frame_is_checked() -> None:
    found = enhanced(3)
    assert not is_refused(reasons_of(written(found)))
    found.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient = [0, 5000, 0]
    assert is_refused(reasons_of(written(found)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "The slices are 64 x 64 pixels and"),
     (big(PixelSpacing=[0.5, 0.6]), "512 x 512 pixels of 0.5 x 0.6 mm and were resampled to 512 x 512"),
     ({"Rows": 256, "Columns": 300, "PixelSpacing": [0.8, 0.8]}, "256 x 300 pixels and were")],
)  # fmt: skip
def test_resampling_is_noted(changes: dict[str, Any], words: str) -> None:
    (found,) = reasons_of(ct(**changes))
    assert (found.code, found.severity) == ("resampled", "note")
    assert words in found.detail


SIDES = st.one_of(st.integers(1, 300), st.just(512))
SPACINGS_MM = st.floats(-2, 2).map(lambda power: round(10**power, 4))


@settings(max_examples=150, deadline=None)
@given(rows=SIDES, columns=SIDES, row_mm=SPACINGS_MM, column_mm=st.one_of(SPACINGS_MM, st.none()))
def test_a_picture_keeps_its_physical_aspect_or_is_refused(
    rows: int, columns: int, row_mm: float, column_mm: float | None
) -> None:
    spacing = [row_mm, row_mm if column_mm is None else column_mm]
    pixels = np.full((rows, columns), 1024 + 40, "<u2").tobytes()
    file = ct(Rows=rows, Columns=columns, PixelSpacing=spacing, PixelData=pixels)
    with Pipeline(DEFAULT_RECIPE, threads=1) as pipeline:
        (series,) = pipeline.read_headers([file], [len(file)]).series
        shown = pipeline.make_slices([file], np.zeros((1, 2), np.int32)).slices[0, ..., 2] > 0
    if is_refused(series.reasons):
        return
    height, width = (int(shown.any(axis=axis).sum()) for axis in (1, 0))
    assert max(height, width) == 512
    wanted = (rows * spacing[0]) / (columns * spacing[1])
    assert abs(height - wanted * width) <= 0.51 * max(1, wanted) + 0.01
    is_noted = "resampled" in {item.code for item in series.reasons}
    assert is_noted == ((rows, columns) != (512, 512) or (height, width) != (512, 512))
