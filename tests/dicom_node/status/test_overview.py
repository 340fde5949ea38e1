"""The state of the registry, as the status shows it."""

from datetime import datetime

from services.dicom_node.registry.database import Database
from services.dicom_node.status.overview import Overview
from services.dicom_node.status.schemas import RegistryStatus
from tests.dicom_node.status.conftest import LATE, UID, Rows


def read(database: Database, *destinations: str) -> RegistryStatus:
    """The status a minute after the first rows."""
    return Overview(database, destinations, lambda: datetime.fromisoformat(LATE)).read()


def test_an_empty_registry_lists_the_configured_destinations(database: Database) -> None:
    status = read(database, "pacs")
    assert sum(status.series.values()) == 0
    assert [(one.name, one.pending, one.configured) for one in status.destinations] == [("pacs", 0, True)]
    assert status.oldest_unsent_s == 0


def test_a_series_counts_at_the_step_of_its_last_assessment(database: Database, rows: Rows) -> None:
    rows.series(step=None)
    twice = rows.series(step="superseded")
    rows.assessment(twice, 2, "built")
    assert {step: count for step, count in read(database).series.items() if count} == {
        "received": 1,
        "built": 1,
        "superseded": 1,
    }


def test_a_series_that_is_not_ours_is_listed_with_its_reasons(database: Database, rows: Rows) -> None:
    number = rows.series(step=None, ours=False, reasons=("Modality is MR, not CT",))
    (passed,) = read(database).passed_over
    assert (passed.id, passed.reasons, passed.age_s) == (number, ("Modality is MR, not CT",), 60)
    assert read(database).series["passed_over"] == 1


def test_the_oldest_unsent_assessment_ages_until_its_deliveries_are_sent(database: Database, rows: Rows) -> None:
    assessment = rows.assessment(rows.series(step=None), 1, "sent")
    rows.delivery(assessment, "pacs", "sent")
    assert read(database).oldest_unsent_s == 0
    rows.delivery(assessment, "archive", "pending", "unreachable")
    assert read(database).oldest_unsent_s == 60


def test_a_series_that_waits_for_images_is_in_progress(database: Database, rows: Rows) -> None:
    number = rows.series(step=None)
    assert [(one.id, one.step, one.age_s) for one in read(database).oldest] == [(number, "received", 60)]


def test_results_without_a_destination_are_not_in_progress(database: Database, rows: Rows) -> None:
    rows.series(step="built")
    assessment = rows.assessment(rows.series(step=None), 1, "built")
    rows.delivery(assessment, "pacs", "pending", "unreachable")
    rows.finish_series()
    assert [(one.id, one.step) for one in read(database).oldest] == [(2, "built")]


def test_destinations_have_their_queue_and_last_code(database: Database, rows: Rows) -> None:
    assessment = rows.assessment(rows.series(step=None), 1, "built")
    for step in ("pending", "pending", "sent", "committed"):
        rows.delivery(assessment, "pacs", step)
    rows.delivery(assessment, "gone", "dead", "refused")
    pacs, gone = read(database, "pacs").destinations
    assert (pacs.pending, pacs.sent, pacs.delivered, pacs.dead, pacs.code) == (2, 1, 1, 0, None)
    assert (gone.name, gone.configured, gone.dead, gone.code) == ("gone", False, 1, "refused")


def test_dead_letters_name_the_command_that_tries_again(database: Database, rows: Rows) -> None:
    failed = rows.series(step="dead", code="stage_failed")
    undelivered = rows.series(step=None)
    assessment = rows.assessment(undelivered, 1, "built")
    rows.delivery(assessment, "pacs", "dead", "refused")
    rows.delivery(assessment, "pacs", "dead", "refused")
    found = [(one.id, one.destination, one.objects, one.code, one.resend) for one in read(database).dead_letters]
    command = "python -m services.dicom_node resend"
    assert found == [
        (failed, None, 0, "stage_failed", f"{command} {failed}"),
        (undelivered, "pacs", 2, "refused", f"{command} {undelivered}"),
    ]


def test_uids_are_shortened(database: Database, rows: Rows) -> None:
    rows.series(step="submitted")
    text = read(database).model_dump_json()
    assert UID not in text
    assert "…0000000000" in text
