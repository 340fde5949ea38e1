"""The registry as a whole: what the other parts of the node get."""

from dataclasses import dataclass
from typing import Self

from services.dicom_node.registry.clock import NodeClock
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.inbox import RegistryInbox
from services.dicom_node.registry.recovery import recover
from services.dicom_node.registry.space import Space
from services.dicom_node.settings import Settings


@dataclass(frozen=True, slots=True)
class Registry:
    """Database, files, clock, quota and inbox of one node, which owns its data folder."""

    database: Database
    folder: DataFolder
    clock: NodeClock
    space: Space
    inbox: RegistryInbox

    @classmethod
    def create(cls, database: Database, settings: Settings) -> Self:
        """The registry of an open database; repairs what a crash left. Nothing may have been received before."""
        folder, clock = DataFolder(settings.data_dir), NodeClock(database)
        folder.create()
        recover(database, folder, clock)
        space = Space(database, folder, settings.quota_bytes, settings.min_free_bytes)
        return cls(database, folder, clock, space, RegistryInbox(database, folder, space, clock))

    def seed(self, series: int, number: int) -> str:
        """Names the assessment of this number of a series: keys and UIDs derive from it."""
        return f"{self.database.node_id}-{series}-{number}"

    def trace_seed(self, assessment: int) -> str:
        """Names the trace of an assessment, by its id: spans of all its steps derive from it."""
        return self.database.trace_seed(assessment)
