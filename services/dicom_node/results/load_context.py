"""Reads the folder of an assessment into the context that builders take."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread

from services.common.report_schemas import Report
from services.dicom_node import assessment_folder
from services.dicom_node.assessment_folder import AssessmentContext, AssessmentFolder
from services.dicom_node.results.context import ObjectReference, ResultContext, SourceSlice


def load_context(folder: AssessmentFolder) -> ResultContext:
    """The context of the assessment in the folder.

    Raises
    ------
    OSError
        a file is missing
    ValueError
        a file is not as `assessment_folder.py` describes it
    """
    stored = folder.read_context()
    report = Report.model_validate_json(folder.report_file.read_bytes())
    return ResultContext(
        seed=stored.seed,
        number=stored.number,
        created=stored.created,
        report=report,
        slices=_slices(folder, stored),
        instances=tuple(folder.data_dir / path for path in stored.instances),
        header=_header(folder.data_dir / stored.header),
        blood=_blood(folder, report),
        geometry=tuple(one.geometry for one in report.slices),
        key_images=_key_images(folder, stored.key_images),
        warnings=stored.warnings,
        predecessor=_predecessor(stored),
        device_serial_number=stored.settings.device_serial_number,
        first_series_number=stored.settings.first_series_number,
    )


def _slices(folder: AssessmentFolder, stored: AssessmentContext) -> tuple[SourceSlice, ...]:
    return tuple(
        SourceSlice(folder.data_dir / one.path, one.sop_instance_uid, one.sop_class_uid, one.frame)
        for one in stored.slices
    )


def _header(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True, force=True)


def _blood(folder: AssessmentFolder, report: Report) -> NDArray[np.float32] | None:
    """The blood map, in the file's pages: a row is read where a builder needs it."""
    if report.blood is None or not folder.blood_file.is_file():
        return None
    return np.memmap(folder.blood_file, dtype="<f4", mode="r", shape=report.blood.shape)


def _key_images(folder: AssessmentFolder, indices: Sequence[int]) -> Mapping[int, NDArray[np.uint8]]:
    return {index: _picture(folder.key_image(index)) for index in indices}


def _picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def _predecessor(stored: AssessmentContext) -> ObjectReference | None:
    before: assessment_folder.ObjectReference | None = stored.predecessor
    return None if before is None else ObjectReference(**before.model_dump())
