"""Divides a folder into uploads, one for each job. Reads sizes, times and zip directories, no content."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.gateway.client import ClientError, UsageError, pluralize
from services.gateway.uploads.archive_formats import is_system_file


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to send. `name` is its path below the folder. `entries` and `unpacked_bytes` describe a zip's content."""

    name: str
    path: Path
    size: int
    mtime_ns: int
    entries: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that must be in one job: the files of one folder, or one zip."""

    files: tuple[SourceFile, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of names, sizes and times: changes where a file is added, removed or modified."""
        attributes = [(os.fsencode(file.name).hex(), file.size, file.mtime_ns) for file in self.files]
        return _hash(attributes)

    @property
    def entries(self) -> int:
        return sum(file.entries for file in self.files)

    @property
    def unpacked_bytes(self) -> int:
        return sum(file.unpacked_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Largest job: files and unpacked bytes. `split` allows cutting a larger unit, even inside a series."""

    max_files: int
    max_bytes: int
    split: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """The files of one job."""

    units: tuple[Unit, ...]

    @property
    def files(self) -> list[SourceFile]:
        return [file for unit in self.units for file in unit.files]

    @property
    def entries(self) -> int:
        return sum(unit.entries for unit in self.units)

    def idempotency_key(self, *options: str | None) -> str:
        """The `Idempotency-Key`: a hash of the files and options, equal in every run."""
        return _hash([[unit.fingerprint for unit in self.units], *options])


def find_units(folder: Path, together: int | None = None) -> list[Unit]:
    """The units of a folder, in the order of their names, without hidden files and folders.

    together : number of leading folders that files of one unit share; None for the whole path

    Raises
    ------
    ClientError
        the folder does not exist (UsageError), or a folder in it is unreadable.
    """
    found: dict[tuple[str, ...], list[SourceFile]] = {}
    for file in _walk(folder):
        *folders, _ = parts = tuple(file.name.split("/"))
        group = parts if _is_zip(file.path) else tuple(folders[:together])
        found.setdefault(group, []).append(file)
    return [Unit(tuple(files)) for _, files in sorted(found.items())]


def find_hidden_files(folder: Path) -> list[Path]:
    """Files that `find_units` leaves out, except files of the operating system."""
    names = ((file, file.relative_to(folder)) for file in folder.rglob("*"))
    hidden = (file for file, name in names if any(map(_is_hidden, name.parts)) and not is_system_file(name.as_posix()))
    return sorted(file for file in hidden if file.is_file())


def pack_uploads(units: Sequence[Unit], limits: JobLimits) -> list[Upload]:
    """Units in uploads, in their order, each as full as the limits allow.

    Raises
    ------
    UsageError
        a unit is larger than a job may be, and must not be split.
    """
    uploads: list[list[Unit]] = []
    entries = size = 0
    for unit in (part for whole in units for part in _split(whole, limits)):
        entries, size = entries + unit.entries, size + unit.unpacked_bytes
        if not uploads or not _fits(entries, size, limits):
            uploads.append([])
            entries, size = unit.entries, unit.unpacked_bytes
        uploads[-1].append(unit)
    return [Upload(tuple(content)) for content in uploads]


def _fits(entries: int, size: int, limits: JobLimits) -> bool:
    return entries <= limits.max_files and size <= limits.max_bytes


def _split(unit: Unit, limits: JobLimits) -> list[Unit]:
    if _fits(unit.entries, unit.unpacked_bytes, limits):
        return [unit]
    if not limits.split or len(unit.files) == 1:
        raise UsageError(_too_large(unit, limits))
    parts = pack_uploads([Unit((file,)) for file in unit.files], limits)
    return [Unit(tuple(part.files)) for part in parts]


def _too_large(unit: Unit, limits: JobLimits) -> str:
    path = unit.files[0].path if len(unit.files) == 1 else unit.files[0].path.parent
    size = f"{pluralize(unit.entries, 'file')} and {unit.unpacked_bytes / 1e6:.0f} MB"
    most = f"{pluralize(limits.max_files, 'file')} and {limits.max_bytes / 1e6:.0f} MB"
    return f"{path} has {size}; a job may have {most}: raise --job-files or --job-mb, or see --split in --help"


def _walk(folder: Path) -> Iterator[SourceFile]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            path = Path(parent, name)
            if not _is_hidden(name) and path.is_file():
                yield _source(path, path.relative_to(folder).as_posix())


def _unreadable(error: OSError) -> None:
    raise ClientError(f"{error.filename}: {error.strerror}") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _source(path: Path, name: str) -> SourceFile:
    status = path.stat()
    entries, unpacked_bytes = _zip_content(path) if _is_zip(path) else (1, status.st_size)
    return SourceFile(name, path, status.st_size, status.st_mtime_ns, entries, unpacked_bytes)


def _zip_content(path: Path) -> tuple[int, int]:
    """Number of files and unpacked bytes of a zip; (1, its size) where it is unreadable: the gateway refuses it."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [entry.file_size for entry in archive.infolist() if not entry.filename.endswith("/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return 1, path.stat().st_size
    return max(len(found), 1), sum(found)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
