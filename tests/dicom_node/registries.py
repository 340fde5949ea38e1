"""Registries for tests, and instances that they receive."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.common.elapsed import Reading
from services.dicom_node.inbox import Added, Transfer
from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.registry.clock import NodeClock
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.inbox import RegistryInbox
from services.dicom_node.registry.recovery import recover
from services.dicom_node.registry.registry import Registry
from services.dicom_node.registry.space import Space

GIB = 1024**3
CT = "1.2.840.10008.5.1.4.1.1.2"


class Clocks:
    """The system's clocks, moved by a test."""

    def __init__(self) -> None:
        self.boot, self.boot_s, self.wall_s = "boot 1", 1000.0, 1_800_000_000.0

    def __call__(self) -> Reading:
        return Reading(self.boot, self.boot_s, self.wall_s)

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.boot_s += seconds
        self.wall_s += seconds

    def reboot(self) -> None:
        """Boot the machine."""
        self.boot, self.boot_s = f"{self.boot}'", 5.0


class Node:
    """A registry in a folder, which a test opens again as a restarted node does."""

    def __init__(
        self, path: Path, quota_bytes: int = GIB, open_database: Callable[[Path], Database] = Database
    ) -> None:
        self.path, self.quota_bytes, self.clocks, self.open_database = path, quota_bytes, Clocks(), open_database
        self.opened: list[Database] = []
        self.registry = self.open()

    def open(self) -> Registry:
        """Open it, as after a start; a database that is open is left, as after a crash."""
        folder = DataFolder(self.path)
        folder.create()
        database = self.open_database(folder.database)
        self.opened.append(database)
        clock = NodeClock(database, self.clocks)
        recover(database, folder, clock)
        space = Space(database, folder, self.quota_bytes, 0)
        inbox = RegistryInbox(database, folder, space, clock)
        self.registry = Registry(database, folder, clock, space, inbox)
        return self.registry

    def close(self) -> None:
        for database in self.opened:
            database.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.registry.database.read() as connection:
            return [tuple(row) for row in connection.execute(query, values)]

    def receive(
        self,
        transfer: Transfer,
        number: int | None,
        content: bytes | None = None,
        digest: bytes | None = None,
        **tags: Any,
    ) -> Added:
        """Let an instance arrive; its file has the number as content."""
        header = replace(instance(number), **tags)
        data = str(number).encode() if content is None else content
        file = self.registry.inbox.new_file()
        file.write_bytes(data)
        return self.registry.inbox.add(transfer, header, file, digest or data)

    def receive_series(self, numbers: Sequence[int], **tags: Any) -> Transfer:
        """Let instances arrive in one transfer, which is released."""
        transfer = self.registry.inbox.begin_transfer("c-store", "CT1")
        for number in numbers:
            self.receive(transfer, number, **tags)
        self.registry.inbox.end_transfer(transfer, "released")
        return transfer


def instance(number: int | None = 1) -> InstanceHeader:
    """The header of an instance of one series."""
    return InstanceHeader("2.25.1", "2.25.1.2", f"2.25.1.2.{number}", CT, "1.2.840.10008.1.2.1", "CT", number)
