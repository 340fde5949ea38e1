"""The node's data folder: one node owns it, and only its user can read it.

registry.sqlite       the registry
incoming/             files that are being received
instances/<hash>/     received instances of a series, under random names
assessments/<id>/     see `assessment_folder.py`
owner.lock            see `common/folder_lock.py`
"""

import os
import secrets
import shutil
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from services.common.durable_files import fsync, make_folder
from services.common.private_folder import make_private

SETTING: Final = "ICH_NODE_DATA_DIR"
_NAME_BYTES: Final = 16
_FILE_MODE: Final = 0o600


class DataFolder:
    """Paths below the data folder. Paths in the registry are relative to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "registry.sqlite"
        self.incoming = path / "incoming"
        self.instances = path / "instances"
        self.assessments = path / "assessments"

    def create(self) -> None:
        """Create the folders, for this user only.

        Raises
        ------
        UnsafeFolder
            another user made one of them
        """
        for folder in (self.path, self.incoming, self.instances, self.assessments):
            make_private(folder, SETTING)

    def new_file(self) -> Path:
        """A new path for a file that is being received."""
        return self.incoming / secrets.token_hex(_NAME_BYTES)

    def series_folder(self, study_uid: str, series_uid: str) -> Path:
        """The folder of a series' instances. Its name is a hash."""
        name = sha256(f"{study_uid}\0{series_uid}".encode()).hexdigest()[: 2 * _NAME_BYTES]
        return self.instances / name

    def take(self, file: Path, folder: Path) -> str:
        """Move a received file into a folder of instances, durably: its path below the data folder."""
        target = folder / f"{secrets.token_hex(_NAME_BYTES)}.dcm"
        file.chmod(_FILE_MODE)
        self._move(file, target)
        fsync(folder)
        return str(target.relative_to(self.path))

    def _move(self, file: Path, target: Path) -> None:
        """Move a file; the folder may be removed meanwhile, where it is empty."""
        while True:
            make_folder(target.parent)
            try:
                file.replace(target)
            except FileNotFoundError:
                if not file.exists():
                    raise
            else:
                return

    def remove(self, path: str) -> None:
        """Remove a file by its path below the data folder, and its folder where it becomes empty."""
        file = self.path / path
        file.unlink(missing_ok=True)
        with suppress(OSError):
            file.parent.rmdir()

    def free_bytes(self) -> int:
        """Free bytes of the file system."""
        return shutil.disk_usage(self.path).free

    def assessments_bytes(self) -> int:
        """Bytes of all files of assessments."""
        return sum(_size(Path(parent, name)) for parent, _, names in os.walk(self.assessments) for name in names)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # removed meanwhile
        return 0
