"""Key Object Selection by TID 2010: the key slices of the report, titled Of Interest."""

from collections.abc import Iterator, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import KeyObjectSelectionDocumentStorage

from services.dicom_node.results.codes import OF_INTEREST
from services.dicom_node.results.content_items import container, image, text
from services.dicom_node.results.context import ObjectReference, ResultContext, SourceSlice
from services.dicom_node.results.documents import set_evidence
from services.dicom_node.results.object_frame import finish_object
from services.dicom_node.results.observation_context import language, observation_context
from services.dicom_node.results.omitted import Omitted
from services.dicom_node.results.report_text import RESEARCH_USE, key_slice_lines, verdict
from services.dicom_node.results.result_object import ResultObject

_DESCRIPTION: Final = Code("113012", "DCM", "Key Object Description")


def build_key_objects(context: ResultContext) -> Sequence[ResultObject]:
    """The selection.

    Raises
    ------
    Omitted
        the report has no key slice
    """
    slices = [context.slices[index] for index in context.report.key_slices]
    if not slices:
        raise Omitted("The report has no key slice.")
    root = container(OF_INTEREST, list(_content(context, slices)), template="2010", relationship=None)
    dataset = Dataset()
    dataset.update(root)
    dataset.SOPClassUID, dataset.Modality = KeyObjectSelectionDocumentStorage, "KO"
    dataset.ReferencedPerformedProcedureStepSequence = []
    set_evidence(context, dataset, _references(context, slices))
    return [finish_object(context, "key_objects", dataset)]


def _content(context: ResultContext, slices: Sequence[SourceSlice]) -> Iterator[Dataset]:
    yield language()
    yield from observation_context(context)
    yield text(_DESCRIPTION, "\n".join((verdict(context), *key_slice_lines(context), RESEARCH_USE)))
    for one in slices:
        yield image(None, one.sop_class_uid, one.sop_instance_uid, one.frame)


def _references(context: ResultContext, slices: Sequence[SourceSlice]) -> Iterator[ObjectReference]:
    study, series = context.header.StudyInstanceUID, context.header.SeriesInstanceUID
    for one in slices:
        yield ObjectReference(study, series, one.sop_class_uid, one.sop_instance_uid)
