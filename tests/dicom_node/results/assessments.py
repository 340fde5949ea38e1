"""Contexts of result objects for tests, from files as a scanner writes them."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from services.common.labels import LABELS, Label
from services.common.recipe import DEFAULT_RECIPE
from services.common.report_schemas import (
    Report,
    ReportModel,
    ReportSeries,
    ReportSlice,
    ReportThresholds,
    Timings,
)
from services.dicom_node.results.context import ResultContext, SourceSlice
from services.preprocess.header_reader import read_header
from services.preprocess.slice_geometry import slice_geometry
from services.preprocess.windowing import apply_windows
from tests.scans import head

EMPTY = np.zeros((32, 32, 5), np.float32)


def assessment(
    folder: Path,
    files: Sequence[bytes],
    *,
    blood: NDArray[np.float32] | None = None,
    present: Mapping[Label, float] | None = None,
    key_slices: tuple[int, ...] = (),
    slabs: Sequence[int] | None = None,
) -> ResultContext:
    """An assessment of files whose frames are in anatomical order, with the geometry that preprocess states.

    Parameters
    ----------
    present : probabilities above 0.5 of labels that are present in the series; others have 0.1
    """
    sources, geometries = [], []
    for number, content in enumerate(files):
        path = folder / f"{number:03d}.dcm"
        path.write_bytes(content)
        header = read_header(content, len(content))
        data = dcmread(io.BytesIO(content), stop_before_pixels=True)
        several = "NumberOfFrames" in data
        for frame, values in enumerate(header.frames):
            sources.append(SourceSlice(path, data.SOPInstanceUID, data.SOPClassUID, frame if several else None))
            geometries.append(slice_geometry(header.rows, header.columns, values))
    first = dcmread(io.BytesIO(files[0]), stop_before_pixels=True)
    report = _report(first, len(sources), present or {}, key_slices, slabs)
    report = report.model_copy(
        update={
            "slices": tuple(
                item.model_copy(update={"geometry": geometry})
                for item, geometry in zip(report.slices, geometries, strict=True)
            )
        }
    )
    return ResultContext(
        seed="node 1 series 1",
        number=1,
        created=datetime(2026, 11, 28, 12, 0, tzinfo=UTC),
        report=report,
        slices=tuple(sources),
        instances=tuple(sorted(folder.glob("*.dcm"))),
        header=first,
        blood=blood,
        geometry=tuple(geometries),
        key_images={index: apply_windows(head(), DEFAULT_RECIPE) for index in key_slices},
    )


def _report(
    first: Dataset,
    count: int,
    present: Mapping[Label, float],
    key_slices: tuple[int, ...],
    slabs: Sequence[int] | None,
) -> Report:
    probabilities: dict[Label, float] = dict.fromkeys(LABELS, 0.1) | dict(present)
    predictions = {label: value > 0.5 for label, value in probabilities.items()}
    predictions["any"] = any(predictions.values())
    values: dict[str, Any] = {"probabilities": probabilities, "predictions": predictions}
    half = dict.fromkeys(LABELS, 0.5)
    return Report(
        id="1",
        status="assessed",
        created="2026-11-28T12:00:00Z",
        version="0.4.0",
        reasons=(),
        series=ReportSeries(
            study_instance_uid=first.StudyInstanceUID,
            series_instance_uid=first.SeriesInstanceUID,
            slices=count,
            **values,
        ),
        slices=tuple(
            ReportSlice(
                index=index,
                file=f"{index + 1:05d}.dcm",
                sop_instance_uid=None,
                position_mm=5.0 * index,
                slab=slabs[index] if slabs else None,
                **values,
            )
            for index in range(count)
        ),
        findings=(),
        key_slices=key_slices,
        model=ReportModel(name="default", sha256="ab" * 32, recipe=DEFAULT_RECIPE.fingerprint),
        thresholds=ReportThresholds(operating_point="default", slice=half, series=half),
        timings_ms=Timings(upload=0, preprocess=0, cnn=0, rnn=0, total=0),
        disclaimer="Research software, not a medical device.",
    )
