import json
import logging
from typing import Any

import pytest

from services.common.report_schemas import Report
from services.dicom_node.assessment_folder import AssessmentFolder
from services.dicom_node.registry.assessments import due_assessments
from services.dicom_node.registry.commands import forget
from services.dicom_node.registry.received import begin_assessment, study_summaries, waiting_series
from services.dicom_node.selection.verdict import SeriesSummary, Verdict
from services.dicom_node.steps.building import BuildFailed, BuildStopped
from services.dicom_node.steps.gateway_errors import (
    KeyConflict,
    NodeRefused,
    PartMissing,
    SeriesRefused,
    TemporaryFailure,
)
from tests.dicom_node.registries import Node
from tests.dicom_node.steps.pipelines import KINDS, Pipeline, send_all

DAY_S = 86_400.0


@pytest.fixture
def pipeline(node: Node) -> Pipeline:
    return Pipeline(node)


def context(pipeline: Pipeline, assessment: int) -> Any:
    return AssessmentFolder.of(pipeline.node.path, assessment).read_context()


def summaries(pipeline: Pipeline) -> list[SeriesSummary]:
    with pipeline.node.registry.database.read() as connection:
        return list(study_summaries(connection, "2.25.1", 0.0, 0.0, ()).values())


def test_the_files_are_sent_in_order_under_numbers(pipeline: Pipeline) -> None:
    pipeline.node.receive_series([3, 1, 2])
    pipeline.completing.run()
    pipeline.node.clocks.pass_s(20)
    pipeline.fake_gateway.running = 100
    pipeline.round()
    (job,) = pipeline.fake_gateway.jobs.values()
    assert job["names"] == ["00001.dcm", "00002.dcm", "00003.dcm"]
    assert job["contents"] == [b"1", b"2", b"3"]


def test_a_kept_job_is_deleted_with_its_assessment(node: Node) -> None:
    pipeline = Pipeline(node, keep_jobs=True)
    transfer = node.receive_series([1, 2])
    pipeline.run()
    (first,) = pipeline.fake_gateway.jobs
    node.receive(transfer, 3)
    pipeline.run()
    (second,) = pipeline.fake_gateway.jobs
    assert second != first
    assert [row[:2] for row in pipeline.assessments] == [(1, "superseded"), (2, "built")]
    forget(node.registry.database, node.path, 1)
    pipeline.run()
    assert pipeline.fake_gateway.jobs == {}


def test_a_result_set_names_the_instances_by_their_own_uids(pipeline: Pipeline) -> None:
    transfer = pipeline.node.receive_series([2, 1])
    pipeline.node.receive(transfer, 3, number_of_frames=7)
    pipeline.run()
    found = context(pipeline, 1)
    assert [(one.sop_instance_uid, one.frame) for one in found.slices] == [
        ("2.25.1.2.1", None),
        ("2.25.1.2.2", None),
        ("2.25.1.2.3", 0),
    ]
    assert [(pipeline.node.path / path).read_bytes() for path in found.instances] == [b"1", b"2", b"3"]
    assert found.seed == f"{pipeline.node.registry.database.node_id}-1-1"
    assert (found.number, found.key_images, found.predecessor, found.warnings) == (1, (0,), None, ())


def test_a_running_job_is_looked_at_ever_more_rarely(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.running = 1000
    pipeline.node.receive_series([1])
    pipeline.run(rounds=200, pass_s=1.0)
    looks = pipeline.crashes.calls.count("before job")
    assert 15 < looks < 50
    assert pipeline.assessments == [(1, "submitted", None)]


@pytest.mark.parametrize("call", ["submit", "job", "reports", "blood", "picture"])
def test_a_gateway_that_is_down_for_days_loses_nothing(pipeline: Pipeline, call: str) -> None:
    pipeline.fake_gateway.plan[call] = [TemporaryFailure("ConnectError") for _ in range(40)]
    pipeline.node.receive_series([1, 2])
    pipeline.run(rounds=5, pass_s=3600.0)
    number, step, code = pipeline.assessments[0]
    assert (number, code) == (1, "ConnectError")
    assert step in ("complete", "submitted")
    assert pipeline.steps.failures["ConnectError"] == (5 if call == "submit" else 4)
    pipeline.run(rounds=40, pass_s=3600.0)
    assert pipeline.assessments == [(1, "built", None)]


def test_a_failure_of_the_gateway_pauses_all_calls(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.plan["submit"] = [TemporaryFailure("overloaded", 30.0)]
    pipeline.node.receive_series([1])
    pipeline.run(rounds=1)
    assert pipeline.steps.gateway_is_paused
    pipeline.node.clocks.pass_s(29)
    assert pipeline.steps.gateway_is_paused
    pipeline.node.clocks.pass_s(2)
    assert not pipeline.steps.gateway_is_paused


def test_a_refused_node_is_loud_and_tries_again(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipeline.fake_gateway.plan["submit"] = [NodeRefused("unauthorized"), NodeRefused("unauthorized")]
    pipeline.node.receive_series([1])
    with caplog.at_level(logging.ERROR):
        pipeline.run(rounds=2, pass_s=120)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert pipeline.assessments == [(1, "complete", "unauthorized")]
    pipeline.run(pass_s=120)
    assert pipeline.assessments == [(1, "built", None)]


def test_a_refused_series_gets_a_report_that_says_so(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.plan["submit"] = [SeriesRefused("too_large", "The upload has too many files.")]
    pipeline.node.receive_series([1, 2])
    pipeline.run()
    assert pipeline.assessments == [(1, "built", "too_large")]
    report = Report.model_validate(pipeline.report())
    assert report.status == "not_assessed"
    assert [(one.code, one.detail, one.severity) for one in report.reasons] == [
        ("too_large", "The upload has too many files.", "refuse")
    ]
    assert report.series
    assert (report.series.series_instance_uid, report.series.slices) == ("2.25.1.2", 2)


def test_a_failed_series_gets_a_report_that_says_so(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.report = {
        "status": "failed",
        "problem": {"status": 422, "code": "unusable_files", "detail": "bad"},
    }
    pipeline.node.receive_series([1])
    pipeline.run()
    assert pipeline.assessments == [(1, "built", "unusable_files")]
    assert pipeline.report()["reasons"][0]["detail"] == "bad"


def test_a_fault_of_the_gateways_parts_is_tried_again_a_few_times(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.report = {
        "status": "failed",
        "problem": {"status": 502, "code": "stage_failed", "detail": "cnn"},
    }
    pipeline.node.receive_series([1])
    pipeline.run(rounds=20)
    assert pipeline.assessments == [(1, "built", "stage_failed")]
    assert pipeline.fake_gateway.sent.total() == 4
    assert pipeline.fake_gateway.jobs == {}


def test_a_cancelled_job_is_submitted_again(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.end = {"status": "cancelled"}
    pipeline.node.receive_series([1])
    pipeline.run(rounds=1)
    assert pipeline.assessments == [(1, "submitted", None)]
    pipeline.run(rounds=1)
    assert pipeline.assessments == [(1, "complete", "job_cancelled")]
    pipeline.fake_gateway.end = {"status": "finished"}
    pipeline.run()
    assert pipeline.assessments[0][1] == "built"


def test_a_key_of_another_request_is_replaced(pipeline: Pipeline) -> None:
    """Such as one that was sent with another priority before a restart."""
    pipeline.fake_gateway.plan["submit"] = [KeyConflict("idempotency_conflict")]
    pipeline.node.receive_series([1])
    pipeline.run()
    assert pipeline.assessments == [(1, "built", None)]
    pipeline.fake_gateway.plan["submit"] = []
    assert len(pipeline.fake_gateway.keys) == 1


def test_files_that_the_gateway_left_out_are_warnings(pipeline: Pipeline) -> None:
    left_out = [{"file": f"0000{n}.dcm", "code": "not_a_ct_slice", "reason": "a localizer"} for n in (1, 2)]
    pipeline.fake_gateway.end = {"status": "finished", "left_out": left_out, "left_out_total": 2, "warnings": []}
    pipeline.node.receive_series([1, 2, 3])
    pipeline.run()
    assert context(pipeline, 1).warnings == ("2 instances were left out: a localizer.",)


def test_a_missing_blood_map_is_a_warning(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.plan["blood"] = [PartMissing("no_blood_map")]
    pipeline.node.receive_series([1])
    pipeline.run()
    assert pipeline.assessments == [(1, "built", None)]
    assert "some result objects are missing" in context(pipeline, 1).warnings[0]


def test_a_received_file_that_is_lost_ends_as_not_assessed(pipeline: Pipeline) -> None:
    pipeline.node.receive_series([1, 2])
    next((pipeline.node.path / "instances").rglob("*.dcm")).unlink()
    pipeline.run()
    assert pipeline.assessments == [(1, "built", "files_removed")]
    assert pipeline.report()["reasons"][0]["detail"] == "The files of 1 of 2 instances are not stored any more."
    assert (pipeline.node.path / context(pipeline, 1).header).is_file()


def test_an_sr_that_cannot_be_built_is_tried_again_and_then_dead(pipeline: Pipeline) -> None:
    pipeline.fake_builder.failures = [BuildFailed("build_exit_status_1")] * 3 + [BuildStopped()] * 9
    pipeline.node.receive_series([1])
    pipeline.run(rounds=12, pass_s=70)
    assert pipeline.assessments == [(1, "reported", "build_exit_status_1")], "a stopped node is no failure"
    pipeline.fake_builder.failures = [BuildFailed("build_timeout")]
    pipeline.run(rounds=6, pass_s=70)
    assert pipeline.assessments == [(1, "dead", "build_timeout")]
    assert pipeline.steps.failures == {"build_exit_status_1": 3, "build_timeout": 1}


def test_an_assessment_that_another_thread_has_moved_is_left_alone(pipeline: Pipeline) -> None:
    """The list of due assessments may be older than the end of another thread's work."""
    pipeline.node.receive_series([1])
    pipeline.run(rounds=1)
    pipeline.node.clocks.pass_s(5)
    registry = pipeline.node.registry
    with registry.database.read() as connection:
        (listed,) = due_assessments(connection, registry.clock.now_s(), ["submitted"], 1)
    pipeline.steps.advance(listed)
    calls = list(pipeline.crashes.calls)
    pipeline.steps.advance(listed)
    assert pipeline.crashes.calls == calls
    assert pipeline.report()["status"] == "assessed"


def test_an_unexpected_error_keeps_the_step(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipeline.fake_builder.failures = [OSError(28, "No space left on device")] * 9
    pipeline.node.receive_series([1])
    pipeline.run(rounds=10, pass_s=100)
    assert pipeline.assessments == [(1, "reported", "OSError")]
    assert "a step failed" in caplog.text


# Completeness and selection


def test_a_series_waits_for_its_transfer_and_for_quiet(pipeline: Pipeline) -> None:
    inbox = pipeline.node.registry.inbox
    transfer = inbox.begin_transfer("c-store", "CT1")
    pipeline.node.receive(transfer, 1)
    pipeline.run(rounds=3)
    assert pipeline.assessments == []
    inbox.end_transfer(transfer, "released")
    pipeline.run(rounds=1, pass_s=0)
    assert [row[1] for row in pipeline.assessments] == ["submitted"]


def test_an_aborted_half_series_is_assessed_with_a_warning_after_the_time_out(pipeline: Pipeline) -> None:
    inbox = pipeline.node.registry.inbox
    transfer = inbox.begin_transfer("c-store", "CT1")
    for number in (1, 2, 5):
        pipeline.node.receive(transfer, number)
    inbox.end_transfer(transfer, "aborted")
    pipeline.run(rounds=29)
    assert pipeline.assessments == []
    pipeline.run(rounds=5)
    assert pipeline.assessments == [(1, "built", None)]
    assert context(pipeline, 1).warnings == (
        "The series was not complete 600 s after its last instance.",
        "InstanceNumbers are missing: 3-4.",
        "A transfer of the series was aborted, and no later one sent the rest.",
    )


def test_an_incomplete_series_may_be_set_aside_with_a_report(node: Node) -> None:
    pipeline = Pipeline(node, incomplete_series="set_aside")
    node.receive_series([1, 3])
    pipeline.run(rounds=32)
    assert pipeline.assessments == [(1, "built", "series_timed_out")]
    assert [one["code"] for one in pipeline.report()["reasons"]] == ["series_timed_out", "instance_numbers_missing"]
    assert pipeline.fake_gateway.sent == {}


def test_a_restart_of_a_half_received_series_does_not_complete_it(pipeline: Pipeline) -> None:
    transfer = pipeline.node.registry.inbox.begin_transfer("c-store", "CT1")
    for number in (1, 2):
        pipeline.node.receive(transfer, number)
    pipeline.restart()
    pipeline.run(rounds=5)
    assert pipeline.assessments == []
    pipeline.node.receive_series([1, 2, 3])
    pipeline.run()
    assert pipeline.assessments == [(1, "built", None)]
    assert len(context(pipeline, 1).instances) == 3


def test_a_contradicting_instance_is_a_warning(pipeline: Pipeline) -> None:
    transfer = pipeline.node.receive_series([1, 2])
    pipeline.node.receive(transfer, 2, b"other")
    pipeline.run()
    assert context(pipeline, 1).warnings == (
        "1 instance was refused: other bytes with the same SOPInstanceUID are stored.",
    )


def test_a_series_that_is_not_ours_is_passed_over_with_reasons(pipeline: Pipeline) -> None:
    pipeline.selection.verdicts = [Verdict(ours=False, reasons=("localizer: ImageType says so",))]
    pipeline.node.receive_series([1])
    pipeline.run()
    assert pipeline.assessments == [(1, "passed_over", None)]
    assert pipeline.node.rows("SELECT ours, reasons FROM series") == [(0, json.dumps(["localizer: ImageType says so"]))]
    assert pipeline.fake_gateway.sent == {}


def test_the_rules_see_the_other_series_of_the_study(pipeline: Pipeline) -> None:
    node = pipeline.node
    node.receive_series([1, 2], study_instance_uid="2.25.1", series_instance_uid="2.25.5", series_description="soft")
    node.receive_series([1], study_instance_uid="2.25.77", series_instance_uid="2.25.6")
    pipeline.run(rounds=1)
    node.clocks.pass_s(100)
    transfer = node.registry.inbox.begin_transfer("c-store", "CT1")
    node.receive(transfer, 1, series_instance_uid="2.25.8")
    node.receive_series([1], series_instance_uid="2.25.7")
    node.clocks.pass_s(14)
    node.receive(transfer, 2, series_instance_uid="2.25.8")
    pipeline.run(rounds=1, pass_s=1)
    series, study = pipeline.selection.seen[-1]
    assert (series.header.series_instance_uid, series.slices, series.complete) == ("2.25.7", 1, True)
    seen = [(one.header.series_instance_uid, one.slices, one.complete, one.ours) for one in study]
    assert seen == [("2.25.5", 2, True, True), ("2.25.8", 2, False, None)]
    assert study[0].header.series_description == "soft"


def test_a_series_waits_for_a_better_one_that_arrives_but_not_for_ever(pipeline: Pipeline) -> None:
    waiting = Verdict(ours=None, reasons=("waiting: a better series is being received",))
    pipeline.selection.verdicts = [waiting] * 3
    pipeline.node.receive_series([1])
    pipeline.run(rounds=3)
    assert pipeline.assessments == []
    pipeline.run(rounds=1)
    assert [row[0] for row in pipeline.assessments] == [1]
    late, _ = pipeline.selection.seen[-1]
    assert late.complete


# Late slices


def test_a_late_slice_gives_a_new_assessment_that_names_the_sent_one(pipeline: Pipeline) -> None:
    pipeline.node.receive_series([1, 2])
    pipeline.run()
    send_all(pipeline)
    pipeline.node.receive_series([3])
    pipeline.run()
    assert [row[:2] for row in pipeline.assessments] == [(1, "superseded"), (2, "built")]
    found = context(pipeline, 2)
    ((sr, series_uid),) = pipeline.node.rows(
        "SELECT sop_instance_uid, series_uid FROM objects WHERE assessment = 1 AND kind = 'sr'"
    )
    assert found.predecessor
    assert (found.predecessor.sop_instance_uid, found.predecessor.series_instance_uid) == (sr, series_uid)
    assert len(found.instances) == 3
    steps = pipeline.node.rows("SELECT assessment, deliveries.step FROM deliveries JOIN objects ON object = objects.id")
    assert steps == [(1, "committed")] * len(KINDS) + [(2, "pending")] * len(KINDS)


def test_results_that_were_not_sent_are_superseded_and_not_named(pipeline: Pipeline) -> None:
    pipeline.node.receive_series([1, 2])
    pipeline.run()
    pipeline.node.receive_series([3])
    pipeline.run()
    assert context(pipeline, 2).predecessor is None
    steps = pipeline.node.rows("SELECT assessment, deliveries.step FROM deliveries JOIN objects ON object = objects.id")
    assert steps == [(1, "superseded")] * len(KINDS) + [(2, "pending")] * len(KINDS)


def test_a_report_that_is_sent_while_its_successor_is_built_is_named(pipeline: Pipeline) -> None:
    pipeline.node.receive_series([1, 2])
    pipeline.run()
    pipeline.node.receive_series([3])
    build = pipeline.fake_builder._build

    def send_meanwhile(folder: AssessmentFolder) -> None:
        build(folder)
        if pipeline.fake_builder.built == 2:
            send_all(pipeline)

    pipeline.fake_builder._build = send_meanwhile  # type: ignore[method-assign] # the fake's own seam
    pipeline.run()
    assert pipeline.fake_builder.built == 3
    found = context(pipeline, 2)
    assert found.predecessor
    content = (AssessmentFolder.of(pipeline.node.path, 2).objects / "sr-1.dcm").read_text()
    assert found.predecessor.sop_instance_uid in content


def test_a_late_slice_replaces_an_assessment_in_work(pipeline: Pipeline) -> None:
    pipeline.fake_gateway.running = 1
    pipeline.node.receive_series([1, 2])
    pipeline.run(rounds=2)
    assert [row[1] for row in pipeline.assessments] == ["submitted"]
    pipeline.node.receive_series([3])
    pipeline.fake_gateway.running = 0
    pipeline.run()
    assert [row[:2] for row in pipeline.assessments] == [(1, "superseded"), (2, "built")]
    assert pipeline.fake_gateway.jobs == {}
    assert pipeline.node.rows("SELECT count(*) FROM objects WHERE assessment = 1") == [(0,)]


def test_the_job_of_an_earlier_assessment_stays_until_the_next_report(node: Node) -> None:
    pipeline = Pipeline(node, keep_jobs=True)
    pipeline.node.receive_series([1, 2])
    pipeline.run()
    (first,) = pipeline.fake_gateway.jobs
    pipeline.fake_gateway.running = 10**9
    pipeline.node.receive_series([3])
    pipeline.run()
    assert [row[1] for row in pipeline.assessments] == ["built", "submitted"]
    assert first in pipeline.fake_gateway.jobs, "readers still see the earlier result"
    for job in pipeline.fake_gateway.jobs.values():
        job["looks"] = 0
    pipeline.run()
    (second,) = pipeline.fake_gateway.jobs
    assert second != first
    assert [row[1] for row in pipeline.assessments][-1] == "built"


def test_an_instance_that_comes_while_the_series_is_judged_is_not_left_out(pipeline: Pipeline) -> None:
    node = pipeline.node
    node.receive_series([1])
    node.clocks.pass_s(20)
    with node.registry.database.read() as connection:
        (series,) = waiting_series(connection, node.registry.clock.now_s(), 15)
    node.receive_series([2])
    with node.registry.database.write() as connection:
        assert begin_assessment(connection, series, Verdict(ours=True, reasons=()), ()) is None
    pipeline.run()
    assert len(context(pipeline, 1).instances) == 2


def test_a_series_of_two_patients_is_not_assessed(pipeline: Pipeline) -> None:
    transfer = pipeline.node.receive_series([1], patient="one")
    pipeline.node.receive(transfer, 2, patient="other")
    pipeline.run()
    assert pipeline.report()["status"] == "not_assessed"
    assert [reason["code"] for reason in pipeline.report()["reasons"]] == ["several_patients"]
    assert pipeline.fake_gateway.jobs == {}


def test_a_series_with_a_derived_image_is_summarized_as_derived(pipeline: Pipeline) -> None:
    transfer = pipeline.node.receive_series([1], image_type=("ORIGINAL", "PRIMARY", "AXIAL"))
    pipeline.node.receive(transfer, 2, image_type=("DERIVED", "PRIMARY", "LOCALIZER"))
    assert not any(found.derived for found in summaries(pipeline))
    pipeline.node.receive(transfer, 3, image_type=("DERIVED", "SECONDARY", "AXIAL"))
    assert [found.derived for found in summaries(pipeline)] == [True]


def test_a_late_slice_of_another_patient_withdraws_the_assessment(pipeline: Pipeline) -> None:
    pipeline.node.receive_series([1, 2], patient="one")
    pipeline.run()
    pipeline.node.receive_series([3], patient="other")
    pipeline.run()
    assert pipeline.report(2)["status"] == "not_assessed"


def test_an_instance_of_an_earlier_version_has_no_patient_to_contradict(pipeline: Pipeline) -> None:
    transfer = pipeline.node.receive_series([1])
    pipeline.node.receive(transfer, 2, patient="one")
    pipeline.run()
    assert pipeline.report()["status"] == "assessed"


def test_a_repeated_part_does_not_complete_an_aborted_series(pipeline: Pipeline) -> None:
    inbox = pipeline.node.registry.inbox
    transfer = inbox.begin_transfer("c-store", "CT1")
    for number in (1, 2, 3):
        pipeline.node.receive(transfer, number)
    inbox.end_transfer(transfer, "aborted")
    pipeline.node.receive_series([1])
    pipeline.run(rounds=3, pass_s=60.0)
    assert pipeline.assessments == []
    pipeline.node.receive_series([1, 2, 3])
    pipeline.run(rounds=3, pass_s=60.0)
    assert pipeline.assessments == [(1, "built", None)]
