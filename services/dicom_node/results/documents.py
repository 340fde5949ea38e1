"""What all structured documents share: evidence, flags, references to requests and predecessors (PS3.3 C.17.2)."""

from collections.abc import Iterable, Iterator, Sequence

from pydicom import Dataset, dcmread

from services.dicom_node.results.context import ObjectReference, ResultContext
from services.dicom_node.results.report_text import series_result

_REQUEST = (
    "ReferencedStudySequence",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)


def new_document(context: ResultContext, sop_class_uid: str, root: Dataset) -> Dataset:
    """A structured report with the content tree of `root`; `finish_object` adds patient, study and equipment."""
    dataset = Dataset()
    dataset.update(root)
    dataset.SOPClassUID, dataset.Modality = sop_class_uid, "SR"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.PreliminaryFlag, dataset.VerificationFlag = "PRELIMINARY", "UNVERIFIED"
    set_completion(context, dataset)
    set_evidence(context, dataset, [*source_references(context), *built_images(context)])
    if context.predecessor is not None:
        dataset.PredecessorDocumentsSequence = hierarchical_references([context.predecessor])
    return dataset


def set_completion(context: ResultContext, dataset: Dataset) -> None:
    if series_result(context) is None:
        dataset.CompletionFlag, dataset.CompletionFlagDescription = "PARTIAL", "The series was not assessed."
    else:
        dataset.CompletionFlag = "COMPLETE"


def set_evidence(context: ResultContext, dataset: Dataset, references: Iterable[ObjectReference]) -> None:
    """List the referenced instances, and the request that the study answers, where the source names it."""
    items = hierarchical_references(references)
    if items:
        dataset.CurrentRequestedProcedureEvidenceSequence = items
    request = _request(context.header)
    if request is not None:
        dataset.ReferencedRequestSequence = [request]


def source_references(context: ResultContext) -> Iterator[ObjectReference]:
    """The instances of the report's slices; all received instances where it has none."""
    study, series = context.header.StudyInstanceUID, context.header.SeriesInstanceUID
    for one in context.slices:
        yield ObjectReference(study, series, one.sop_class_uid, one.sop_instance_uid)
    if not context.slices:
        yield from _received(context, study, series)


def _received(context: ResultContext, study: str, series: str) -> Iterator[ObjectReference]:
    for path in context.instances:
        read = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True, force=True)
        yield ObjectReference(study, series, read.SOPClassUID, read.SOPInstanceUID)


def built_images(context: ResultContext) -> Iterator[ObjectReference]:
    """Images of this assessment that are built already."""
    for kind in ("segmentation", "secondary_capture"):
        yield from context.built.get(kind, ())


def hierarchical_references(references: Iterable[ObjectReference]) -> Sequence[Dataset]:
    """References by study and series, each instance once (PS3.3 C.17.2.1)."""
    studies: dict[str, dict[str, dict[str, str]]] = {}
    for one in references:
        instances = studies.setdefault(one.study_instance_uid, {}).setdefault(one.series_instance_uid, {})
        instances[one.sop_instance_uid] = one.sop_class_uid
    return [_study_item(study, series) for study, series in studies.items()]


def _study_item(study: str, by_series: dict[str, dict[str, str]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study
    item.ReferencedSeriesSequence = [_series_item(series, instances) for series, instances in by_series.items()]
    return item


def _series_item(series: str, instances: dict[str, str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series
    item.ReferencedSOPSequence = [_instance_item(*one) for one in instances.items()]
    return item


def _instance_item(sop_instance_uid: str, sop_class_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def _request(header: Dataset) -> Dataset | None:
    """The requested procedure by the source's RequestAttributesSequence (PS3.3 C.17.2, Referenced Request Sequence)."""
    stated = header.get("RequestAttributesSequence")
    if not stated or not stated[0].get("RequestedProcedureID"):
        return None
    item = Dataset()
    for keyword in _REQUEST:
        setattr(item, keyword, stated[0].get(keyword, header.get(keyword)))
    item.StudyInstanceUID, item.AccessionNumber = header.StudyInstanceUID, header.get("AccessionNumber")
    return item
