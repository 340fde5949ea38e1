"""The blood map of an assessment on the pixels of its source frames, and the labels that result images show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.labels import SUBTYPES, Label
from services.common.slice_geometry import SliceGeometry
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.omitted import Omitted
from services.dicom_node.results.source_grid import to_source_grid
from services.dicom_node.results.source_planes import SourcePlane, group_by_grid, read_source_planes

BLOOD_THRESHOLD: Final = 0.5


def shown_labels(context: ResultContext) -> tuple[Label, ...]:
    """The subtypes that the report says are present in the series; `any` where it is, but no subtype."""
    series = context.report.series
    predictions: Mapping[Label, bool] = {} if series is None else series.predictions or {}
    present = tuple(label for label in SUBTYPES if predictions.get(label))
    return present or (("any",) if predictions.get("any") else ())


def blood_cells(context: ResultContext, index: int, label: Label) -> NDArray[np.float32]:
    """(rows, columns) float32 on the picture's grid of one slice; `any` is the largest value of all subtypes.

    Parameters
    ----------
    index : of the slice in the report. A slice of a slab has the cells of the slab.

    Raises
    ------
    Omitted
        the report has no blood map
    """
    blood = context.blood
    if blood is None:
        raise Omitted("The report has no blood map.")
    row = index if len(blood) == len(context.slices) else context.report.slices[index].blood_row
    cells: NDArray[np.float32] = blood[row].max(axis=-1) if label == "any" else blood[row, ..., SUBTYPES.index(label)]
    return cells


def blood_on_source(context: ResultContext, index: int, label: Label) -> NDArray[np.float32]:
    """(rows, columns) float32 on the stored pixels of the slice's frame."""
    return to_source_grid(blood_cells(context, index, label), geometry_of(context, index))


def geometry_of(context: ResultContext, index: int) -> SliceGeometry:
    geometry: SliceGeometry = context.geometry[index]
    return geometry


@dataclass(frozen=True, slots=True)
class MappedSlices:
    """The slices that a map can be placed on, by grid, and the number of the others."""

    grids: Sequence[Sequence[SourcePlane]]
    left_out: int

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the result must know."""
        count = f"{self.left_out} slice{'' if self.left_out == 1 else 's'}"
        return (f"{count} without position or mapping left out.",) if self.left_out else ()


def mapped_slices(context: ResultContext) -> MappedSlices:
    """The slices with a position, and with the gateway's mapping for the frame that was received.

    Raises
    ------
    Omitted
        there is none
    """
    planes = read_source_planes(context)
    grids = group_by_grid([plane for plane in planes if is_mapped(context, plane)])
    if not grids:
        raise Omitted("No slice has a position, an orientation, a spacing and a mapping from the picture.")
    return MappedSlices(grids, len(planes) - sum(map(len, grids)))


def is_mapped(context: ResultContext, plane: SourcePlane) -> bool:
    """Whether the gateway stated the slice's mapping, for the frame that was received."""
    geometry = context.geometry[plane.index] if plane.index < len(context.geometry) else None
    return geometry is not None and (geometry.rows, geometry.columns) == (plane.rows, plane.columns)
