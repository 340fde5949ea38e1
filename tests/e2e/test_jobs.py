"""Jobs with real Redis and real processes."""

import base64
import json
import os
import random
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import httpx
import pytest

from services.common.labels import LABELS
from tests.drill.sender import ENDED, Sender, Tally
from tests.e2e import canary
from tests.receiver import Received, Receiver
from tests.running import Service
from tests.scans import ct_slice, head, zipped

_PATIENTS: Final = 50
_SERIES_A_PATIENT: Final = 4
_ROUTINE: Final = 500
_TENTH: Final = 10
_TOLD: Final = ("status", "counts", "series_present", "series_with_warnings")
Parts = list[tuple[str, tuple[str, bytes]]]
Files = dict[str, bytes]

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """To a gateway without jobs, before the test and after it."""
    service.wait_until_ready(60)
    with httpx.Client(base_url=service.url, timeout=120) as client:
        yield client
        while jobs := client.get("/v1/jobs").json()["jobs"]:
            for job in jobs:
                client.delete(f"/v1/jobs/{job['id']}")


def _series(patient: int, number: int) -> Files:
    """Two to four slices of one patient; no two series look alike."""
    unique = patient * _SERIES_A_PATIENT + number
    hu = head(128, brain_hu=20 + unique % 40, skull=0.03 + 0.0005 * unique)
    uid = f"2.25.50.{patient}.{number}"
    tags = {"PatientID": f"p{patient}", "StudyInstanceUID": f"2.25.50.{patient}", "SeriesInstanceUID": uid}
    return {
        f"{uid}/{index}.dcm": ct_slice(index, hu, **tags, SOPInstanceUID=f"{uid}.{index + 1}")
        for index in range(2 + unique % 3)
    }


def _parts(files: Mapping[str, bytes]) -> Parts:
    return [("files", item) for item in files.items()]


def _send(client: httpx.Client, parts: Parts, **query: str) -> str:
    answer = client.post("/v1/jobs", files=parts, params=query)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def _ended(client: httpx.Client, job: str, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (document := client.get(job).json())["status"] not in ENDED:
        assert time.monotonic() < deadline, document
        time.sleep(0.02)
    return dict(document)


def _reports(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    found, address = [], f"{job}/reports?limit=60"
    while address:
        page = client.get(address).json()
        found += page["reports"]
        address = page["next"]
    return found


def _told(receiver: Receiver, job_id: str) -> Received:
    deadline = time.monotonic() + 30
    while not (found := [told for told in receiver.received if job_id.encode() in told.body]):
        assert time.monotonic() < deadline, "the webhook was not told"
        time.sleep(0.1)
    return found[0]


def _numbers(report: dict[str, Any]) -> list[float]:
    rows = [report["series"], *report["slices"]]
    return [row["probabilities"][label] for row in rows for label in LABELS]


@pytest.mark.timeout(900)
def test_two_hundred_shuffled_series_have_the_reports_of_the_waiting_call(client: httpx.Client) -> None:
    sent = [_series(patient, number) for patient in range(_PATIENTS) for number in range(_SERIES_A_PATIENT)]
    loose = [item for files in sent[20:] for item in files.items()]
    packed = [item for files in sent[:20] for item in files.items()]
    shuffle = random.Random(6).shuffle  # noqa: S311 - an order, no secret
    shuffle(loose)
    shuffle(packed)
    archives = {f"{start}.zip": zipped(packed[start::3]) for start in range(3)}
    parts = _parts({**dict(loose), **archives})
    shuffle(parts)

    job = _send(client, parts)
    alone = [client.post("/v1/predictions", files=_parts(files)).raise_for_status().json() for files in sent]
    document = _ended(client, job, 600)

    assert document["counts"] == {"assessed": len(sent), "not_assessed": 0, "failed": 0}
    reports = {report["series"]["series_instance_uid"]: report for report in _reports(client, job)}
    assert len(_reports(client, job)) == len(reports) == len(sent)
    for one in alone:
        other = reports[one["series"]["series_instance_uid"]]
        # Batches differ, and with them the last digit of sums; a report rounds to six places, so to one of the last.
        assert _numbers(other) == pytest.approx(_numbers(one), abs=1.01e-6, rel=0)
        assert [item["file"] for item in other["slices"]] == [item["file"] for item in one["slices"]]
    assert len({str(_numbers(one)) for one in alone}) == len(sent), "series that look alike prove little"


@pytest.mark.timeout(600)
def test_an_urgent_series_does_not_wait_for_five_hundred_routine_ones(client: httpx.Client) -> None:
    hu = head(64)
    routine = {
        f"{number}.dcm": ct_slice(0, hu, SeriesInstanceUID=f"2.25.60.{number}", SOPInstanceUID=f"2.25.60.{number}.1")
        for number in range(_ROUTINE)
    }
    backlog = _send(client, _parts(routine), priority="routine")
    while client.get(backlog).json()["progress"]["series_done"] == 0:
        time.sleep(0.05)

    before = client.get(backlog).json()["progress"]["series_done"]
    urgent = _send(client, _parts(_series(1, 1)), priority="urgent")
    _ended(client, urgent, 60)
    behind = client.get(backlog).json()["progress"]

    assert behind["series"] == _ROUTINE
    assert behind["series_done"] - before < _TENTH


def test_a_worker_that_is_told_to_stop_loses_nothing(service: Service, client: httpx.Client) -> None:
    sender = Sender(client, time.monotonic() + 120)
    sender.wait_until_started(sender.send(16))
    os.kill(service.worker("urgent routine"), signal.SIGTERM)
    sender.wait_until_ended()
    assert sender.tally() == Tally(accepted=16, reported=16, lost=0, duplicated=0)


def test_no_name_of_a_patient_or_file_is_kept_or_told(
    service: Service, client: httpx.Client, receiver: Receiver
) -> None:
    job = _send(client, canary.marked_upload(), webhook=f"{receiver.url}/hooks/ich")
    document = _ended(client, job, 120)
    for name, data in canary.broken_uploads():
        assert canary.FILE in client.post("/v1/jobs", files=[("files", (name, data))]).json()["detail"]

    told = _told(receiver, document["id"])
    said = {name: document[name] for name in _TOLD}
    assert json.loads(told.body) == {"job": document["id"], **said, "warnings": []}

    everything = [*canary.everything(service), ("webhook", repr(told).encode())]
    assert {"log", "metrics"} < {place for place, _ in everything}
    assert any(b"run_ticket" in part for _, text in everything for part in canary.inflated(text)), "RQ's are opened"
    assert canary.search(iter(everything)) == []
    assert canary.FILE in str(_reports(client, job)), "the sender is told"


@pytest.mark.parametrize("pack", [bytes, zlib.compress, lambda text: base64.b64encode(zlib.compress(text))])
def test_the_search_for_canaries_finds_one(pack: Callable[[bytes], bytes]) -> None:
    hidden = b"*3 set " + pack(f"a {canary.PATIENT_ID} b".encode()) + b" more"
    assert canary.search(iter([("x", hidden)])) == [canary.Found(canary.PATIENT_ID, "x")]
