"""Building all kinds of an assessment."""

from collections.abc import Sequence

from services.dicom_node.results.build import build_objects
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.structured_report import build_structured_report
from tests.dicom_node.results.documents import evidence


def test_a_kind_that_fails_holds_up_no_other(assessed: ResultContext) -> None:
    def fail(_: ResultContext) -> Sequence[ResultObject]:
        raise ValueError("Doe^Jane")

    built = build_objects(assessed, ["sr", "segmentation"], {"sr": build_structured_report, "segmentation": fail})
    assert [one.kind for one in built.objects] == ["sr"]
    assert [(one.kind, one.code) for one in built.failed] == [("segmentation", "ValueError")]


def test_a_kind_with_nothing_to_show_says_why(not_assessed: ResultContext) -> None:
    built = build_objects(not_assessed, ["key_objects", "sr", "text_sr", "fhir"])
    assert [one.kind for one in built.objects] == ["sr", "text_sr", "fhir"]
    assert [(one.kind, one.reason) for one in built.omitted] == [("key_objects", "The report has no key slice.")]
    assert not built.failed


def test_the_sr_refers_to_images_that_were_built(assessed: ResultContext) -> None:
    built = build_objects(assessed, ["sr", "secondary_capture"])
    captures = [one.content.SOPInstanceUID for one in built.objects if one.kind == "secondary_capture"]  # type: ignore[union-attr]
    assert captures
    assert evidence(built.objects[-1].content)[-len(captures) :] == captures  # type: ignore[arg-type]
