"""Composition and lifecycle of the node: parts start in order, and stop in reverse order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Protocol, Self

import httpx
from anyio import to_thread

from services.common.folder_lock import locked
from services.common.problems import NotReady
from services.common.version import VERSION
from services.dicom_node.peers import Peers, read_peers
from services.dicom_node.pull.puller import Puller
from services.dicom_node.pull.series_counts import SeriesCounts
from services.dicom_node.receive.dimse import DimseReceiver
from services.dicom_node.receive.stow import StowReceiver
from services.dicom_node.registry.data_folder import SETTING, DataFolder
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.deliveries import Deliveries
from services.dicom_node.registry.pulls import Pulls
from services.dicom_node.registry.registry import Registry
from services.dicom_node.registry_check import RegistryCheck
from services.dicom_node.selection.rules import Selection
from services.dicom_node.send.sender import Sender, destinations
from services.dicom_node.settings import Settings
from services.dicom_node.status.gateway_probe import probe_gateway
from services.dicom_node.status.overview import Overview
from services.dicom_node.status.schemas import RegistryStatus, Status
from services.dicom_node.steps.loop import StepLoop


class Part(Protocol):
    """Threads that run from `start` to `stop`. Both block until it is done."""

    @property
    def name(self) -> str:
        """The name in messages."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def is_running(self) -> bool: ...


@dataclass(frozen=True)
class Node:
    """The node's parts, in the order of their start: each may use those before it.

    open_files : the lock of the data folder and the database, closed after the parts
    """

    settings: Settings
    peers: Peers
    registry: Registry
    receiver: DimseReceiver
    stow: StowReceiver
    puller: Puller
    steps: StepLoop
    parts: Sequence[Part]
    check_registry: RegistryCheck
    open_files: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """A node with the parts that the settings ask for.

        Raises
        ------
        FolderInUse
            another node owns the data folder
        InvalidPeers
            the peers file cannot be used
        """
        peers = read_peers(settings.peers_file)
        with ExitStack() as stack:
            registry = _open_registry(settings, stack)
            sender = Sender(settings, peers, Deliveries(registry.database, settings.data_dir, registry.clock.now_s))
            selection = Selection.read(settings.rules_file)
            steps = StepLoop.create(registry, selection, destinations(peers), settings, sender.wake)
            receiver = DimseReceiver(settings, registry.inbox, sender.on_commitment)
            stow = StowReceiver(settings, registry.inbox)
            pulls = Pulls(registry.database, registry.clock.now_s)
            puller = Puller(settings, peers, pulls, registry.inbox, selection)
            counts = SeriesCounts(settings, peers, registry.database, registry.inbox)
            parts = (sender, steps, receiver, puller, counts)
            check = RegistryCheck(registry.clock.store)
            return cls(settings, peers, registry, receiver, stow, puller, steps, parts, check, stack.pop_all())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start all parts; stop those that have started at the end, and after an error."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(to_thread.run_sync, self.open_files.close)
            for part in self.parts:
                await to_thread.run_sync(part.start)
                stack.push_async_callback(to_thread.run_sync, part.stop)
            stack.push_async_callback(to_thread.run_sync, self.receiver.drain, self.settings.association_drain_s)
            yield

    def read_registry(self) -> RegistryStatus:
        """The state of the registry."""
        return Overview(self.registry.database, [name for name, peer in self.peers.items() if peer.send]).read()

    async def status(self) -> Status:
        """The state of the node, of its registry and of the gateway."""
        registry = await to_thread.run_sync(self.read_registry)
        return Status(
            version=VERSION,
            ae_title=self.settings.ae_titles[0],
            dicom_port=self.receiver.port,
            listening=self.receiver.is_running(),
            associations=self.receiver.associations,
            quota_bytes=self.settings.quota_bytes,
            gateway=await probe_gateway(self._connect_gateway),
            **dict(registry),
        )

    async def check_ready(self) -> None:
        """Raise NotReady, which names the part that does not run. The gateway is none: without it the node stores."""
        for part in self.parts:
            if not await to_thread.run_sync(part.is_running):
                raise NotReady(f"{part.name} is not running; see the node's log", cause=part.name)
        await to_thread.run_sync(self.check_registry)

    def _connect_gateway(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.settings.gateway_url, trust_env=False)


def _open_registry(settings: Settings, stack: ExitStack) -> Registry:
    """Own the data folder and open its registry until the stack closes."""
    folder = DataFolder(settings.data_dir)
    folder.create()
    stack.enter_context(locked(folder.path, SETTING))
    database = stack.enter_context(closing(Database(folder.database)))
    return Registry.create(database, settings)
