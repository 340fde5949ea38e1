"""Jobs with the real gateway, real stages (except networks) and a real Redis, in one process.

The test's own process takes the tickets, in the order of the queue, and runs a worker's code.
"""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from anyio import from_thread, to_thread
from hypothesis import HealthCheck, given, settings
from redis import Redis

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.card import open_bundle
from services.common.retry_policy import RetryPolicy
from services.common.version import VERSION
from services.gateway.jobs.attempts import Attempts
from services.gateway.jobs.lane_state import Lane
from services.gateway.jobs.patient_key import patient_key
from services.gateway.jobs.processing import TaskContext, TaskResult, process_task
from services.gateway.jobs.scheduler import FairScheduler, Task
from services.gateway.jobs.store import JobStore
from services.gateway.jobs.tasks import run_task
from services.gateway.settings import Settings
from services.gateway.severities import DEFAULT_SEVERITIES
from services.gateway.stages.stage_client import StageClient, Stages
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.attack.large_frames import blank_frames
from tests.bundles import fake_bundle
from tests.contracts.conftest import FEW_RETRIES, Chain, FeatureScorer, MeanExtractor, stage_apps
from tests.contracts.random_uploads import CONTENT_TYPE, Upload, uploads
from tests.contracts.test_uploads import named
from tests.gateway.jobs.queue_worker import QueueWorker
from tests.redis_process import redis_url, running_redis
from tests.scans import ct_slice, head, picture, zipped

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis) -> Settings:
    redis.flushall()
    changed = {"redis_url": redis_url(redis), "chunk_slices": 64, "max_job_files": 1000}
    return gateway_settings.model_copy(update=changed)


class Batch(QueueWorker):
    """Sends jobs, and processes them."""

    def __init__(self, chain: Chain, redis: Redis) -> None:
        store = JobStore.at(chain.settings.jobs_dir, chain.settings.jobs_url)
        super().__init__(FairScheduler(redis, store, chain.settings.job_lanes), redis)
        self.chain, self.store = chain, store
        self.severities = DEFAULT_SEVERITIES
        clients = {
            name: httpx.AsyncClient(transport=transport, base_url=f"http://{name}", timeout=60)
            for name, transport in chain.transports.items()
        }
        self.stages = Stages(
            **{name: StageClient(name, client, options=FEW_RETRIES) for name, client in clients.items()}
        )

    async def send(self, files: dict[str, bytes], **query: Any) -> str:
        parts = [("files", (name, content)) for name, content in files.items()]
        answer = await self.chain.client.post("/v1/jobs", files=parts, params=query)
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    async def work(self) -> list[str]:
        """Process all tickets: the ids of their tasks, in order."""
        done: list[str] = []
        while ticket := self.pop():
            await self.process(ticket, done)
        return done

    async def process(self, ticket: tuple[Lane, str], done: list[str]) -> None:
        """Process one ticket, and add the ids of its tasks to `done`."""
        await to_thread.run_sync(self.scheduler.process_ticket, *ticket, partial(self._run_task, done))

    def _run_task(self, done: list[str], task: Task) -> bool:
        def process(attempts: Attempts, lost_workers: int) -> TaskResult | None:
            settings = self.chain.settings
            key = patient_key(self.store.storage, settings.patient_key_file)
            context = TaskContext(
                self.stages, settings, attempts, RetryPolicy(0.001, 15), self.severities, patient_key=key
            )
            return from_thread.run(process_task, task, context, lost_workers)

        done.append(task.id)
        return run_task(task, self.redis, process)

    async def get(self, address: str) -> Any:
        return (await self.chain.client.get(address)).json()


@pytest.fixture
async def batch(chain: Chain, redis: Redis) -> AsyncIterator[Batch]:
    found = Batch(chain, redis)
    yield found
    await found.stages.close()


def series(number: int, slices: int = 2, **tags: Any) -> dict[str, bytes]:
    uids: dict[str, Any] = {"SeriesInstanceUID": f"2.25.9.{number}", "StudyInstanceUID": f"2.25.{number // 2 + 1}"}
    return {f"{number}-{index}.dcm": ct_slice(index + number, **{**uids, **tags}) for index in range(slices)}


async def test_each_series_of_a_mixed_job_has_the_report_of_the_synchronous_request(batch: Batch) -> None:
    found = [series(number) for number in range(4)]
    shuffled = dict(sorted({**found[0], **found[1], **found[2]}.items(), key=lambda item: item[0][::-1]))
    address = await batch.send({**shuffled, "more.zip": zipped(found[3])})
    await batch.work()
    document, page = await batch.get(address), await batch.get(f"{address}/reports")
    assert (document["status"], document["counts"]["assessed"]) == ("finished", 4)
    assert document["progress"] == {"series_done": 4, "series": 4, "slices_done": 8, "slices": 8}
    assert document["created"] <= document["started"] <= document["ended"]
    reports = {report["series"]["series_instance_uid"]: report for report in page["reports"]}
    assert len(reports) == len(page["reports"]) == 4
    for number, files in enumerate(found):
        waited, report = (await batch.chain.predict(files)).json(), reports[f"2.25.9.{number}"]
        assert report["series"]["probabilities"] == pytest.approx(waited["series"]["probabilities"], abs=1e-6)
        assert report["findings"] == waited["findings"]
        assert [item["sop_instance_uid"] for item in report["slices"]] == [
            item["sop_instance_uid"] for item in waited["slices"]
        ]


async def test_thin_slices_are_averaged_in_a_job_as_in_a_synchronous_request(batch: Batch, tmp_path: Path) -> None:
    for name, app in stage_apps(tmp_path / "thin", MeanExtractor(), spacing_mm=(2.2, 6.0)).items():
        batch.chain.transports[name].inner = httpx.ASGITransport(app)
    files = {
        f"{index}.dcm": ct_slice(index, hu=head(64), PixelSpacing=[3.9, 3.9], ImagePositionPatient=[0, 0, 1.25 * index])
        for index in range(10)
    }
    address = await batch.send(files, blood=False)
    await batch.work()
    (report,) = (await batch.get(f"{address}/reports"))["reports"]
    waited = (await batch.chain.predict(files)).json()
    assert [item["slab"] for item in report["slices"]] == [item["slab"] for item in waited["slices"]]
    assert len({item["slab"] for item in report["slices"]}) == 3
    assert report["reasons"] == waited["reasons"]
    assert report["series"]["probabilities"] == pytest.approx(waited["series"]["probabilities"], abs=1e-6)


async def test_a_bad_series_fails_alone_with_a_reason(batch: Batch) -> None:
    bad = series(1)
    bad["1-1.dcm"] = bad["1-1.dcm"][:-1000]
    address = await batch.send({**series(0), **bad, "notes.txt": b"no image"})
    before = batch.chain.transports["preprocess"].requests
    await batch.work()
    document, page = await batch.get(address), await batch.get(f"{address}/reports")
    assert (document["status"], document["counts"]) == ("finished", {"assessed": 1, "not_assessed": 0, "failed": 1})
    assert [(item["file"], item["code"]) for item in document["left_out"]] == [("notes.txt", "not_dicom")]
    (failed,) = (report for report in page["reports"] if report["status"] == "failed")
    assert failed["series"]["series_instance_uid"] == "2.25.9.1"
    assert failed["problem"]["status"] == 422
    assert failed["problem"]["files"][0]["file"] == "1-1.dcm"
    assert batch.chain.transports["preprocess"].requests - before == 3  # the headers and each series, once
    assert failed["problem"]["code"] == (await batch.chain.predict(bad)).json()["code"]


async def test_a_costly_series_of_a_job_fails_alone_with_its_code(batch: Batch) -> None:
    address = await batch.send({**series(0), "large.dcm": blank_frames(126, 4096, spacing_mm=1.2)})
    await batch.work()
    document, page = await batch.get(address), await batch.get(f"{address}/reports")
    assert (document["status"], document["counts"]) == ("finished", {"assessed": 1, "not_assessed": 0, "failed": 1})
    (failed,) = (report for report in page["reports"] if report["status"] == "failed")
    assert (failed["problem"]["status"], failed["problem"]["code"]) == (413, "too_costly")


async def test_a_job_has_the_severities_of_the_site(batch: Batch) -> None:
    batch.severities = {"other_body_part": "warn"}
    address = await batch.send(series(0, BodyPartExamined="FOOT"))
    await batch.work()
    (report,) = (await batch.get(f"{address}/reports"))["reports"]
    assert report["status"] == "assessed"
    assert ("other_body_part", "warn") in {(item["code"], item["severity"]) for item in report["reasons"]}


async def test_a_corrupt_file_that_names_no_series_is_left_out_and_listed(batch: Batch) -> None:
    address = await batch.send({**series(0), "corrupt.png": picture()[:20], "a.png": picture()})
    await batch.work()
    document = await batch.get(address)
    assert document["counts"]["assessed"] == 2
    assert [(item["file"], item["code"]) for item in document["left_out"]] == [("corrupt.png", "corrupt_png")]


async def test_a_job_without_series_fails(batch: Batch) -> None:
    address = await batch.send({"notes.txt": b"no image", "more.txt": b"none"})
    await batch.work()
    document = await batch.get(address)
    assert (document["status"], document["progress"]["series"]) == ("failed", 0)
    assert len(document["left_out"]) == 2
    assert document["left_out"][0]["reason"]
    assert await batch.get(f"{address}/reports") == {"reports": [], "next": None}


async def test_pictures_have_one_report_without_a_series(batch: Batch) -> None:
    address = await batch.send({"a.png": picture(), "b.png": picture(), **series(0)})
    await batch.work()
    reports = (await batch.get(f"{address}/reports"))["reports"]
    pictures = next(report for report in reports if report["slices"][0]["file"] == "a.png")
    assert pictures["series"] is None
    assert [item["file"] for item in pictures["slices"]] == ["a.png", "b.png"]
    assert len(reports) == 2


async def test_a_series_across_several_header_requests_has_one_report(batch: Batch) -> None:
    """A request for headers holds 256 files."""
    other = {f"x{number}.txt": b"no image" for number in range(255)}
    first, *rest = series(0, 4).items()
    address = await batch.send(dict([first, *other.items(), *rest]))
    await batch.work()
    (report,) = (await batch.get(f"{address}/reports"))["reports"]
    assert report["series"]["slices"] == 4
    assert (await batch.get(address))["left_out_total"] == 255


async def test_copies_count_once_and_conflicts_fail_their_series(batch: Batch) -> None:
    other = {f"x{number}.txt": b"no image" for number in range(255)}
    copied, torn = series(0, 3), series(5, 3)
    files = {**copied, **torn, **other, "copy.dcm": copied["0-1.dcm"], "torn.dcm": {**series(5, 3, KVP=119)}["5-1.dcm"]}
    address = await batch.send(files)
    await batch.work()
    page = await batch.get(f"{address}/reports")
    reports = {report["series"]["series_instance_uid"]: report for report in page["reports"]}
    (note,) = (item for item in reports["2.25.9.0"]["reasons"] if item["code"] == "duplicate_file")
    assert note["detail"] == "copy.dcm is a copy of 0-1.dcm; it counts once."
    assert [item["file"] for item in reports["2.25.9.0"]["slices"]] == list(copied)
    problem = reports["2.25.9.5"]["problem"]
    assert (problem["code"], [item["file"] for item in problem["files"]]) == (
        "conflicting_instances",
        ["5-1.dcm", "torn.dcm"],
    )


async def test_a_task_is_retried_after_faults_of_a_stage(batch: Batch) -> None:
    address = await batch.send(series(0))
    transport = batch.chain.transports["cnn"]
    real, faults = transport.inner, 2

    class Failing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal faults
            if request.method == "POST" and faults:
                faults -= 1
                return httpx.Response(500, stream=httpx.ByteStream(b"{}"))
            return await real.handle_async_request(request)

    transport.inner = Failing()
    await batch.work()
    assert faults == 0
    assert (await batch.get(address))["counts"]["assessed"] == 1


async def test_a_job_cancelled_during_processing_keeps_its_reports(batch: Batch) -> None:
    address = await batch.send({**series(0), **series(1)})
    await batch.process(batch.take(), [])
    assert (await batch.get(address))["status"] == "running"
    ready = (await batch.get(f"{address}/reports"))["reports"]
    assert len(ready) == 1
    cancelled = (await batch.chain.client.delete(address)).json()
    assert (cancelled["status"], cancelled["counts"]["assessed"]) == ("cancelled", 1)
    assert await batch.work() == []
    assert (await batch.get(f"{address}/reports"))["reports"] == ready
    assert (await batch.get(address))["progress"]["series_done"] == 1
    assert (await batch.chain.client.delete(address)).status_code == 204
    assert (await batch.chain.client.get(f"{address}/reports")).status_code == 404


async def test_a_job_with_a_changed_bundle_has_a_warning(batch: Batch, tmp_path: Path) -> None:
    address = await batch.send({**series(0), **series(1), **series(2)})
    await batch.process(batch.take(), [])
    before = await batch.get(address)
    other = fake_bundle(tmp_path / "other", name="other")
    stages = {
        "cnn": create_cnn(batch.chain.extractor, other, CnnSettings()),
        "rnn": create_rnn(FeatureScorer(), other, RnnSettings()),
    }
    for name, app in stages.items():
        batch.chain.transports[name].inner = httpx.ASGITransport(app)
    await batch.work()
    document = await batch.get(address)
    first = open_bundle(batch.chain.bundle).card_sha256
    assert before["models"] == [{"name": "fake", "sha256": first, "reports": 1}]
    assert before["warnings"] == []
    assert document["models"] == [
        {"name": "other", "sha256": other.card_sha256, "reports": 2},
        {"name": "fake", "sha256": first, "reports": 1},
    ]
    assert [warning["code"] for warning in document["warnings"]] == ["several_models"]
    table = await batch.chain.client.get(f"{address}/reports", headers={"accept": "text/csv"})
    hashes = [row["model_sha256"] for row in csv.DictReader(io.StringIO(table.text))]
    assert sorted(hashes) == sorted([first, other.card_sha256, other.card_sha256])
    end = (await batch.chain.client.get(f"{address}/events")).text.strip().rpartition("data: ")[2]
    assert json.loads(end) == document


async def test_reports_of_jobs_and_predictions_have_time_version_and_evidence(batch: Batch) -> None:
    foot = series(1, BodyPartExamined="FOOT")
    blank = {"blank.dcm": ct_slice(0, np.zeros((512, 512), np.int16), SeriesInstanceUID="2.25.9.7")}
    cut = series(2)
    cut["2-1.dcm"] = cut["2-1.dcm"][:-1000]
    address = await batch.send({**series(0), **foot, **blank, **cut})
    await batch.work()
    reports = (await batch.get(f"{address}/reports"))["reports"]
    reports += [(await batch.chain.predict(files)).json() for files in (foot, blank)]
    for report in reports:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", report["created"])
        assert report["version"] == VERSION
        assert bool(report.get("evidence")) == (report["status"] == "not_assessed")
    refused = [report for report in reports if report["status"] == "not_assessed"]
    assert [report["evidence"]["slices_read"] for report in refused] == [0, 1, 0, 1]
    assert [report["evidence"]["constant_slices"] for report in refused] == [0, 1, 0, 1]
    assert refused[0]["evidence"]["spacing_mm"] == 5


async def test_urgent_jobs_are_processed_before_the_backlog(batch: Batch) -> None:
    for number in range(6):
        await batch.send(series(number))
    urgent = (await batch.send(series(9), priority="urgent")).rpartition("/")[2]
    done = await batch.work()
    assert [task.split("-")[0] for task in done[:2]] == [urgent, urgent]
    assert len(done) == 14


async def test_redis_logs_and_metrics_hold_nothing_of_a_patient(
    batch: Batch, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="services")
    files = series(0, PatientName="CANARY^JANE", PatientID="CANARY")
    bad = series(1, PatientName="CANARY^JANE")
    bad["1-1.dcm"] = bad["1-1.dcm"][:-1000]
    await batch.send({f"CANARY-{name}": content for name, content in {**files, **bad}.items()})
    held = [redis.dump(key) or b"" for key in redis.keys("*")]
    await batch.work()
    held += [redis.dump(key) or b"" for key in redis.keys("*")]
    assert b"CANARY" not in b"".join(held)
    assert "CANARY" not in json.dumps([vars(record) for record in caplog.records], default=str)
    assert "CANARY" not in (await batch.chain.client.get("/metrics")).text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(upload=uploads())
async def test_every_part_is_reported_left_out_or_refused_by_name(batch: Batch, upload: Upload) -> None:
    """As of a prediction in test_uploads.py; a file without a readable header belongs to no series, and is left out."""
    answer = await batch.chain.client.post("/v1/jobs", content=upload.body, headers=CONTENT_TYPE)
    if answer.status_code != 202:
        assert named(answer.json()) == (upload.parts or upload.archives)
        assert named(answer.json()) or answer.json()["code"] == "no_files"
        return
    await batch.work()
    document, page = (
        await batch.get(answer.headers["location"]),
        await batch.get(f"{answer.headers['location']}/reports"),
    )
    left_out = [item["file"] for item in document["left_out"]]
    assert len(left_out) == document["left_out_total"] == len(set(left_out))
    assessed = {item["file"] for report in page["reports"] for item in report.get("slices", ())}
    failed = set().union(*(named(report.get("problem", {})) for report in page["reports"]))
    alone = upload.cut if not upload.slices else set()
    assert set(left_out) == upload.aside | upload.corrupt | alone
    assert (assessed, failed) == ((set(), upload.cut - alone) if upload.cut else (upload.slices, set()))


async def test_a_corrupt_dicom_file_is_left_out_as_corrupt(batch: Batch) -> None:
    """A series may lack a slice: the page and the batch client show it so."""
    address = await batch.send(
        {**series(0), "lost.dcm": b"nothing left", "notes.txt": b"words", "._0.dcm": b"\0\5\26\7"}
    )
    await batch.work()
    left_out = (await batch.get(address))["left_out"]
    assert [(item["file"], item["code"]) for item in left_out] == [
        ("lost.dcm", "corrupt_header"),
        ("notes.txt", "not_dicom"),
        ("._0.dcm", "system_file"),
    ]
