"""Jobs with a real Redis server and real processes."""

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
from tests.drill.sender import ENDED, Sender, Tally, job_ids
from tests.e2e import canary
from tests.otlp_receiver import OtlpReceiver
from tests.receiver import Received, Receiver
from tests.running import Service
from tests.scans import ct_slice, head, zipped

_PATIENTS: Final = 50
_SERIES_A_PATIENT: Final = 4
_ROUTINE: Final = 500
_FEW: Final = 10
_WEBHOOK_FIELDS: Final = ("status", "priority", "source", "counts", "series_present", "series_with_warnings")
Parts = list[tuple[str, tuple[str, bytes]]]
Files = dict[str, bytes]

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """A client; deletes the jobs of the test. Other files share the product and its jobs."""
    service.wait_until_ready(60)
    with httpx.Client(base_url=service.url, timeout=120) as client:
        before = set(job_ids(client))
        yield client
        for job in set(job_ids(client)) - before:
            while client.delete(f"/v1/jobs/{job}").status_code == 200:  # cancelled at first, then deleted
                pass


def _series(patient: int, number: int) -> Files:
    """Two to four slices of one patient; every series has other pixels."""
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


def _wait_for_a_report(client: httpx.Client, job: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while not (done := client.get(job).json()["progress"]["series_done"]):
        assert time.monotonic() < deadline, "no series was assessed"
        time.sleep(0.05)
    return int(done)


def _reports(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    found, address = [], f"{job}/reports?limit=60"
    while address:
        page = client.get(address).json()
        found += page["reports"]
        address = page["next"]
    return found


def _webhook(receiver: Receiver, job_id: str) -> Received:
    deadline = time.monotonic() + 30
    while not (found := [item for item in receiver.received if job_id.encode() in item.body]):
        assert time.monotonic() < deadline, "the webhook was not delivered"
        time.sleep(0.1)
    return found[0]


def _numbers(report: dict[str, Any]) -> list[float]:
    rows = [report["series"], *report["slices"]]
    return [row["probabilities"][label] for row in rows for label in LABELS]


@pytest.mark.timeout(900)
def test_two_hundred_shuffled_series_have_the_reports_of_synchronous_requests(client: httpx.Client) -> None:
    series = [_series(patient, number) for patient in range(_PATIENTS) for number in range(_SERIES_A_PATIENT)]
    loose = [item for files in series[20:] for item in files.items()]
    packed = [item for files in series[:20] for item in files.items()]
    shuffle = random.Random(6).shuffle  # noqa: S311 - an order, no secret
    shuffle(loose)
    shuffle(packed)
    archives = {f"{start}.zip": zipped(packed[start::3]) for start in range(3)}
    parts = _parts({**dict(loose), **archives})
    shuffle(parts)

    job = _send(client, parts)
    alone = [client.post("/v1/predictions", files=_parts(files)).raise_for_status().json() for files in series]
    document = _ended(client, job, 600)

    assert document["counts"] == {"assessed": len(series), "not_assessed": 0, "failed": 0}
    reports = {report["series"]["series_instance_uid"]: report for report in _reports(client, job)}
    assert len(_reports(client, job)) == len(reports) == len(series)
    for one in alone:
        other = reports[one["series"]["series_instance_uid"]]
        # Batches differ, and with them rounding; reports have six decimal places.
        assert _numbers(other) == pytest.approx(_numbers(one), abs=1.01e-6, rel=0)
        assert [item["file"] for item in other["slices"]] == [item["file"] for item in one["slices"]]
    assert len({str(_numbers(one)) for one in alone}) == len(series), "equal series prove little"


@pytest.mark.timeout(600)
def test_an_urgent_series_overtakes_five_hundred_routine_ones(client: httpx.Client) -> None:
    hu = head(64)
    routine = {
        f"{number}.dcm": ct_slice(0, hu, SeriesInstanceUID=f"2.25.60.{number}", SOPInstanceUID=f"2.25.60.{number}.1")
        for number in range(_ROUTINE)
    }
    backlog = _send(client, _parts(routine), priority="routine")
    before = _wait_for_a_report(client, backlog, 120)
    urgent = _send(client, _parts(_series(1, 1)), priority="urgent")
    _ended(client, urgent, 60)
    after = client.get(backlog).json()["progress"]

    assert after["series"] == _ROUTINE
    assert after["series_done"] - before < _FEW


def test_a_worker_loses_nothing_after_sigterm(service: Service, client: httpx.Client) -> None:
    sender = Sender(client, time.monotonic() + 120, others=frozenset(job_ids(client)))
    sender.wait_until_started(sender.send(16))
    os.kill(service.worker("urgent routine"), signal.SIGTERM)
    sender.wait_until_ended()
    assert sender.tally() == Tally(accepted=16, reported=16, lost=0, duplicated=0)


def _listed(client: httpx.Client, job: str, **query: str) -> list[dict[str, Any]]:
    """The worklist's entries of a job, when all have a report."""
    while True:
        page = client.get("/v1/worklist", params={"job": job, **query}).raise_for_status().json()
        if page["entries"] and not page["waiting"]:
            entries: list[dict[str, Any]] = page["entries"]
            return entries
        time.sleep(0.05)


def _all_spans(client: httpx.Client, collector: OtlpReceiver) -> bytes:
    """All spans so far: those of a last request have arrived, in the order of each process."""
    trace = "5bf92f3577b34da6a3ce929d0e0e4701"
    stages = {"ich-gateway", "ich-preprocess", "ich-cnn", "ich-rnn"}
    headers = {"traceparent": f"00-{trace}-00f067aa0b5902b7-01"}
    client.post("/v1/predictions", files=_parts(_series(1, 1)), headers=headers).raise_for_status()
    collector.wait_for(
        lambda found: {span.service for span in found if span.trace == trace and span.kind == "server"} >= stages
    )
    return b"".join(collector.bodies)


def test_no_patient_or_file_name_leaves_the_job_store(
    service: Service, client: httpx.Client, receiver: Receiver, collector: OtlpReceiver
) -> None:
    job = _send(client, canary.marked_upload(), webhook=f"{receiver.url}/hooks/ich")
    document = _ended(client, job, 120)
    for name, data in canary.broken_uploads():
        assert canary.FILE in client.post("/v1/jobs", files=[("files", (name, data))]).json()["detail"]

    listed = _listed(client, document["id"], text=canary.NAME.split("^")[0].lower())
    assert {entry["patient_name"] for entry in listed} == {", ".join(canary.NAME.split("^"))}
    assert {entry["series_description"] for entry in listed} == {canary.DESCRIPTION}
    assert len({entry["patient"] for entry in listed}) == 1
    with client.stream("GET", "/v1/worklist/events") as events:
        assert next(events.iter_lines()) == "event: changed"
    assert client.get("/v1/worklist", params={"sort": canary.DESCRIPTION}).json()["code"] == "invalid_filter"

    webhook = _webhook(receiver, document["id"])
    fields = {name: document[name] for name in _WEBHOOK_FIELDS}
    assert json.loads(webhook.body) == {"job": document["id"], **fields, "warnings": []}

    strangers = {"tracestate": f"ich={canary.PATIENT_ID.lower()}", "baggage": f"name={canary.DESCRIPTION}"}
    for method, path in (("GET", f"/v1/jobs/{canary.FILE}"), ("GET", f"/{canary.UID}"), (canary.FILE, "/v1/jobs")):
        assert client.request(method, path, params={"name": canary.NAME}, headers=strangers).is_client_error
    traces = _all_spans(client, collector)
    assert {span.service for span in collector.spans()} >= {"ich-gateway", "ich-worker", "ich-preprocess"}

    outputs = [*canary.outputs(service), ("webhook", repr(webhook).encode()), ("traces", traces)]
    assert {"log", "metrics", service.audit_file.name} < {place for place, _ in outputs}
    assert any(b"run_ticket" in part for _, text in outputs for part in canary.decompressed(text)), "data of RQ"
    assert canary.search(iter(outputs)) == []
    assert canary.FILE in str(_reports(client, job)), "the sender gets the name"


@pytest.mark.parametrize("pack", [bytes, zlib.compress, lambda text: base64.b64encode(zlib.compress(text))])
def test_the_search_finds_a_canary_word(pack: Callable[[bytes], bytes]) -> None:
    hidden = b"*3 set " + pack(f"a {canary.PATIENT_ID} b".encode()) + b" more"
    assert canary.search(iter([("x", hidden)])) == [canary.Found(canary.PATIENT_ID, "x")]
