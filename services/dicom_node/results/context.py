"""Everything that the result objects of one assessment are built of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from services.common.report_schemas import Report
from services.dicom_node.kinds import Kind


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """The instance, and the frame from 0 of a multi-frame instance, of one row of the report."""

    path: Path
    sop_instance_uid: str
    sop_class_uid: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A stored SOP instance, such as the SR of an earlier assessment."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class ResultContext:
    """One assessment of one series, by the original UIDs of the received instances.

    seed : names the assessment; UIDs of result objects derive from it
    number : of the assessment of this series, from 1; a later one replaces the earlier ones
    report : as the gateway answered; where it failed, a report that is not assessed with the problem as its reason
    slices : in the order of `report.slices`; empty where the report has none
    instances : all received instances of the series, one path each
    header : the first instance without its pixels; patient and study modules are copied from it
    blood : (n, rows, columns, 5) float32 from 0 to 1 on the picture's grid, a row a slice; None where there is none
    geometry : of each slice, from the gateway: maps the picture to the source grid
    key_images : (512, 512, 3) uint8 pictures of key slices by `index`, the recipe's windows as channels
    warnings : of the node, such as a series that timed out before it was complete; they stand beside the reasons
    device_serial_number : of the node, made once
    first_series_number : SeriesNumber of the first kind; the others follow
    built : objects of this assessment that are built already, by kind; later ones may refer to them
    """

    seed: str
    number: int
    created: datetime
    report: Report
    slices: tuple[SourceSlice, ...]
    instances: tuple[Path, ...]
    header: Dataset
    blood: NDArray[np.float32] | None = None
    geometry: tuple[Any, ...] = ()
    key_images: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    predecessor: ObjectReference | None = None
    device_serial_number: str = "1"
    first_series_number: int = 9001
    built: Mapping[Kind, tuple[ObjectReference, ...]] = field(default_factory=dict)
