"""The node's steps with the real gateway, stages (except networks), Redis and building process."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from anyio import from_thread, to_thread
from pydicom import dcmread
from redis import Redis

from services.common.report_schemas import Report
from services.dicom_node.assessment_folder import AssessmentFolder
from services.dicom_node.receive.accept_file import accept_file
from services.dicom_node.steps.building import ChildProcess
from services.dicom_node.steps.gateway_jobs import GatewayJobs, HttpGatewayJobs, JobFile, connect_gateway
from services.gateway.settings import Settings as GatewaySettings
from tests.contracts.conftest import Chain
from tests.contracts.test_enhanced import stack
from tests.contracts.test_jobs import Batch, series
from tests.dicom_node.registries import Node
from tests.dicom_node.steps.pipelines import Crash, Pipeline, send_all
from tests.preprocess.dicom_files import written
from tests.redis_process import redis_url, running_redis

pytestmark = pytest.mark.anyio

GRID = (32, 32)


@pytest.fixture
def blood_grid() -> tuple[int, int]:
    return GRID


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def gateway_settings(gateway_settings: GatewaySettings, redis: Redis) -> GatewaySettings:
    redis.flushall()
    return gateway_settings.model_copy(update={"redis_url": redis_url(redis), "max_job_files": 50})


class ToChain(httpx.BaseTransport):
    """Requests of a thread to the gateway in the event loop."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.instead: httpx.Response | None = None
        self.requests: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.instead:
            return self.instead
        self.requests.append(f"{request.method} {request.url.path.partition('/jobs')[2][:40]}")
        return from_thread.run(self._send, request, request.read())

    async def _send(self, request: httpx.Request, body: bytes) -> httpx.Response:
        response = await self.chain.client.request(
            request.method, request.url.raw_path.decode(), content=body, headers=request.headers
        )
        headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}
        return httpx.Response(response.status_code, headers=headers, content=response.content)


class NodeOfChain:
    """A node whose gateway is the chain's."""

    def __init__(self, chain: Chain, redis: Redis, path: Path) -> None:
        self.batch = Batch(chain, redis)
        self.node = Node(path)
        self.transport = ToChain(chain)
        self.pipeline = Pipeline(self.node)
        self.http = httpx.Client(transport=self.transport, base_url="http://localhost")
        self.pipeline.builder = ChildProcess(120)
        self.use(HttpGatewayJobs(self.http, self.pipeline.settings))

    def use(self, gateway: GatewayJobs) -> None:
        """Take the steps with this gateway."""
        self.pipeline.gateway = gateway
        self.pipeline.start()

    def receive(self, files: dict[str, bytes]) -> None:
        inbox = self.node.registry.inbox
        transfer = inbox.begin_transfer("c-store", "CT1")
        for content in files.values():
            file = inbox.new_file()
            file.write_bytes(content)
            accept_file(inbox, transfer, file)
        inbox.end_transfer(transfer, "released")

    async def run(self, rounds: int = 4) -> None:
        """Let the node take its steps, and the gateway's workers process its jobs."""
        for _ in range(rounds):
            self.node.clocks.pass_s(70)
            await to_thread.run_sync(self.pipeline.round)
            await self.batch.work()

    async def close(self) -> None:
        self.node.close()
        self.http.close()
        await self.batch.stages.close()

    def folder(self, assessment: int) -> AssessmentFolder:
        return AssessmentFolder.of(self.node.path, assessment)


@pytest.fixture
async def bridge(chain: Chain, redis: Redis, tmp_path: Path) -> AsyncIterator[NodeOfChain]:
    found = NodeOfChain(chain, redis, tmp_path / "node")
    yield found
    await found.close()


async def test_a_series_becomes_result_objects_with_the_numbers_of_its_report(
    bridge: NodeOfChain, chain: Chain
) -> None:
    files = series(0, 4)
    waited = (await chain.predict(files)).json()
    bridge.receive(files)
    await bridge.run()
    assert bridge.pipeline.assessments == [(1, "built", None)]
    report = Report.model_validate(bridge.pipeline.report())
    assert report.series
    assert report.series.probabilities == waited["series"]["probabilities"]
    assert [part.sop_instance_uid for part in report.slices] == [part["sop_instance_uid"] for part in waited["slices"]]

    folder = bridge.folder(1)
    sources = [one.sop_instance_uid for one in folder.read_context().slices]
    assert sources == [part.sop_instance_uid for part in report.slices], "the node's own mapping of file names"
    blood = np.fromfile(folder.blood_file, "<f4").reshape(4, *GRID, 5)
    assert 0 < blood.max() <= 1
    assert all(part.geometry for part in report.slices)
    assert sorted(path.stem for path in folder.path.glob("key_images/*.png")) == sorted(map(str, report.key_slices))

    index = folder.read_index()
    assert {one.kind for one in index.objects} >= {"sr", "text_sr"}
    assert index.failed == ()
    sr = dcmread(folder.objects / "sr-1.dcm")
    assert sr.StudyInstanceUID == report.series.study_instance_uid
    assert json.loads((await chain.client.get("/v1/jobs")).content)["jobs"] == [], "the job is deleted"


async def test_frames_of_an_enhanced_object_are_named(bridge: NodeOfChain) -> None:
    bridge.receive({"e.dcm": written(stack(6))})
    await bridge.run(6)
    assert [one.frame for one in bridge.folder(1).read_context().slices] == list(range(6))


async def test_a_late_slice_gives_an_sr_that_names_the_one_before(bridge: NodeOfChain) -> None:
    bridge.receive(series(0, 3))
    await bridge.run()
    send_all(bridge.pipeline)
    bridge.receive(series(0, 4))
    await bridge.run()
    assert [row[:2] for row in bridge.pipeline.assessments] == [(1, "superseded"), (2, "built")]
    first, second = (dcmread(bridge.folder(number).objects / "sr-1.dcm") for number in (1, 2))
    (study,) = second.PredecessorDocumentsSequence
    (before,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID != second.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first
    assert len(bridge.pipeline.report(2)["slices"]) == 4


async def test_an_incomplete_series_has_its_warning_in_the_sr(bridge: NodeOfChain) -> None:
    files = series(0, 4)
    bridge.receive({name: content for name, content in files.items() if name != "0-2.dcm"})
    await bridge.run(16)
    assert bridge.pipeline.assessments == [(1, "built", None)]
    for name in ("sr-1.dcm", "text_sr-1.dcm"):
        elements = dcmread(bridge.folder(1).objects / name).iterall()
        text = " ".join(str(one.value) for one in elements if one.keyword == "TextValue")
        assert "InstanceNumbers are missing: 3." in text, name


async def test_a_series_that_the_rules_of_acceptance_refuse_gets_a_report(bridge: NodeOfChain) -> None:
    bridge.receive(series(0, 2, BodyPartExamined="FOOT"))
    await bridge.run()
    assert bridge.pipeline.assessments == [(1, "built", None)]
    assert bridge.pipeline.report()["status"] == "not_assessed"
    assert "other_body_part" in [reason["code"] for reason in bridge.pipeline.report()["reasons"]]


async def test_a_damaged_series_gets_a_report_with_the_problem(bridge: NodeOfChain) -> None:
    bridge.receive(series(0, 2, Rows=600))  # more than its pixels
    await bridge.run()
    number, step, code = bridge.pipeline.assessments[0]
    assert (number, step) == (1, "built")
    assert code == bridge.pipeline.report()["reasons"][0]["code"]
    assert bridge.pipeline.report()["status"] == "not_assessed"


async def test_a_series_that_is_larger_than_a_job_gets_a_report_with_the_limit(bridge: NodeOfChain) -> None:
    bridge.receive(series(0, 51))
    await bridge.run()
    assert bridge.pipeline.assessments == [(1, "built", "too_large")]
    assert "50" in bridge.pipeline.report()["reasons"][0]["detail"]


async def test_a_job_that_was_deleted_at_the_gateway_is_submitted_again(bridge: NodeOfChain, chain: Chain) -> None:
    bridge.receive(series(0, 2))
    await bridge.run(1)
    (job,) = (await chain.client.get("/v1/jobs")).json()["jobs"]
    await chain.client.delete(f"/v1/jobs/{job['id']}")
    await bridge.run(5)
    assert bridge.pipeline.assessments == [(1, "built", None)]
    assert bridge.transport.requests.count("POST ") == 2


async def test_a_crash_after_the_upload_gives_one_job(bridge: NodeOfChain, chain: Chain) -> None:
    class Crashing(HttpGatewayJobs):
        def submit(self, key: str, files: Sequence[JobFile]) -> str:
            super().submit(key, files)
            raise Crash

    bridge.receive(series(0, 2))
    bridge.node.clocks.pass_s(70)
    bridge.use(Crashing(bridge.http, bridge.pipeline.settings))
    with pytest.raises(Crash):
        await to_thread.run_sync(bridge.pipeline.round)
    bridge.pipeline.restart()
    bridge.use(HttpGatewayJobs(bridge.http, bridge.pipeline.settings))
    await bridge.run(1)
    assert len((await chain.client.get("/v1/jobs")).json()["jobs"]) == 1
    await bridge.run()
    assert bridge.pipeline.assessments == [(1, "built", None)]


@pytest.mark.parametrize(
    ("status", "code"), [(502, "http_502"), (503, "http_503"), (404, "http_404"), (413, "http_413")]
)
async def test_a_proxy_that_answers_in_the_gateways_place_ends_nothing(
    bridge: NodeOfChain, status: int, code: str
) -> None:
    bridge.transport.instead = httpx.Response(status, text="<html>")
    bridge.receive(series(0, 2))
    await bridge.run(2)
    assert bridge.pipeline.assessments == [(1, "complete", code)]
    bridge.transport.instead = None
    await bridge.run()
    assert bridge.pipeline.assessments == [(1, "built", None)]


async def test_a_gateway_that_cannot_be_reached_ends_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    pipeline = Pipeline(node, gateway_url="http://127.0.0.1:9")
    with connect_gateway(pipeline.settings) as http:
        pipeline.gateway = HttpGatewayJobs(http, pipeline.settings)
        pipeline.start()
        node.receive_series([1])
        await to_thread.run_sync(pipeline.run, 2)
    assert pipeline.assessments == [(1, "complete", "ConnectError")]
    node.close()


async def test_a_missing_key_file_is_the_nodes_own_fault(tmp_path: Path) -> None:
    node = Node(tmp_path)
    pipeline = Pipeline(node, gateway_key_file=tmp_path / "none")
    with connect_gateway(pipeline.settings) as http:
        pipeline.gateway = HttpGatewayJobs(http, pipeline.settings)
        pipeline.start()
        node.receive_series([1])
        await to_thread.run_sync(pipeline.run, 2)
    assert pipeline.assessments == [(1, "complete", "gateway_key_file_unreadable")]
    node.close()
