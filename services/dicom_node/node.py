"""Composition and lifecycle of the node: parts start in order, and stop in reverse order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from anyio import to_thread

from services.common.problems import NotReady
from services.dicom_node.settings import Settings


class Part(Protocol):
    """Threads that run from `start` to `stop`. Both block until it is done."""

    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def is_running(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Node:
    """Parts in the order of their start: each may use those before it."""

    parts: Sequence[Part]

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 - the parts follow
        """A node with the parts that the settings ask for."""
        return cls(())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start all parts; stop those that have started at the end, and after an error."""
        async with AsyncExitStack() as stack:
            for part in self.parts:
                await to_thread.run_sync(part.start)
                stack.push_async_callback(to_thread.run_sync, part.stop)
            yield

    async def check_ready(self) -> None:
        """Raise NotReady, which names the part that does not run."""
        for part in self.parts:
            if not await to_thread.run_sync(part.is_running):
                raise NotReady(f"{part.name} is not running; see the node's log", cause=part.name)
