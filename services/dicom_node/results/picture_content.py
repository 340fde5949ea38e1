"""The content of result pictures, from an assessment."""

from collections.abc import Mapping
from typing import Final

from services.common.labels import LABELS, Label
from services.common.orientation import is_axial, is_orthonormal
from services.common.recipe import DEFAULT_RECIPE
from services.common.version import VERSION
from services.dicom_node.results.blood_map import blood_cells, geometry_of, shown_labels
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.object_frame import created_at
from services.dicom_node.results.result_picture import Bar, ResultPicture
from services.dicom_node.results.source_grid import turned_shape
from services.dicom_node.results.source_planes import SourcePlane
from services.dicom_node.software import SOFTWARE

NOTHING_PRESENT: Final = "No label is present in the series. This does not exclude a haemorrhage."


def describe_key_slice(context: ResultContext, plane: SourcePlane, number: int, count: int) -> ResultPicture:
    """A key slice with its heat map.

    Parameters
    ----------
    number, count : of the key slice among those shown, from 1
    """
    labels = shown_labels(context)
    has_blood = context.blood is not None
    return ResultPicture(
        title=f"Key slice {number} of {count}: {', '.join(labels)}",
        bars=_bars(context, plane.index),
        footer=(_place(context, plane), *_origin(context)),
        warnings=_warnings(context),
        pixels=context.key_images[plane.index],
        has_recipe=context.report.model.recipe == DEFAULT_RECIPE.fingerprint,
        blood={label: blood_cells(context, plane.index, label) for label in labels} if has_blood else {},
        pixel_mm=_pixel_mm(context, plane),
        is_oriented=bool(plane.orientation) and is_orthonormal(plane.orientation) and is_axial(plane.orientation),
    )


def describe_result(context: ResultContext) -> ResultPicture:
    """The result in words."""
    report = context.report
    if report.status == "not_assessed":
        reasons = [item.detail for item in report.reasons if item.severity == "refuse"]
        title, message = "The series was not assessed", tuple(reasons)
    elif report.key_slices:
        title, message = "Assessed", ("The pictures of the key slices are missing.", *report.findings)
    else:
        title, message = "Assessed: no label is present", (NOTHING_PRESENT,)
    return ResultPicture(
        title=title,
        bars=_bars(context, None),
        footer=(_extent(context), *_origin(context)),
        warnings=_warnings(context),
        message=message,
    )


def _bars(context: ResultContext, index: int | None) -> Mapping[Label, Bar]:
    report = context.report
    series = report.series
    if series is None or series.probabilities is None or series.predictions is None:
        return {}
    own = None if index is None else report.slices[index].probabilities
    return {
        label: Bar(
            series=series.probabilities[label],
            threshold=report.thresholds.series[label],
            present=series.predictions[label],
            slice=None if own is None else own[label],
        )
        for label in LABELS
    }


def _place(context: ResultContext, plane: SourcePlane) -> str:
    """The slice by its number in the report, its number at the scanner and its position."""
    item = context.report.slices[plane.index]
    parts = [f"Slice {plane.index + 1} of {len(context.report.slices)}"]
    if plane.source.frame is not None:
        parts.append(f"frame {plane.source.frame + 1}")
    elif plane.instance_number is not None:
        parts.append(f"image {plane.instance_number}")
    parts.append(f"position {item.position_mm:.1f} mm")
    return ", ".join([*parts, *([] if item.slab is None else [f"slab {item.slab + 1}"])])


def _extent(context: ResultContext) -> str:
    count = len(context.instances)
    return f"{count} instance{'' if count == 1 else 's'} of the series"


def _origin(context: ResultContext) -> tuple[str, ...]:
    report = context.report
    return (
        f"Model {report.model.name} ({report.model.sha256[:12]}), {SOFTWARE} {report.version or VERSION}",
        f"{created_at(context):%Y-%m-%d %H:%M}, operating point: {report.thresholds.operating_point}",
    )


def _warnings(context: ResultContext) -> tuple[str, ...]:
    return (*context.warnings, *(item.detail for item in context.report.reasons if item.severity == "warn"))


def _pixel_mm(context: ResultContext, plane: SourcePlane) -> float | None:
    """Size of a pixel of the picture; scaling keeps the slice's proportions, so rows and columns agree."""
    if not plane.spacing_mm or plane.index >= len(context.geometry) or context.geometry[plane.index] is None:
        return None
    geometry = geometry_of(context, plane.index)
    row_mm = plane.spacing_mm[1 if geometry.transpose else 0]
    return row_mm * turned_shape(geometry)[0] / geometry.height
