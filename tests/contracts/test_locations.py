"""The side of blood in phantoms, whose heads are turned and off-centre: from pixels and a map without an error."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.labels import LABELS, SUBTYPES, Label
from services.common.orientation import InPlaneTransform
from services.common.recipe import DEFAULT_RECIPE
from services.common.report_schemas import Location, ReportSlice
from services.common.schemas import SeriesHeader
from services.gateway.assessment import Assessment
from services.gateway.locations import find_locations
from services.gateway.stages.network_requests import BloodRows, Scores
from services.preprocess.pipeline import Pipeline
from tests.scans import ct_slice, picture
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyOptions

GRID: Final = 32
LEFT, RIGHT, MIDDLE = 9_800_006, 9_800_016, 9_800_011  # seeds of haemorrhages in the brain
POSES: Final = ((0.0, 0.0), (22.0, 30.0), (-22.0, -30.0))
TURNS: Final = (
    InPlaneTransform(),
    InPlaneTransform(transpose=True, reverse_columns=True),
    InPlaneTransform(reverse_rows=True, reverse_columns=True),
)


@lru_cache
def study_of(seed: int, yaw_deg: float = 0.0, right_mm: float = 0.0) -> Study:
    """Slices of a phantom whose head is turned in the picture, and moved across it."""
    patient = draw_patient(seed, StudyOptions(kinds=("intraparenchymal",)))
    scan = replace(patient.scan, yaw_deg=yaw_deg, centre_mm=(right_mm, 0.0), pixel_mm=1.05)
    return make_study(replace(patient, scan=scan), range(3, len(scan.position_mm), 2))


def files_of(study: Study, turn: InPlaneTransform = TURNS[0]) -> list[bytes]:
    """The study as stored by a scanner that turns and reverses its pixels."""
    row, column, normal = study.scan.orientation()
    first, second = (column, row) if turn.transpose else (row, column)
    axes = [*(-first if turn.reverse_columns else first), *(-second if turn.reverse_rows else second)]
    return [
        ct_slice(
            index,
            hu=np.ascontiguousarray(
                (hu.T if turn.transpose else hu)[
                    :: -1 if turn.reverse_rows else 1, :: -1 if turn.reverse_columns else 1
                ]
            ),
            ImageOrientationPatient=[round(float(value), 8) for value in axes],
            ImagePositionPatient=[round(float(value), 4) for value in position * normal],
            PixelSpacing=[1.05, 1.05],
        )
        for index, (hu, position) in enumerate(zip(study.hu, study.position_mm, strict=True))
    ]


def located(
    files: Sequence[bytes], masks: NDArray[np.uint8], label: Label = "intraparenchymal", *, orientation: bool = True
) -> Location:
    """The location by a blood map that is the mask itself."""
    with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
        (header,) = pipeline.report_on(files).series
        frames = np.array([(item.file, item.frame) for item in header.items], np.int32)
        evidence = pipeline.make_slices(files, frames, midlines=True).evidence
    if not orientation:
        unmarked = tuple(item.model_copy(update={"marks": None}) for item in header.geometries)
        header = header.model_copy(update={"geometries": unmarked})
    cells = masks.reshape(len(masks), GRID, 256 // GRID, GRID, 256 // GRID, 5).mean(axis=(2, 4)) / 255
    blood = BloodRows(cells.astype("<f4").tobytes(), (GRID, GRID))
    scores = Scores(tuple((0.9,) * 6 for _ in files), (0.9,) * 6, "0" * 64)
    assessment = Assessment(header, (), scores, (), {}, tuple(evidence), None, blood)
    return find_locations(assessment, slices_of(header, masks))[label]


def slices_of(header: SeriesHeader, masks: NDArray[np.uint8]) -> list[ReportSlice]:
    """Slices with the label of their mask."""
    seen = masks.max(axis=(1, 2, 3)) > 200
    return [
        ReportSlice(
            index=index,
            file="",
            sop_instance_uid=None,
            position_mm=position,
            predictions={label: bool(seen[index]) and label in ("any", "intraparenchymal") for label in LABELS},
        )
        for index, position in enumerate(header.position_mm)
    ]


@pytest.mark.parametrize(("yaw_deg", "right_mm"), POSES)
@pytest.mark.parametrize(("seed", "side"), [(LEFT, "left"), (RIGHT, "right"), (MIDDLE, "midline")])
def test_the_side_is_that_of_the_head_wherever_it_lies(seed: int, side: str, yaw_deg: float, right_mm: float) -> None:
    study = study_of(seed, yaw_deg, right_mm)
    found = located(files_of(study), study.masks)
    assert found.side == side
    seen = np.flatnonzero(study.masks.max(axis=(1, 2, 3)) > 200)
    assert (found.first, found.last) == (seen[0], seen[-1])
    assert found.most == study.masks[seen].sum(axis=(1, 2, 3)).argmax() + seen[0]
    slices = f"slices {found.first + 1} to {found.last + 1}" if len(seen) > 1 else f"slice {found.first + 1}"
    assert found.text == f"{side}, {slices}"


@pytest.mark.parametrize("turn", TURNS[1:])
def test_the_side_does_not_depend_on_the_order_of_stored_pixels(turn: InPlaneTransform) -> None:
    study = study_of(RIGHT, *POSES[1])
    assert located(files_of(study, turn), study.masks).side == "right"


def test_blood_on_both_sides_is_said_so() -> None:
    study = study_of(LEFT)
    both = np.maximum(study.masks, study.masks[:, :, ::-1])
    found = located(files_of(study), both, "any")
    assert (found.side, found.text.partition(",")[0]) == ("both", "both sides")


def test_without_an_orientation_or_a_midline_no_side_is_named() -> None:
    study = study_of(LEFT)
    files = files_of(study)
    assert located(files, study.masks, orientation=False).side is None
    seen = int(study.masks.sum(axis=(1, 2, 3)).argmax())
    one = located(files[seen : seen + 1], study.masks[seen : seen + 1])
    assert (one.side, one.text) == (None, "slice 1"), "one slice does not show the head's axis"


def test_a_map_without_blood_has_no_side() -> None:
    study = study_of(LEFT)
    faint = np.zeros_like(study.masks)
    faint[:, 0, 0] = 255  # one pixel of a cell of 64
    found = located(files_of(study), faint)
    assert (found.side, found.most) == (None, None)


def test_pngs_have_no_midline() -> None:
    with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
        (made,) = pipeline.make_slices([picture()], np.zeros((1, 2), np.int32), midlines=True).evidence
    assert made.midline is None


def test_every_subtype_has_its_own_cells() -> None:
    study = study_of(LEFT)
    masks = study.masks.copy()
    masks[..., SUBTYPES.index("epidural")] = study.masks[:, :, ::-1, SUBTYPES.index("intraparenchymal")]
    assert located(files_of(study), masks).side == "left"
