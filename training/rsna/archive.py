"""Read-only access to the challenge's archive: Kaggle's zip, or the folder of its unpacked files.

    rsna-intracranial-hemorrhage-detection/stage_2_train/ID_xxxxxxxxx.dcm
    rsna-intracranial-hemorrhage-detection/stage_2_test/ID_xxxxxxxxx.dcm
    rsna-intracranial-hemorrhage-detection/stage_2_train.csv

The folder at the top may be missing; file names are given without it.
"""

import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple

from training.io.errors import TrainingError
from training.rsna.labels import LabelTable, read_labels

Split = Literal["train", "test"]

ROOT: Final = "rsna-intracranial-hemorrhage-detection"
FOLDERS: Final[Mapping[Split, str]] = {"train": "stage_2_train", "test": "stage_2_test"}
TABLE: Final = "stage_2_train.csv"

_LOCAL_HEADER: Final = b"PK\x03\x04"
_LOCAL_HEADER_BYTES: Final = 30


class Damaged(Exception):
    """The archive cannot return a file's original bytes."""


class Archive(ABC):
    """Files by name. `only` makes a small archive that is cheap to pickle."""

    path: Path

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Size of every file in bytes by name, in the fastest order to read them."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Hash of all names, and of sizes and checksums known without reading the files."""

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        return self.sizes[name]

    @abstractmethod
    def only(self, names: Collection[str]) -> "Archive":
        """Return the same archive reduced to these files."""

    @abstractmethod
    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        """Return a file, or its first `limit_bytes` bytes.

        Raises
        ------
        Damaged
            bytes are missing or their checksum differs; with `limit_bytes` no checksum is compared
        """

    def dicom_names(self, split: Split) -> tuple[str, ...]:
        """Return the names of the training or test slices."""
        start = f"{FOLDERS[split]}/"
        return tuple(name for name in self.sizes if name.startswith(start) and name.endswith(".dcm"))

    def labels(self) -> LabelTable:
        """Read the labels of the training slices.

        Raises
        ------
        TrainingError
            the file is missing, or is not the challenge's CSV
        """
        if TABLE not in self.sizes:
            raise TrainingError(f"{self.path} has no {TABLE}: training needs the labels.")
        try:
            return read_labels(self.read(TABLE))
        except Damaged:
            raise TrainingError(f"{TABLE} in {self.path} is damaged: download the archive again.") from None


class Member(NamedTuple):
    """A file's entry in the central directory of the zip."""

    offset: int
    packed_bytes: int
    size_bytes: int
    crc: int
    method: int


@dataclass(frozen=True, slots=True)
class ZipArchive(Archive):
    """A zip; files are read by offset, so that worker processes never read the central directory."""

    path: Path
    members: Mapping[str, Member]

    @property
    def sizes(self) -> Mapping[str, int]:
        return {name: member.size_bytes for name, member in self.members.items()}

    def size(self, name: str) -> int:
        return self.members[name].size_bytes

    @property
    def digest(self) -> str:
        return _digest(f"{name} {member.size_bytes} {member.crc}" for name, member in self.members.items())

    def only(self, names: Collection[str]) -> "ZipArchive":
        return ZipArchive(self.path, {name: self.members[name] for name in names})

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        member = self.members[name]
        wanted = member.packed_bytes if limit_bytes is None else min(member.packed_bytes, limit_bytes)
        try:
            data = _unpacked(self._packed(member, wanted), member, limit_bytes)
        except (OSError, zlib.error):
            raise Damaged from None
        if limit_bytes is None and (len(data) != member.size_bytes or zlib.crc32(data) != member.crc):
            raise Damaged
        return data

    def _packed(self, member: Member, wanted_bytes: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(member.offset)
            head = file.read(_LOCAL_HEADER_BYTES)
            if head[:4] != _LOCAL_HEADER or len(head) < _LOCAL_HEADER_BYTES:
                raise Damaged
            name_and_extra = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            file.seek(name_and_extra, os.SEEK_CUR)
            return file.read(wanted_bytes)


@dataclass(frozen=True, slots=True)
class FolderArchive(Archive):
    """A folder of unpacked files."""

    path: Path
    files: Mapping[str, int]

    @property
    def sizes(self) -> Mapping[str, int]:
        return self.files

    @property
    def digest(self) -> str:
        return _digest(f"{name} {size}" for name, size in self.files.items())

    def only(self, names: Collection[str]) -> "FolderArchive":
        return FolderArchive(self.path, {name: self.files[name] for name in names})

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(-1 if limit_bytes is None else limit_bytes)
        except OSError:
            raise Damaged from None


def open_archive(path: Path) -> Archive:
    """Open Kaggle's zip or a folder, with or without the challenge's folder at the top.

    Raises
    ------
    TrainingError
        the path is missing, the zip is truncated, or it holds neither training nor test slices
    """
    archive = _open_folder(path) if path.is_dir() else _open_zip(path)
    if not (archive.dicom_names("train") or archive.dicom_names("test")):
        raise TrainingError(f"{path} has no {FOLDERS['train']}/*.dcm: it is not the challenge's archive.")
    return archive


def _open_zip(path: Path) -> ZipArchive:
    try:
        with zipfile.ZipFile(path) as opened:
            entries = opened.infolist()
    except OSError as failure:
        raise TrainingError(f"{path} cannot be read: {failure.strerror}.") from None
    except (zipfile.BadZipFile, NotImplementedError):
        raise TrainingError(
            f"{path} is not a zip or is truncated: its central directory is missing. Download it again."
        ) from None
    start = f"{ROOT}/" if any(entry.filename.startswith(f"{ROOT}/") for entry in entries) else ""
    members = {
        entry.filename[len(start) :]: Member(
            entry.header_offset, entry.compress_size, entry.file_size, entry.CRC, entry.compress_type
        )
        for entry in entries
        if entry.filename.startswith(start) and not entry.is_dir()
    }
    return ZipArchive(path, members)


def _open_folder(path: Path) -> FolderArchive:
    root = path / ROOT if (path / ROOT).is_dir() else path
    table = root / TABLE
    files = {TABLE: table.stat().st_size} if table.is_file() else {}
    for folder in FOLDERS.values():
        if (root / folder).is_dir():
            files |= _listed(root, folder)
    return FolderArchive(root, files)


def _listed(root: Path, folder: str) -> dict[str, int]:
    with os.scandir(root / folder) as entries:
        return dict(sorted((f"{folder}/{entry.name}", entry.stat().st_size) for entry in entries if entry.is_file()))


def _unpacked(packed: bytes, member: Member, limit_bytes: int | None) -> bytes:
    if member.method == zipfile.ZIP_STORED:
        return packed
    if member.method != zipfile.ZIP_DEFLATED:
        raise Damaged
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit_bytes or member.size_bytes + 1)


def _digest(lines: Iterator[str]) -> str:
    found = sha256()
    for line in lines:
        found.update(f"{line}\n".encode())
    return found.hexdigest()
