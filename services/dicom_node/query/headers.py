"""Headers of series by the values that a peer answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Final

from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.query.peer_query import FoundSeries
from services.dicom_node.software import SOFTWARE

Values = Mapping[str, Sequence[str]]  # by keyword; without entries that are absent or empty
_ORIENTATION_VALUES: Final = 6


def found_series(study_instance_uid: str, values: Values) -> FoundSeries:
    """A series by the answer of its level."""
    header = InstanceHeader(
        study_instance_uid=study_instance_uid,
        series_instance_uid=_text(values, "SeriesInstanceUID"),
        sop_instance_uid="",
        sop_class_uid="",
        transfer_syntax_uid="",
        modality=_text(values, "Modality").upper(),
        body_part_examined=_text(values, "BodyPartExamined").upper(),
        study_description=_text(values, "StudyDescription"),
        series_description=_text(values, "SeriesDescription"),
        protocol_name=_text(values, "ProtocolName"),
        software=SOFTWARE if _text(values, "ManufacturerModelName") == SOFTWARE else "",
    )
    return FoundSeries(header, _integer(values, "NumberOfSeriesRelatedInstances"))


def with_instance(found: FoundSeries, values: Values) -> FoundSeries:
    """The series with attributes of one instance."""
    orientation = _numbers(values, "ImageOrientationPatient")
    header = replace(
        found.header,
        sop_instance_uid=_text(values, "SOPInstanceUID"),
        sop_class_uid=_text(values, "SOPClassUID"),
        instance_number=_integer(values, "InstanceNumber"),
        number_of_frames=_integer(values, "NumberOfFrames") or 1,
        image_type=tuple(part.strip().upper() for part in values.get("ImageType", ())),
        convolution_kernel=_text(values, "ConvolutionKernel"),
        slice_thickness_mm=next(iter(_numbers(values, "SliceThickness")), None),
        image_orientation=orientation if len(orientation) == _ORIENTATION_VALUES else None,
    )
    return FoundSeries(header, found.instances)


def _text(values: Values, keyword: str) -> str:
    return next(iter(values.get(keyword, ())), "").strip()


def _integer(values: Values, keyword: str) -> int | None:
    text = _text(values, keyword)
    return int(text) if text.isascii() and text.isdigit() else None


def _numbers(values: Values, keyword: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in values.get(keyword, ()))
    except ValueError:
        return ()
    return found if all(map(isfinite, found)) else ()
