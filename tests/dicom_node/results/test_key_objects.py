"""The key object selection."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.key_objects import build_key_objects
from services.dicom_node.results.omitted import Omitted
from tests.dicom_node.results.assessments import assessment
from tests.dicom_node.results.documents import evidence, read_back, referenced
from tests.preprocess.dicom_files import enhanced
from tests.preprocess.dicom_files import written as written_ct


def test_it_references_the_key_slices_in_the_order_of_the_report(assessed: ResultContext) -> None:
    document = read_back(build_key_objects(assessed))
    uids = [assessed.slices[index].sop_instance_uid for index in (2, 1)]
    assert referenced(document) == [(uid, None) for uid in uids]
    assert evidence(document) == uids
    assert (document.Modality, document.ConceptNameCodeSequence[0].CodeMeaning) == ("KO", "Of Interest")


def test_it_references_frames_of_a_multi_frame_instance(tmp_path: Path) -> None:
    context = assessment(tmp_path, [written_ct(enhanced(3))], present={"any": 0.9}, key_slices=(2,))
    document = read_back(build_key_objects(context))
    assert referenced(document) == [(context.slices[0].sop_instance_uid, 3)]
    assert evidence(document) == [context.slices[0].sop_instance_uid]


def test_without_a_key_slice_there_is_no_object(assessed: ResultContext) -> None:
    report = assessed.report.model_copy(update={"key_slices": ()})
    with pytest.raises(Omitted, match="no key slice"):
        build_key_objects(replace(assessed, report=report))
