"""The challenge's archive as it is: Kaggle's zip, or the folder that it was unpacked into. Nothing is written into it.

    rsna-intracranial-hemorrhage-detection/stage_2_train/ID_xxxxxxxxx.dcm
    rsna-intracranial-hemorrhage-detection/stage_2_test/ID_xxxxxxxxx.dcm
    rsna-intracranial-hemorrhage-detection/stage_2_train.csv

The folder at the top may be missing; names are told without it.
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
    """The archive cannot give back a file's bytes as they were put in."""


class Archive(ABC):
    """Files by their names. A small one, made by `only`, passes cheaply to another process."""

    path: Path

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Bytes of every file, by name, in the order in which they are best read."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash of all names and of what is known of their content without reading it."""

    def size(self, name: str) -> int:
        """Bytes of one file."""
        return self.sizes[name]

    @abstractmethod
    def only(self, names: Collection[str]) -> "Archive":
        """The same archive as if it held nothing but these files."""

    @abstractmethod
    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        """A file, or its first bytes.

        Raises
        ------
        Damaged
            its bytes are not there, or not the ones that were put in; of its first bytes alone this can't be told
        """

    def dicom_names(self, split: Split) -> tuple[str, ...]:
        """The names of the training or test slices."""
        start = f"{FOLDERS[split]}/"
        return tuple(name for name in self.sizes if name.startswith(start) and name.endswith(".dcm"))

    def labels(self) -> LabelTable:
        """The table of the training slices' labels.

        Raises
        ------
        TrainingError
            it is not there, or is no such table
        """
        if TABLE not in self.sizes:
            raise TrainingError(f"{self.path} has no {TABLE}: without the labels there is nothing to learn.")
        try:
            return read_labels(self.read(TABLE))
        except Damaged:
            raise TrainingError(f"{TABLE} in {self.path} is damaged: fetch the archive again.") from None


class Member(NamedTuple):
    """Where a file stands in a zip, as its directory says."""

    offset: int
    packed_bytes: int
    size_bytes: int
    crc: int
    method: int


@dataclass(frozen=True, slots=True)
class ZipArchive(Archive):
    """A zip; each file is read by its offset, so that no process but the first reads the directory."""

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
    """An unpacked archive."""

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
    """Open Kaggle's zip, or a folder, with or without the challenge's folder at the top.

    Raises
    ------
    TrainingError
        nothing is there, the zip is cut short, or neither training nor test slices are in it
    """
    archive = _open_folder(path) if path.is_dir() else _open_zip(path)
    if not (archive.dicom_names("train") or archive.dicom_names("test")):
        raise TrainingError(f"{path} has no {FOLDERS['train']}/*.dcm: this is not the challenge's archive.")
    return archive


def _open_zip(path: Path) -> ZipArchive:
    try:
        with zipfile.ZipFile(path) as opened:
            entries = opened.infolist()
    except OSError as failure:
        raise TrainingError(f"{path} cannot be read: {failure.strerror}.") from None
    except (zipfile.BadZipFile, NotImplementedError):
        raise TrainingError(
            f"{path} is no zip or is cut short: the list of its files, at its end, is missing. Fetch it again."
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
