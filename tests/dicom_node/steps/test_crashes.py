"""The process ends at every boundary of the steps: each complete series gets exactly one current result set."""

from pathlib import Path

import pytest

from services.dicom_node.registry.database import Database
from tests.dicom_node.registries import Node
from tests.dicom_node.steps.pipelines import KINDS, Crashes, CrashingDatabase, Pipeline

BOUNDARIES = 14  # of the gateway's and the builder's calls
COMMITS = 10  # moments before and after a commit, from the complete series to the deleted job


def assert_one_result_set(pipeline: Pipeline, numbers: int = 1) -> None:
    node, step = pipeline.node, "built"
    assert [row[:2] for row in pipeline.assessments][-1] == (numbers, step)
    assert [row[1] for row in pipeline.assessments[:-1]] == ["superseded"] * (numbers - 1)
    current = node.rows(
        "SELECT kind, destination, deliveries.step FROM deliveries JOIN objects ON object = objects.id "
        "WHERE deliveries.step != 'superseded' ORDER BY objects.id"
    )
    assert current == [(kind, "pacs", "pending") for kind in KINDS]
    files = [Path(row[0]) for row in node.rows("SELECT path FROM objects ORDER BY id")]
    assert all((node.path / file).is_file() for file in files)
    kept = node.rows("SELECT job_id FROM assessments WHERE job_id IS NOT NULL")
    assert len(kept) == pipeline.settings.keep_jobs
    assert [(job,) for job in pipeline.fake_gateway.jobs] == kept, "no other job stays at the gateway"
    assert node.rows("SELECT * FROM jobs_to_delete") == []
    stored = sorted(str(path.relative_to(node.path)) for path in (node.path / "instances").rglob("*.dcm"))
    assert stored == sorted(row[0] for row in node.rows("SELECT path FROM instances WHERE path IS NOT NULL"))


def test_a_series_without_a_crash(node: Node) -> None:
    pipeline = Pipeline(node)
    node.receive_series([1, 2, 3])
    pipeline.run()
    assert_one_result_set(pipeline)
    assert len(pipeline.crashes.calls) == BOUNDARIES, "or some boundary is not tested below"
    assert list(pipeline.fake_gateway.sent.values()) == [1]


@pytest.mark.parametrize("at", range(1, BOUNDARIES + 1))
def test_a_crash_around_a_call_of_the_gateway_or_the_builder(node: Node, at: int) -> None:
    pipeline = Pipeline(node, Crashes(at))
    node.receive_series([1, 2, 3])
    pipeline.run()
    assert len(pipeline.crashes.calls) > BOUNDARIES, "the call is made again"
    assert_one_result_set(pipeline)
    assert len(pipeline.fake_gateway.sent) == 1, "one idempotency key"
    assert pipeline.fake_builder.built == 1


@pytest.mark.parametrize("at", range(COMMITS + 1))
def test_a_crash_around_a_commit(tmp_path: Path, at: int) -> None:
    crashes = Crashes()
    node = Node(tmp_path, open_database=lambda path: CrashingDatabase(path, crashes))
    pipeline = Pipeline(node)
    node.receive_series([1, 2, 3])
    crashes.calls.clear()
    crashes.at = at
    pipeline.run(10)
    assert_one_result_set(pipeline)
    assert len(crashes.calls) == COMMITS if at == 0 else len(crashes.calls) > COMMITS, "or a commit is not tested"
    node.close()


@pytest.mark.parametrize("at", range(1, BOUNDARIES + 1))
def test_a_late_slice_after_any_crash_gives_a_second_assessment(node: Node, at: int) -> None:
    pipeline = Pipeline(node, Crashes(at), keep_jobs=True)
    node.receive_series([1, 2])
    pipeline.run(10)
    node.receive_series([1, 2, 3])
    pipeline.run(10)
    assert_one_result_set(pipeline, numbers=2)
    assert pipeline.fake_gateway.sent.total() <= 3


@pytest.mark.parametrize("lost_after", ["submit", "job", "reports", "blood", "picture"])
def test_a_gateway_that_loses_the_job_gets_it_again(node: Node, lost_after: str) -> None:
    pipeline = Pipeline(node, Crashes(0))

    class Losing(Crashes):
        def __call__(self, name: str) -> None:
            super().__call__(name)
            if name == f"after {lost_after}" and self.calls.count(name) == 1:
                pipeline.fake_gateway.jobs.clear()

    pipeline.fake_gateway.crashes = Losing()
    node.receive_series([1, 2, 3])
    pipeline.run(12)
    assert_one_result_set(pipeline)


def test_two_nodes_never_use_one_key(tmp_path: Path) -> None:
    keys = set()
    for name in ("a", "b"):
        node = Node(tmp_path / name, open_database=Database)
        pipeline = Pipeline(node)
        node.receive_series([1])
        pipeline.run()
        keys |= set(pipeline.fake_gateway.sent)
        node.close()
    assert len(keys) == 2
