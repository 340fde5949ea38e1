import pytest

from services.common.schemas import Reason
from services.dicom_node.steps.job_outcome import Failed, FetchedReport, Reported, is_running, job_outcome

FINISHED = {"status": "finished", "left_out": [], "left_out_total": 0, "warnings": []}
REPORT = {"id": "abc-000000", "status": "assessed"}


def test_one_report_is_the_outcome() -> None:
    assert job_outcome(FINISHED, [REPORT]) == Reported(REPORT, ())
    assert is_running({"status": "queued"})
    assert is_running({"status": "running"})
    assert not is_running(FINISHED)


def test_files_that_were_left_out_are_counted_by_their_reason() -> None:
    files = [{"file": "1", "code": "not_a_ct_slice", "reason": "a localizer"}]
    files += [{"file": str(n), "code": "truncated", "reason": "the file ends early"} for n in range(3)]
    unreadable = {"code": "unreadable_files", "severity": "warn", "detail": "3 files cannot be read."}
    several = {"code": "several_models", "severity": "warn", "detail": "two bundles"}
    job = {**FINISHED, "left_out": files, "left_out_total": 106, "warnings": [unreadable, several]}
    outcome = job_outcome(job, [REPORT])
    assert isinstance(outcome, Reported)
    assert [(one.code, one.detail) for one in outcome.warnings] == [
        ("not_a_ct_slice", "1 instance was left out: a localizer."),
        ("truncated", "3 instances were left out: the file ends early."),
        ("left_out", "102 more instances were left out."),
        ("unreadable_files", "3 files cannot be read."),
    ]
    assert all(isinstance(one, Reason) for one in outcome.warnings)


def test_a_job_without_a_series_says_why() -> None:
    job = {**FINISHED, "status": "failed", "left_out": [{"file": "1", "code": "not_a_ct_slice", "reason": "no slice"}]}
    assert job_outcome({**job, "left_out_total": 1}, []) == Failed(
        "no_series", "1 instance was left out: no slice.", temporary=False
    )


@pytest.mark.parametrize(("status", "temporary"), [(422, False), (502, True), (500, True)])
def test_a_problem_of_the_gateways_parts_is_temporary(status: int, *, temporary: bool) -> None:
    problem = {"status": status, "code": "c", "detail": "d"}
    expected = Failed("c", "d", temporary=temporary)
    assert job_outcome({**FINISHED, "status": "failed", "problem": problem}, []) == expected
    assert job_outcome(FINISHED, [{**REPORT, "status": "failed", "problem": problem}]) == expected


def test_several_series_are_not_guessed_at() -> None:
    outcome = job_outcome(FINISHED, [REPORT, REPORT])
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.temporary) == ("several_series", False)


def test_a_newer_report_is_read() -> None:
    report = FetchedReport.model_validate({**REPORT, "new": 1, "blood": {"shape": [2, 3, 4, 5], "new": 1}})
    assert report.blood
    assert (report.number, report.blood.size) == (0, 480)
