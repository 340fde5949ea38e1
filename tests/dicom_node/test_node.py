"""The lifecycle of the node: parts start in order and stop in reverse order; a part that fails is named."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from anyio import to_thread

from services.common.folder_lock import FolderInUse
from services.common.problems import NotReady
from services.dicom_node.node import Node, Part
from services.dicom_node.registry.database import Database
from services.dicom_node.settings import Settings
from tests.dicom_node.receive.dimse_sender import associate, send
from tests.running import free_ports
from tests.scans import ct_slice


@dataclass
class RecordedPart:
    """A part that notes its calls."""

    name: str
    calls: list[str]
    fails: bool = False
    runs: bool = field(default=False, init=False)

    def start(self) -> None:
        self.calls.append(f"start {self.name}")
        if self.fails:
            raise OSError(self.name)
        self.runs = True

    def stop(self) -> None:
        self.calls.append(f"stop {self.name}")
        self.runs = False

    def is_running(self) -> bool:
        return self.runs


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    created = Node.create(Settings(data_dir=tmp_path / "node"))
    yield created
    created.open_files.close()


def run(node: Node, parts: Sequence[Part], calls: list[str]) -> None:
    async def run_parts() -> None:
        async with replace(node, parts=parts).running():
            calls.append("run")

    asyncio.run(run_parts())


def test_parts_stop_in_reverse_order(node: Node) -> None:
    calls: list[str] = []
    run(node, (RecordedPart("steps", calls), RecordedPart("receiver", calls)), calls)
    assert calls == ["start steps", "start receiver", "run", "stop receiver", "stop steps"]


def test_a_part_that_fails_stops_those_before_it(node: Node) -> None:
    calls: list[str] = []
    with pytest.raises(OSError, match="receiver"):
        run(node, (RecordedPart("steps", calls), RecordedPart("receiver", calls, fails=True)), calls)
    assert calls == ["start steps", "start receiver", "stop steps"]


def test_not_ready_names_the_part(node: Node) -> None:
    steps, receiver = RecordedPart("steps", []), RecordedPart("receiver", [])
    with_parts = replace(node, parts=(steps, receiver))
    steps.start()
    with pytest.raises(NotReady) as refused:
        asyncio.run(with_parts.check_ready())
    assert "receiver is not running" in str(refused.value.detail)
    receiver.start()
    asyncio.run(with_parts.check_ready())


def test_a_data_folder_has_one_node(node: Node) -> None:
    with pytest.raises(FolderInUse, match="ICH_NODE_DATA_DIR"):
        Node.create(node.settings)


def test_an_association_ends_in_peace_after_the_port_has_closed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    node = Node.create(Settings(data_dir=tmp_path / "node", dicom_port=port, association_drain_s=60))

    async def store_during_the_stop() -> int:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(node.running())
            association = await to_thread.run_sync(associate, port)
            stopping = asyncio.create_task(stack.pop_all().aclose())
            while node.receiver.is_running():  # noqa: ASYNC110 - the receiver has no event for it
                await asyncio.sleep(0.01)
            (status,) = await to_thread.run_sync(send, association, [ct_slice()])
            await to_thread.run_sync(association.release)
            await stopping
        return status

    assert asyncio.run(store_during_the_stop()) == 0
    with closing(Database(tmp_path / "node" / "registry.sqlite")) as database, database.read() as connection:
        assert [row["outcome"] for row in connection.execute("SELECT outcome FROM transfers")] == ["released"]


def test_a_taken_port_is_named_with_its_settings(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = Node.create(Settings(data_dir=tmp_path / "node", dicom_port=taken.getsockname()[1]))
        with pytest.raises(OSError, match="ICH_NODE_DICOM_PORT"):
            run(node, node.parts, [])
