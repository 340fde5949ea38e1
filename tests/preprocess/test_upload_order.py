"""Sixty synthetic series, tilted, turned, duplicated and shuffled, are ordered independently of the upload order."""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, radians, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.schemas import HeadersReport, SeriesHeader
from services.preprocess.pipeline import Pipeline
from tests.preprocess.dicom_files import ct, signed, written

HEAD_BYTES = 900
Numbering = st.sampled_from(["upwards", "downwards", "none", "all the same"])
# Directions of rows and columns: supine, prone, mirrored, turned by 90 degrees; seen from the feet or from the head.
PLANES = ((1, 1), (-1, -1), (1, -1), (-1, 1))


@dataclass(frozen=True)
class Scan:
    """Parameters of a series. Levels count from the feet; `copies` are levels that occur twice."""

    levels: int
    step_mm: float
    start_mm: float
    tilt_degrees: float
    plane: tuple[int, int]
    shift_mm: float
    numbering: str
    copies: tuple[int, ...]


SCANS = st.builds(
    Scan,
    levels=st.integers(1, 12),
    step_mm=st.floats(0.4, 12),
    start_mm=st.floats(-1500, 1500),
    tilt_degrees=st.floats(-30, 30),
    plane=st.sampled_from(PLANES),
    shift_mm=st.floats(-3, 3),
    numbering=Numbering,
    copies=st.lists(st.integers(0, 11), max_size=3).map(tuple),
)


@lru_cache(maxsize=64)
def files_of(scan: Scan) -> tuple[bytes, ...]:
    """From the feet to the head; the last number of each SOPInstanceUID is the level."""
    levels = sorted([*range(scan.levels), *(copy for copy in scan.copies if copy < scan.levels)])
    return tuple(_file(scan, level, copy) for copy, level in enumerate(levels))


def _file(scan: Scan, level: int, copy: int) -> bytes:
    angle, (row, column) = radians(scan.tilt_degrees), scan.plane
    orientation = [row, 0, 0, 0, round(column * cos(angle), 6), round(-column * sin(angle), 6)]
    z = round(scan.start_mm + level * scan.step_mm, 4)
    shift = level * scan.shift_mm  # within the plane: it moves a slice, but not along the normal
    place = [round(-125 + shift, 4), -125, z]
    number = {"upwards": level, "downwards": 900 - level, "none": None, "all the same": 1}[scan.numbering]
    return ct(
        ImagePositionPatient=place,
        ImageOrientationPatient=orientation,
        InstanceNumber=number,
        SeriesInstanceUID=f"1.2.{scan.levels}",
        SOPInstanceUID=f"1.2.{scan.levels}.{copy}.{level}",
    )


def arranged(files: list[bytes]) -> HeadersReport:
    """From the first bytes of files, as the gateway sends them."""
    return Pipeline.read_headers([file[:HEAD_BYTES] for file in files], list(map(len, files)))


def levels_of(found: SeriesHeader) -> list[int]:
    return [int((item.sop_instance_uid or "").split(".")[-1]) for item in found.items]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(scan=SCANS, data=st.data())
def test_sixty_series_are_ordered_headwards(scan: Scan, data: st.DataObject) -> None:
    files = list(files_of(scan))
    order = data.draw(st.permutations(range(len(files))))
    (found,) = arranged([files[index] for index in order]).series
    levels = levels_of(found)
    assert levels == sorted(levels)
    assert len(found.items) == len(files)
    spacing_mm = scan.step_mm * cos(radians(scan.tilt_degrees))
    assert found.position_mm == pytest.approx([level * spacing_mm for level in levels], abs=0.01)
    assert [order[item.file] for item in found.items] == [files.index(files[order[item.file]]) for item in found.items]
    copies = len(files) - scan.levels
    possible = {"duplicate_positions", "several_stacks"} if scan.levels > 1 else {"no_position", "no_order"}
    warned = {reason.code for reason in found.reasons} & possible
    assert bool(warned) == (copies > 0)


def test_files_with_equal_uids_are_distinguished_by_position() -> None:
    files = [
        ct(ImagePositionPatient=place, ImageOrientationPatient=orientation)
        for place in ([0, 0, 0], [0, 0, 5])
        for orientation in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0.9, -0.43])
    ]
    one, other = arranged(files).series[0], arranged(files[::-1]).series[0]
    assert one.position_mm == other.position_mm
    assert [item.file for item in one.items] == [3 - item.file for item in other.items]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(scans=st.lists(SCANS, min_size=1, max_size=2, unique_by=lambda scan: scan.levels), data=st.data())
def test_the_upload_order_never_matters(scans: list[Scan], data: st.DataObject) -> None:
    files = [file for scan in scans for file in files_of(scan)] + [b"text", written(signed(Modality="MR"))]
    order = data.draw(st.permutations(range(len(files))))
    before, after = arranged(files), arranged([files[index] for index in order])
    assert [series.model_copy(update={"items": ()}) for series in before.series] == [
        series.model_copy(update={"items": ()}) for series in after.series
    ]
    for one, other in zip(before.series, after.series, strict=True):
        same = [files[item.file] for item in one.items]
        assert same == [files[order[item.file]] for item in other.items]
    aside = sorted((order[item.file], item.code) for item in after.set_aside)
    assert aside == sorted((item.file, item.code) for item in before.set_aside)


BROKEN = st.sampled_from(["missing", "all the same", "missing in one"])
LOCATIONS = st.sampled_from(["given", "none", "all the same", "missing in one"])


def file_without_order(level: int, positions: str, locations: str, numbers: str) -> bytes:
    """A slice of a series with broken ImagePositionPatient; its UID descends as its level ascends."""
    whole = level > 0
    place = [-125, -125, 5 * level] if positions == "missing in one" and whole else None
    location = {"given": 2.5 * level, "none": None, "all the same": 7, "missing in one": level if whole else None}
    number = {"upwards": level, "none": None, "all the same": 1, "downwards": 900 - level}
    return ct(
        ImagePositionPatient=[0, 0, 0] if positions == "all the same" else place,
        SliceLocation=location[locations],
        InstanceNumber=number[numbers],
        SliceThickness=4,
        SOPInstanceUID=f"1.2.3.{99 - level}.{level}",
    )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(positions=BROKEN, locations=LOCATIONS, numbers=Numbering, levels=st.integers(2, 9), data=st.data())
def test_broken_positions_use_a_substitute_or_are_refused(
    positions: str, locations: str, numbers: str, levels: int, data: st.DataObject
) -> None:
    files = [file_without_order(level, positions, locations, numbers) for level in range(levels)]
    order = data.draw(st.permutations(range(levels)))
    (found,) = arranged([files[index] for index in order]).series
    details = {reason.code: reason.detail for reason in found.reasons}
    by_number = numbers in ("upwards", "downwards")
    if locations == "given":
        assert levels_of(found) == list(range(levels))
        assert found.position_mm == tuple(2.5 * level for level in range(levels))
        assert "ordered by SliceLocation" in details["no_position"]
    elif by_number:
        upwards = list(range(levels))
        assert levels_of(found) == (upwards if numbers == "upwards" else upwards[::-1])
        assert found.position_mm == tuple(4 * level for level in range(levels))
        assert "ordered by InstanceNumber times 4 mm (SliceThickness)" in details["no_position"]
    else:
        assert "no_position" not in details
    assert ("no_order" in details) == (locations != "given" and not by_number)
    assert [order[item.file] for item in found.items] == [item.file for item in arranged(files).series[0].items]
