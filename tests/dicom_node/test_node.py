"""The lifecycle of the node: parts start in order and stop in reverse order; a part that fails is named."""

import asyncio
from dataclasses import dataclass, field

import pytest

from services.common.problems import NotReady
from services.dicom_node.node import Node


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


def test_parts_stop_in_reverse_order() -> None:
    calls: list[str] = []

    async def run() -> None:
        async with Node((RecordedPart("registry", calls), RecordedPart("receiver", calls))).running():
            calls.append("run")

    asyncio.run(run())
    assert calls == ["start registry", "start receiver", "run", "stop receiver", "stop registry"]


def test_a_part_that_fails_stops_those_before_it() -> None:
    calls: list[str] = []

    async def run() -> None:
        async with Node((RecordedPart("registry", calls), RecordedPart("receiver", calls, fails=True))).running():
            calls.append("run")

    with pytest.raises(OSError, match="receiver"):
        asyncio.run(run())
    assert calls == ["start registry", "start receiver", "stop registry"]


def test_not_ready_names_the_part() -> None:
    registry, receiver = RecordedPart("registry", []), RecordedPart("receiver", [])
    registry.start()
    with pytest.raises(NotReady) as refused:
        asyncio.run(Node((registry, receiver)).check_ready())
    assert "receiver is not running" in str(refused.value.detail)
    receiver.start()
    asyncio.run(Node((registry, receiver)).check_ready())
