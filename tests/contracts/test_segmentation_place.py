"""The segmentation of a phantom lies in its painted haemorrhage, in patient coordinates.

All stages are real, with the networks of the repository: preprocess, cnn, rnn, report, segmentation. The sources are
oblique, padded and not square, and stored in several orientations. Patient coordinates come from the segmentation's
own plane positions.
"""

import base64
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from highdicom.seg import segread
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from services.common.report_schemas import Report
from services.dicom_node.results.context import ResultContext, SourceSlice
from services.dicom_node.results.segmentation import build_segmentations
from tests.contracts.test_blood_place import (  # noqa: F401 - fixtures
    Source,
    anyio_backend,
    apps,
    bundle,
    client,
    source_of,
    study,
)
from training.phantom.study import Study

pytestmark = pytest.mark.anyio

TURNS: Final = tuple(product((False, True), repeat=3))
NEAR_MM: Final = 1.5  # half a cell of the map is 4 mm


def centre_mm(frames: Sequence[tuple[NDArray[Any], Dataset]], *, spacing: Any) -> NDArray[np.float64]:
    """The centre of mass in patient coordinates of weights (rows, columns), by PS3.3 C.7.6.2.1.1.

    Parameters
    ----------
    frames : weights, and a data set with ImagePositionPatient and ImageOrientationPatient
    """
    total, weighted = 0.0, np.zeros(3)
    for weights, place in frames:
        rows, columns = np.indices(weights.shape)
        along_row, along_column = np.array(place.ImageOrientationPatient, float).reshape(2, 3)
        steps = (weights * columns).sum() * spacing[1] * along_row + (weights * rows).sum() * spacing[0] * along_column
        weighted += weights.sum() * np.array(place.ImagePositionPatient, float) + steps
        total += float(weights.sum())
    return weighted / total


def result_context(folder: Path, source: Source, report: Report) -> ResultContext:
    """As the node makes it of a report whose files it named."""
    for name, content in source.files.items():
        (folder / name).write_bytes(content)
    headers = {name: dcmread(io.BytesIO(content), stop_before_pixels=True) for name, content in source.files.items()}
    slices = tuple(
        SourceSlice(folder / item.file, headers[item.file].SOPInstanceUID, headers[item.file].SOPClassUID)
        for item in report.slices
    )
    assert report.blood
    assert report.blood.data
    return ResultContext(
        seed="1",
        number=1,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        report=report,
        slices=slices,
        instances=tuple(item.path for item in slices),
        header=next(iter(headers.values())),
        blood=np.frombuffer(base64.b64decode(report.blood.data), "<f4").reshape(report.blood.shape),
        geometry=tuple(item.geometry for item in report.slices),
    )


@pytest.mark.parametrize("turn", [TURNS[0], TURNS[3], TURNS[6]], ids=str)
async def test_a_segmentation_lies_in_the_painted_haemorrhage(
    client: httpx.AsyncClient,  # noqa: F811
    study: Study,  # noqa: F811
    turn: tuple[bool, bool, bool],
    tmp_path: Path,
) -> None:
    source = source_of(study, turn)
    files = [("files", item) for item in source.files.items()]
    answer = await client.post("/v1/predictions", files=files, params={"blood": True})
    context = result_context(tmp_path, source, Report.model_validate_json(answer.content))
    (made,) = build_segmentations(context)
    assert isinstance(made.content, Dataset)
    file = io.BytesIO()
    made.content.save_as(file, enforce_file_format=True)
    segmentation = segread(io.BytesIO(file.getvalue()))
    assert [item.SegmentLabel for item in segmentation.SegmentSequence] == ["intraparenchymal"]

    shared = segmentation.SharedFunctionalGroupsSequence[0]
    places = [group.PlanePositionSequence[0] for group in segmentation.PerFrameFunctionalGroupsSequence]
    for place in places:
        place.ImageOrientationPatient = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    masks = np.atleast_3d(segmentation.pixel_array).reshape(len(places), segmentation.Rows, segmentation.Columns)
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    found = centre_mm(list(zip(masks, places, strict=True)), spacing=spacing)

    headers = [dcmread(io.BytesIO(content), stop_before_pixels=True) for content in source.files.values()]
    painted = centre_mm(list(zip(source.blood, headers, strict=True)), spacing=headers[0].PixelSpacing)
    assert np.linalg.norm(found - painted) < NEAR_MM
    assert blood_at(found, source, headers) > 0


def blood_at(point_mm: NDArray[np.float64], source: Source, headers: Sequence[Dataset]) -> float:
    """The painted share of blood at a point, in the nearest slice."""
    along_row, along_column = np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    offsets = [point_mm - np.array(header.ImagePositionPatient, float) for header in headers]
    nearest = int(np.argmin([abs(offset @ normal) for offset in offsets]))
    row = round(offsets[nearest] @ along_column / headers[0].PixelSpacing[0])
    column = round(offsets[nearest] @ along_row / headers[0].PixelSpacing[1])
    return float(source.blood[nearest][row, column])
