"""Builds all result objects of an assessment: one kind after the other, images before the documents that refer to them.

A kind that fails does not hold up the others: `objects/index.json` notes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydicom import Dataset

from services.dicom_node.assessment_folder import FailedKind, OmittedKind
from services.dicom_node.kinds import Kind
from services.dicom_node.results.context import ObjectReference, ResultContext
from services.dicom_node.results.fhir import build_fhir
from services.dicom_node.results.key_objects import build_key_objects
from services.dicom_node.results.omitted import Omitted
from services.dicom_node.results.parametric_map import build_parametric_maps
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.secondary_capture import build_secondary_captures
from services.dicom_node.results.segmentation import build_segmentations
from services.dicom_node.results.structured_report import build_structured_report
from services.dicom_node.results.text_report import build_text_report

Builder = Callable[[ResultContext], Sequence[ResultObject]]
BUILDERS: Final[Mapping[Kind, Builder]] = {
    "segmentation": build_segmentations,
    "key_objects": build_key_objects,
    "sr": build_structured_report,
    "text_sr": build_text_report,
    "secondary_capture": build_secondary_captures,
    "fhir": build_fhir,
    "parametric_map": build_parametric_maps,
}
_ORDER: Final[tuple[Kind, ...]] = (
    "segmentation",
    "secondary_capture",
    "parametric_map",
    "key_objects",
    "sr",
    "text_sr",
    "fhir",
)


@dataclass(slots=True)
class Built:
    """The objects of an assessment, and the kinds without one."""

    objects: list[ResultObject] = field(default_factory=list)
    failed: list[FailedKind] = field(default_factory=list)
    omitted: list[OmittedKind] = field(default_factory=list)


def build_objects(context: ResultContext, kinds: Sequence[Kind], builders: Mapping[Kind, Builder] = BUILDERS) -> Built:
    """Build the objects of these kinds."""
    built = Built()
    for kind in sorted(kinds, key=_ORDER.index):
        _build_kind(replace(context, built=_references(built.objects)), kind, builders, built)
    return built


def _build_kind(context: ResultContext, kind: Kind, builders: Mapping[Kind, Builder], built: Built) -> None:
    try:
        built.objects.extend(builders[kind](context))
    except Omitted as nothing:
        built.omitted.append(OmittedKind(kind=kind, reason=str(nothing)))
    except Exception as error:  # noqa: BLE001 - any fault of one kind; the index names its class
        built.failed.append(FailedKind(kind=kind, code=type(error).__name__))


def _references(objects: Sequence[ResultObject]) -> Mapping[Kind, tuple[ObjectReference, ...]]:
    found: dict[Kind, tuple[ObjectReference, ...]] = {}
    for one in objects:
        if isinstance(one.content, Dataset):
            found[one.kind] = (*found.get(one.kind, ()), _reference(one.content))
    return found


def _reference(dataset: Dataset) -> ObjectReference:
    return ObjectReference(
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPClassUID, dataset.SOPInstanceUID
    )
