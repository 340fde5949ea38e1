"""Basic Text SR by TID 2000: the result in words, for viewers that show no measurements. The verdict comes first."""

from collections.abc import Iterator, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage

from services.dicom_node.results.content_items import container, text
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.documents import new_document
from services.dicom_node.results.object_frame import finish_object
from services.dicom_node.results.observation_context import language, observation_context
from services.dicom_node.results.report_text import (
    RESEARCH_USE,
    key_slice_lines,
    label_lines,
    method_lines,
    reason_lines,
    verdict,
)
from services.dicom_node.results.result_object import ResultObject

_TITLE: Final = Code("18748-4", "LN", "Diagnostic Imaging Report")
_CONCLUSIONS: Final = Code("55110-1", "LN", "Conclusions")
_FINDINGS: Final = Code("59776-5", "LN", "Findings")
_PROCEDURE: Final = Code("55111-9", "LN", "Current Procedure Descriptions")
_CONCLUSION: Final = Code("121077", "DCM", "Conclusion")
_FINDING: Final = Code("121071", "DCM", "Finding")
_DESCRIPTION: Final = Code("121065", "DCM", "Procedure Description")


def build_text_report(context: ResultContext) -> Sequence[ResultObject]:
    """The text SR, of every assessment."""
    root = container(_TITLE, list(_content(context)), template="2000", relationship=None)
    return [finish_object(context, "text_sr", new_document(context, BasicTextSRStorage, root))]


def _content(context: ResultContext) -> Iterator[Dataset]:
    yield language()
    yield from observation_context(context)
    yield _section(_CONCLUSIONS, _CONCLUSION, (verdict(context), *reason_lines(context), RESEARCH_USE))
    findings = (*label_lines(context), *key_slice_lines(context))
    if findings:
        yield _section(_FINDINGS, _FINDING, findings)
    yield _section(_PROCEDURE, _DESCRIPTION, (*method_lines(context), context.report.disclaimer))


def _section(heading: Code, name: Code, lines: Sequence[str]) -> Dataset:
    return container(heading, [text(name, line) for line in lines])
