"""Series that reach the node by each way: the same numbers as a prediction, as result objects in Orthanc."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from tests.e2e.canary import NAME, PATIENT_ID
from tests.e2e.pacs.conftest import Sent, predict
from tests.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.pacs.orthanc import wait_for
from tests.pacs.results import KINDS_OF_NOT_ASSESSED
from tests.pacs.series import new_series
from tests.pacs.site import Site
from tests.pacs.sr_numbers import read_numbers
from tests.pacs.sr_text import sr_lines

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(300)]
WAYS = ("storescu", "stow", "stow_by_orthanc", "route")
AFTER_COMPLETE_S = 20
DIGITS = 1e-9  # an SR's decimal string has up to 16 characters


def test_orthanc_has_the_results_within_20_s_of_completeness(site: Site, tmp_path: Path) -> None:
    """While nothing else is assessed."""
    series = new_series(tmp_path / "series")
    site.send(series)
    site.wait_for_results(series, site.complete_s + AFTER_COMPLETE_S)


def test_all_steps_of_a_series_are_one_trace_without_its_identifiers(
    site: Site, collector: OtlpReceiver, tmp_path: Path
) -> None:
    series = new_series(tmp_path / "series", {"PatientName": NAME, "PatientID": PATIENT_ID})
    before = {span.trace for span in collector.spans() if span.name == "assess series"}
    site.send(series)
    site.wait_for_step(series, ("committed",), 60)
    (root,) = (one for one in collector.spans() if one.name == "assess series" and one.trace not in before)
    spans = [one for one in collector.wait_for(lambda found: _is_sent(found, root)) if one.trace == root.trace]
    steps = [one for one in spans if one.parent == root.id]
    assert {one.service for one in (root, *steps)} == {"ich-dicom-node"}
    assert {one.name for one in steps} == {"submit series", "fetch report", "build results", "send results"}
    by_id = {one.id: one for one in spans}
    (job,) = (one for one in spans if one.name == "POST /v1/jobs")
    assert by_id[by_id[job.parent].parent].name == "submit series"
    tasks = [one for one in spans if one.kind == "consumer"]
    assert [one.attributes["ich.outcome"] for one in tasks] == ["planned", "assessed"]
    uids = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in series.files]
    words = (*NAME.split("^"), PATIENT_ID, series.study_uid, series.series_uid, *uids, str(tmp_path))
    assert [word for word in words if word.encode() in b"".join(collector.bodies)] == []


def _is_sent(spans: Sequence[ReceivedSpan], root: ReceivedSpan) -> bool:
    names = {one.name for one in spans if one.trace == root.trace and one.parent == root.id}
    return {"fetch report", "build results", "send results"} <= names


@pytest.fixture(scope="module")
def report(site: Site, sent: Sent) -> dict[str, Any]:
    """The gateway's report of the series that storescu sent."""
    return predict(site, sent["storescu"].files)


@pytest.mark.parametrize("way", WAYS)
def test_orthanc_gets_one_result_set_and_confirms_it(site: Site, sent: Sent, way: str) -> None:
    site.wait_for_results(sent[way], 120)
    site.wait_for_step(sent[way], ("committed",), 30)
    assert site.steps(sent[way]) == ["committed"]


@pytest.mark.parametrize("way", WAYS)
def test_probabilities_equal_those_of_a_prediction(site: Site, sent: Sent, report: dict[str, Any], way: str) -> None:
    """Series of all ways have the same pixels."""
    numbers = read_numbers(site.pacs.fetch_one(sent[way].study_uid, "sr"))
    series = {label: found.series for label, found in numbers.items()}
    assert series == pytest.approx(report["series"]["probabilities"], abs=DIGITS)
    for path, row in zip(sent[way].files, report["slices"], strict=True):
        assert row["file"] == path.name
        uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
        found = {label: found.slices[uid] for label, found in numbers.items()}
        assert found == pytest.approx(row["probabilities"], abs=DIGITS)


def test_the_segmentation_lies_on_slices_of_the_series_where_its_label_is_present(
    site: Site, sent: Sent, report: dict[str, Any]
) -> None:
    series = sent["storescu"]
    found = site.pacs.fetch_one(series.study_uid, "segmentation")
    source = dcmread(series.files[0])
    assert (found.Rows, found.Columns) == (source.Rows, source.Columns)
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID
    present = {label for label, value in report["series"]["predictions"].items() if value}
    assert {segment.SegmentLabel.lower() for segment in found.SegmentSequence} & present
    assert np.asarray(found.pixel_array).any()


def test_key_objects_name_the_key_slices(site: Site, sent: Sent, report: dict[str, Any]) -> None:
    series = sent["storescu"]
    found = site.pacs.fetch_one(series.study_uid, "key_objects")
    (study,) = found.CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID for part in study.ReferencedSeriesSequence for item in part.ReferencedSOPSequence
    }
    uids = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in series.files]
    assert {uids[index] for index in report["key_slices"]} <= named


def test_another_body_part_is_not_assessed_and_says_so(site: Site, sent: Sent) -> None:
    site.wait_for_results(sent["abdomen"], 60, KINDS_OF_NOT_ASSESSED)
    document = site.pacs.fetch_one(sent["abdomen"].study_uid, "sr")
    assert read_numbers(document) == {}
    text = "\n".join(sr_lines(document))
    assert "Not assessed." in text
    assert "not head" in text


def test_results_that_orthanc_stores_come_back_to_nobody(site: Site, sent: Sent) -> None:
    """Orthanc's routing has seen all result objects: the node still has the sent series alone."""
    for way in WAYS:
        site.wait_for_results(sent[way], 60)
    wait_for("Orthanc's jobs have ended", site.orthanc.idle, 30)
    known = {uid for (uid,) in site.query("SELECT series_uid FROM series")}
    assert known >= {series.series_uid for series in sent.values()}
    results = {part.SeriesInstanceUID for way in WAYS for _, part in site.pacs.fetch(sent[way].study_uid)}
    assert known & results == set()
