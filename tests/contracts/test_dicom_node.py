"""The whole DICOM node with the real gateway, real stages (except networks), a real Redis, a sender and an archive.

A sender stores a series by C-STORE; the archive gets the result objects by C-STORE. The test's own process runs the
worker of jobs, and a child process builds the objects, as in the product.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn
from anyio import to_thread
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from redis import Redis

from services.dicom_node.node import Node
from services.dicom_node.settings import Settings as NodeSettings
from services.gateway.settings import Settings
from tests.contracts.conftest import Chain
from tests.contracts.test_jobs import Batch
from tests.dicom_node.receive.dimse_sender import associate, send
from tests.redis_process import redis_url, running_redis
from tests.running import free_ports
from tests.scans import ct_slice

pytestmark = pytest.mark.anyio
_CLASSES: Final = (
    Comprehensive3DSRStorage,
    BasicTextSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    KeyObjectSelectionDocumentStorage,
)
_WAIT_S: Final = 120
_PEERS: Final = """
[peers.archive]
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
send = ["sr", "text_sr"]
commitment = false
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis) -> Settings:
    redis.flushall()
    return gateway_settings.model_copy(update={"redis_url": redis_url(redis), "chunk_slices": 64})


@dataclass
class Archive:
    """An archive that keeps what it gets."""

    port: int
    received: list[Dataset] = field(default_factory=list)

    def of_class(self, sop_class: UID) -> list[Dataset]:
        """The received objects of a SOP class."""
        return [each for each in self.received if each.SOPClassUID == sop_class]

    def store(self, event: evt.Event) -> int:
        """Keep an object."""
        self.received.append(event.dataset)
        return 0x0000


@pytest.fixture
def archive() -> Iterator[Archive]:
    (port,) = free_ports(1)
    found = Archive(port)
    ae = AE("ARCHIVE")
    for sop_class in _CLASSES:
        ae.add_supported_context(sop_class)
    ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, found.store)])
    yield found
    ae.shutdown()


@asynccontextmanager
async def serving(chain: Chain) -> AsyncIterator[str]:
    """The gateway on a port, whose lifespan the fixture has begun."""
    config = uvicorn.Config(chain.gateway, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task


@asynccontextmanager
async def working(chain: Chain, redis: Redis) -> AsyncIterator[None]:
    """A worker of jobs."""
    batch = Batch(chain, redis)

    async def work() -> None:
        while True:
            await batch.work()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await batch.stages.close()


@pytest.fixture
async def node(chain: Chain, redis: Redis, archive: Archive, tmp_path: Path) -> AsyncIterator[Node]:
    """A node that sends SR and text SR to the archive."""
    (port,) = free_ports(1)
    (tmp_path / "peers.toml").write_text(_PEERS.format(port=archive.port))
    async with serving(chain) as url, working(chain, redis):
        settings = NodeSettings(
            data_dir=tmp_path / "node",
            gateway_url=url,
            dicom_port=port,
            peers_file=tmp_path / "peers.toml",
            quiet_s=0.5,
        )
        node = Node.create(settings)
        async with node.running():
            yield node


async def until(node: Node, done: Callable[[], bool]) -> None:
    """Wait until the results are there; AssertionError with the node's state after a time-out."""
    deadline = time.monotonic() + _WAIT_S
    while not await to_thread.run_sync(done):
        assert time.monotonic() < deadline, node.read_registry().model_dump_json(indent=1)
        await asyncio.sleep(0.1)


def store(node: Node, files: dict[str, bytes]) -> None:
    """Send files on one association, and release it."""
    association = associate(node.receiver.port)
    assert set(send(association, files.values())) == {0}
    association.release()


def steps(node: Node) -> dict[str, int]:
    """The number of series at each step."""
    return {step: count for step, count in node.read_registry().series.items() if count}


def numbers(item: Dataset) -> Iterator[float]:
    """All numeric values of a structured report."""
    for content in item.get("ContentSequence", ()):
        for value in content.get("MeasuredValueSequence", ()):
            yield float(value.NumericValue)
        yield from numbers(content)


async def test_a_stored_series_is_reported_with_the_probabilities_of_a_prediction(
    node: Node, archive: Archive, chain: Chain
) -> None:
    files = {f"{index}.dcm": ct_slice(index) for index in range(4)}
    await to_thread.run_sync(store, node, files)
    await until(node, lambda: steps(node) == {"committed": 1})
    (report,) = archive.of_class(Comprehensive3DSRStorage)
    (text,) = archive.of_class(BasicTextSRStorage)
    assert report.StudyInstanceUID == text.StudyInstanceUID == "2.25.1"
    predicted = (await chain.predict(files)).json()
    expected = predicted["series"]["probabilities"].values()
    found = list(numbers(report))
    assert [value for value in expected if not any(value == pytest.approx(each, abs=1e-6) for each in found)] == []


async def test_a_series_that_is_not_ours_is_passed_over_with_reasons(node: Node, archive: Archive) -> None:
    derived = {"0.dcm": ct_slice(0, ImageType=["DERIVED", "SECONDARY", "MPR"])}
    await to_thread.run_sync(store, node, derived)
    await until(node, lambda: steps(node) == {"passed_over": 1})
    (passed,) = node.read_registry().passed_over
    assert passed.reasons
    assert archive.received == []
