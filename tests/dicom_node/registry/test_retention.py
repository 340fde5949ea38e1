import logging
from pathlib import Path

import pytest

from services.dicom_node.registry.commands import resend
from services.dicom_node.registry.retention import _FINISHED, KeepTimes, sweep
from services.dicom_node.selection.verdict import Verdict
from services.dicom_node.steps.gateway_errors import TemporaryFailure
from tests.dicom_node.registries import Node
from tests.dicom_node.steps.pipelines import PACS, Pipeline, send_all

HOUR_S, DAY_S = 3600.0, 86_400.0
TIMES = KeepTimes(received_s=HOUR_S, unassessed_s=7 * DAY_S, results_s=30 * DAY_S)


def run_sweep(node: Node, times: KeepTimes = TIMES) -> None:
    sweep(node.registry, times)


def stored(node: Node) -> list[Path]:
    return sorted((node.path / "instances").rglob("*.dcm"))


def test_received_files_are_removed_some_time_after_their_results_were_committed(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1, 2])
    pipeline.run()
    node.clocks.pass_s(DAY_S)
    run_sweep(node)
    assert len(stored(node)) == 2, "results are pending"
    send_all(pipeline)
    run_sweep(node)
    node.clocks.pass_s(HOUR_S - 1)
    run_sweep(node)
    assert len(stored(node)) == 2, "late slices may come"
    node.clocks.pass_s(2)
    used = node.registry.space.usage().used_bytes
    run_sweep(node)
    assert stored(node) == []
    assert node.rows("SELECT count(path) FROM instances") == [(0,)]
    assert node.registry.space.usage().used_bytes == used - 2
    assert (node.path / "assessments" / "1" / "objects" / "sr-1.dcm").exists()


def test_received_files_may_be_kept(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1])
    pipeline.run()
    send_all(pipeline)
    for _ in range(3):
        run_sweep(node, KeepTimes(float("inf"), TIMES.unassessed_s, TIMES.results_s))
        node.clocks.pass_s(5 * DAY_S)
    assert len(stored(node)) == 1


def test_files_of_a_series_that_is_passed_over_are_removed(node: Node) -> None:
    pipeline = Pipeline(node)
    pipeline.selection.verdicts = [Verdict(ours=False, reasons=("localizer: it is one",))]
    node.receive_series([1])
    pipeline.run()
    run_sweep(node)
    node.clocks.pass_s(HOUR_S + 1)
    run_sweep(node)
    assert stored(node) == []
    assert node.rows("SELECT ours FROM series") == [(0,)]


def test_without_a_destination_built_results_are_the_end(node: Node) -> None:
    pipeline = Pipeline(node)
    pipeline.destinations = {}
    pipeline.start()
    node.receive_series([1])
    pipeline.run()
    run_sweep(node)
    node.clocks.pass_s(HOUR_S + 1)
    run_sweep(node)
    assert stored(node) == []


def test_a_series_with_results_is_forgotten_in_the_end(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1])
    pipeline.run()
    send_all(pipeline)
    run_sweep(node)
    node.clocks.pass_s(29 * DAY_S)
    run_sweep(node)
    assert node.rows("SELECT count(*) FROM series") == [(1,)]
    node.clocks.pass_s(2 * DAY_S)
    run_sweep(node)
    for table in ("series", "instances", "assessments", "objects", "deliveries"):
        assert node.rows(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - a name of the list
    assert list((node.path / "assessments").iterdir()) == []


def test_a_series_that_the_gateway_never_took_expires_with_a_report(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline(node)
    pipeline.fake_gateway.plan["submit"] = [TemporaryFailure("ConnectError") for _ in range(1000)]
    node.receive_series([1])
    pipeline.run(rounds=4)
    node.clocks.pass_s(7 * DAY_S)
    with caplog.at_level(logging.ERROR):
        run_sweep(node)
    assert "series expired" in caplog.text
    assert len(stored(node)) == 1
    pipeline.run(rounds=2)
    assert pipeline.assessments == [(1, "built", "expired")]
    assert [reason["code"] for reason in pipeline.report()["reasons"]] == ["expired"]


def test_a_submitted_series_that_expires_leaves_no_job(node: Node) -> None:
    pipeline = Pipeline(node)
    pipeline.fake_gateway.running = 10**9
    node.receive_series([1])
    pipeline.run(rounds=4)
    node.clocks.pass_s(7 * DAY_S)
    run_sweep(node)
    pipeline.run(rounds=2)
    assert pipeline.assessments == [(1, "built", "expired")]
    assert pipeline.fake_gateway.jobs == {}


def test_a_series_that_waits_or_is_dead_is_never_removed(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1])
    with node.registry.database.write() as connection:
        connection.execute("UPDATE series SET last_received_s = 0")
    pipeline.run()
    with node.registry.database.write() as connection:
        connection.execute("UPDATE assessments SET step = 'dead'")
    node.receive_series([1], series_instance_uid="2.25.9")
    for _ in range(3):
        node.clocks.pass_s(40 * DAY_S)
        run_sweep(node)
    assert len(stored(node)) == 2


def test_what_is_sent_again_is_not_finished(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1])
    pipeline.run()
    send_all(pipeline)
    run_sweep(node)
    node.clocks.pass_s(31 * DAY_S)
    assert resend(node.registry.database, 1, PACS)
    run_sweep(node)
    assert node.rows("SELECT finished_s FROM assessments") == [(None,)]


def test_late_slices_after_the_removal_end_as_not_assessed_unless_all_come_again(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1, 2])
    pipeline.run()
    send_all(pipeline)
    run_sweep(node)
    node.clocks.pass_s(HOUR_S + 1)
    run_sweep(node)
    node.receive_series([3])
    pipeline.run(rounds=28)
    assert [row[:2] for row in pipeline.assessments] == [(1, "committed")], "it waits for the others"
    pipeline.run(rounds=5)
    assert pipeline.assessments[1] == (2, "built", "files_removed")
    node.receive_series([1, 2, 4])
    pipeline.run()
    assert pipeline.assessments[2] == (3, "built", None)


def test_a_jump_of_the_wall_clock_removes_nothing(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1])
    pipeline.run()
    send_all(pipeline)
    run_sweep(node)
    node.clocks.wall_s += 10 * 365 * DAY_S
    run_sweep(node)
    assert len(stored(node)) == 1


def test_the_sweep_reads_the_deliveries_of_one_assessment_only(node: Node) -> None:
    """By the index of steps it would read all sent deliveries for each assessment."""
    plan = node.rows(f"EXPLAIN QUERY PLAN SELECT id FROM assessments WHERE {_FINISHED}")  # noqa: S608
    assert not any("deliveries_by_step" in row[3] for row in plan)
