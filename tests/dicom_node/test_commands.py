"""The commands work on the registry beside a running node."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.dicom_node.__main__ import main
from services.dicom_node.registry.assessments import jobs_to_delete
from services.dicom_node.registry.database import Database
from tests.dicom_node.status.conftest import UID, Rows


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """A registry in the folder of the settings, which stays open as that of a running node."""
    monkeypatch.setenv("ICH_NODE_DATA_DIR", str(tmp_path))
    return Rows(Database(tmp_path / "registry.sqlite"))


def deliveries(rows: Rows) -> list[tuple[Any, ...]]:
    with rows.database.read() as connection:
        return [tuple(row) for row in connection.execute("SELECT destination, step, attempts FROM deliveries")]


def test_status_without_a_registry_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ICH_NODE_DATA_DIR", str(tmp_path))
    assert main(["status"]) == 2
    assert "ICH_NODE_DATA_DIR" in capsys.readouterr().err


def test_status_shows_series_and_dead_letters(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    number = rows.series(step="dead", code="build_timeout")
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert "series by step: 1 dead" in text
    assert f"(build_timeout); python -m services.dicom_node resend {number}" in text
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dead_letters"][0]["id"] == number


def test_resend_sends_a_series_again_to_one_destination(rows: Rows) -> None:
    assessment = rows.assessment(rows.series(step=None), 1, "committed")
    rows.delivery(assessment, "pacs", "dead", "refused")
    rows.delivery(assessment, "archive", "committed")
    assert main(["resend", "1", "--to", "pacs"]) == 0
    assert deliveries(rows) == [("pacs", "pending", 0), ("archive", "committed", 0)]
    assert rows.step(assessment) == "built"


@pytest.mark.parametrize("what", ["1", "--dead"])
def test_resend_names_an_unknown_destination(rows: Rows, capsys: pytest.CaptureFixture[str], what: str) -> None:
    rows.series(step="committed")
    assert main(["resend", what, "--to", "nobody"]) == 2
    assert "--to nobody: there is no such destination" in capsys.readouterr().err


def test_resend_leaves_superseded_results(rows: Rows) -> None:
    series = rows.series(step=None)
    rows.delivery(rows.assessment(series, 1, "superseded"), "pacs", "superseded")
    rows.delivery(rows.assessment(series, 2, "committed"), "pacs", "committed")
    assert main(["resend", f"{UID}0000000000"]) == 0
    assert deliveries(rows) == [("pacs", "superseded", 0), ("pacs", "pending", 0)]


def test_resend_sends_results_to_a_destination_that_was_added_later(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = '[peers.new]\nae_title = "NEW"\nhost = "127.0.0.1"\nport = 104\nsend = ["sr"]\n'
    (tmp_path / "peers.toml").write_text(peers)
    monkeypatch.setenv("ICH_NODE_PEERS_FILE", str(tmp_path / "peers.toml"))
    rows.delivery(rows.assessment(rows.series(step=None), 1, "committed"), "pacs", "committed")
    assert main(["resend", "1", "--to", "new"]) == 0
    assert deliveries(rows) == [("pacs", "committed", 0), ("new", "pending", 0)]


def test_resend_builds_failed_results_again(rows: Rows) -> None:
    number = rows.series(step="dead", code="build_timeout")
    assert main(["resend", str(number)]) == 0
    assert rows.step(1) == "reported"


def test_resend_of_all_dead_letters(rows: Rows) -> None:
    assessment = rows.assessment(rows.series(step=None), 1, "sent")
    for step in ("dead", "sent", "dead"):
        rows.delivery(assessment, "pacs", step)
    assert main(["resend", "--dead"]) == 0
    assert [step for _, step, _ in deliveries(rows)] == ["pending", "sent", "pending"]
    assert main(["resend"]) == 2
    assert main(["resend", "1", "--dead"]) == 2


def test_forget_deletes_rows_and_files(rows: Rows, tmp_path: Path) -> None:
    series = rows.series(step=None)
    assessment = rows.assessment(series, 1, "built")
    rows.delivery(assessment, "pacs", "pending")
    path = rows.instance(series)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"pixels")
    (tmp_path / "assessments" / str(assessment)).mkdir(parents=True)
    other = rows.series(step="built")
    with rows.database.write() as connection:
        connection.execute("UPDATE assessments SET job_id = 'job-1' WHERE series = ?", (series,))
    assert main(["forget", str(series)]) == 0
    with rows.database.read() as connection:
        assert jobs_to_delete(connection) == ["job-1"]
    assert deliveries(rows) == []
    assert not (tmp_path / path).exists()
    assert not (tmp_path / "assessments" / str(assessment)).exists()
    assert main(["forget", str(series)]) == 2
    assert main(["forget", str(other)]) == 0


def test_a_study_is_forgotten_as_a_whole(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        rows.series(step="built")
    with rows.database.write() as connection:
        connection.execute("UPDATE series SET study_uid = '2.25.7'")
    rows.series(step="built")
    assert main(["resend", "2.25.7"]) == 0
    assert main(["forget", "2.25.7"]) == 0
    assert "2 series are deleted here" in capsys.readouterr().out
    assert main(["forget", "2.25.7"]) == 2
    with rows.database.read() as connection:
        assert connection.execute("SELECT count(*) FROM series").fetchone()[0] == 1


def test_a_series_uid_in_two_studies_needs_a_number(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        rows.series(step="built")
    with rows.database.write() as connection:
        connection.execute("UPDATE series SET series_uid = '2.25.8', study_uid = '2.25.9.' || id")
    assert main(["forget", "2.25.8"]) == 2
    assert "give one of the numbers 1, 2" in capsys.readouterr().err
