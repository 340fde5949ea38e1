"""A slice gives one picture, independent of the stored order of rows and columns."""

from functools import lru_cache
from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from services.common.orientation import IDENTITY
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.dicom_file import open_dicom
from services.preprocess.pipeline import Pipeline, Slices
from tests.preprocess.dicom_files import AXIAL, COMPRESSED, all_eight, compressed, dataset, enhanced, written


@lru_cache
def lopsided_hu(rows: int, columns: int) -> NDArray[np.int16]:
    """A head with a bright spot at its left front: its eight orders all differ."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    radius = np.hypot(x, y)
    hu = np.where(radius < 0.6, 33, np.where(radius < 0.7, 1000, -1000))
    hu[(x > 0.2) & (x < 0.4) & (y < -0.1) & (y > -0.2)] = 75
    return hu.astype(np.int16)


def slice_of(rows: int, columns: int, spacing_mm: tuple[float, float], **changes: object) -> Dataset:
    pixels = (lopsided_hu(rows, columns) + 1024).astype("<u2").tobytes()
    return dataset(Rows=rows, Columns=columns, PixelSpacing=list(spacing_mm), PixelData=pixels, **changes)


def made(files: list[bytes]) -> Slices:
    with Pipeline(DEFAULT_RECIPE, threads=1) as pipeline:
        return pipeline.make_slices(files, np.array([(file, 0) for file in range(len(files))], np.int32))


SHAPES = [(512, 512, (0.5, 0.5)), (256, 256, (0.9, 0.9)), (200, 300, (0.9, 0.8)), (512, 512, (0.4, 0.5))]


@pytest.mark.parametrize(("rows", "columns", "spacing_mm"), SHAPES)
def test_all_eight_orders_give_the_same_bytes(rows: int, columns: int, spacing_mm: tuple[float, float]) -> None:
    files = [written(each) for each in all_eight(slice_of(rows, columns, spacing_mm))]
    assert len(set(files)) == 8
    found = made(files)
    assert (found.slices == found.slices[0]).all()
    assert all(evidence == found.evidence[0] for evidence in found.evidence)


@settings(max_examples=25, deadline=None)
@given(
    tilt=st.floats(-30, 30),
    turn=st.floats(-40, 40),
    rows=st.integers(40, 90),
    columns=st.integers(40, 90),
    spacing_mm=st.tuples(st.floats(2.5, 4), st.floats(2.5, 4)),
)
def test_tilted_slices_of_any_shape(
    tilt: float, turn: float, rows: int, columns: int, spacing_mm: tuple[float, float]
) -> None:
    angle, across = radians(tilt), radians(turn)
    row = cos(across), sin(across) * cos(angle), -sin(across) * sin(angle)
    column = -sin(across), cos(across) * cos(angle), -cos(across) * sin(angle)
    orientation = [round(value, 6) for value in (*row, *column)]
    rounded = round(spacing_mm[0], 4), round(spacing_mm[1], 4)
    found = made(
        [written(each) for each in all_eight(slice_of(rows, columns, rounded, ImageOrientationPatient=orientation))]
    )
    assert (found.slices == found.slices[0]).all()


def test_the_standard_orientation_is_unchanged() -> None:
    stored = slice_of(64, 80, (3.0, 2.5))
    image = open_dicom(written(stored)).decode(0)
    assert image.transform == IDENTITY
    assert (image.hu == lopsided_hu(64, 80)).all()
    assert (image.row_spacing_mm, image.column_spacing_mm) == (3.0, 2.5)


def test_spacings_follow_a_transposition() -> None:
    for stored in all_eight(slice_of(64, 80, (3.0, 2.5))):
        image = open_dicom(written(stored)).decode(0)
        assert (image.hu == lopsided_hu(64, 80)).all()
        assert image.hu.flags.c_contiguous
        assert (image.row_spacing_mm, image.column_spacing_mm) == (3.0, 2.5)


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_slices(syntax: str) -> None:
    plain, *_, turned = all_eight(slice_of(64, 80, (3.0, 2.5)))
    assert (open_dicom(compressed(turned, syntax)).decode(0).hu == open_dicom(written(plain)).decode(0).hu).all()


def test_each_frame_has_its_own_orientation() -> None:
    found = enhanced(2, Rows=64, Columns=64)
    frames = [slice_of(64, 64, (3.0, 3.0)), all_eight(slice_of(64, 64, (3.0, 3.0)))[3]]
    found.PixelData = b"".join(frame.PixelData for frame in frames)
    for group, frame in zip(found.PerFrameFunctionalGroupsSequence, frames, strict=True):
        plane = Dataset()
        plane.ImageOrientationPatient = frame.ImageOrientationPatient
        group.PlaneOrientationSequence = Sequence([plane])
        (rescale,) = group.PixelValueTransformationSequence
        rescale.RescaleSlope, rescale.RescaleIntercept = 1, -1024
    opened = open_dicom(written(found))
    assert opened.header.frames[1].image_orientation != AXIAL
    assert (opened.decode(1).hu == opened.decode(0).hu).all()


def test_a_series_is_ordered_headwards_for_any_stored_order() -> None:
    for order in range(8):
        stored = [
            all_eight(slice_of(64, 64, (3.0, 3.0), ImagePositionPatient=[-96, -96, z], SOPInstanceUID=f"1.2.3.{z}"))[
                order
            ]
            for z in (10, 0, 5)
        ]
        files = [written(each) for each in stored]
        (series,) = Pipeline.read_headers(files, list(map(len, files))).series
        assert [item.file for item in series.items] == [1, 2, 0]
        assert series.position_mm == (0, 5, 10)
