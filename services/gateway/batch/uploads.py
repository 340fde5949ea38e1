"""What is to be sent, in which jobs. Nothing of a file is read but its size and times, and a zip's directory."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.gateway.client import Failure, WrongUsage
from services.gateway.containers import is_system_file


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to send. `name` is its path below the folder; `entries` and `unpacked_bytes` are a zip's, else its own."""

    name: str
    path: Path
    size: int
    mtime_ns: int
    entries: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that go in one job: those of one folder, or a zip."""

    files: tuple[SourceFile, ...]

    @property
    def fingerprint(self) -> str:
        """Of names, sizes and times: another where any file was added, taken away or changed."""
        seen = [(os.fsencode(file.name).hex(), file.size, file.mtime_ns) for file in self.files]
        return _hash(seen)

    @property
    def entries(self) -> int:
        return sum(file.entries for file in self.files)

    @property
    def unpacked_bytes(self) -> int:
        return sum(file.unpacked_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one job may hold, unpacked. `split` lets a unit that is larger be cut, and its series with it."""

    files: int
    bytes: int
    split: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """The files of one job."""

    units: tuple[Unit, ...]

    @property
    def files(self) -> list[SourceFile]:
        return [file for unit in self.units for file in unit.files]

    @property
    def entries(self) -> int:
        return sum(unit.entries for unit in self.units)

    def key(self, *wishes: str | None) -> str:
        """The Idempotency-Key: the same for the same files and wishes, whenever and from wherever they are sent."""
        return _hash([[unit.fingerprint for unit in self.units], *wishes])


def units_of(folder: Path, together: int | None = None) -> list[Unit]:
    """The units of a folder, in the order of their names; hidden files and folders are left out.

    together : files whose first so many folders are the same stay together; without it, files of the same folder

    Raises
    ------
    Failure
        it is no folder (WrongUsage), or one in it can't be read.
    """
    found: dict[tuple[str, ...], list[SourceFile]] = {}
    for file in _walk(folder):
        *folders, _ = parts = tuple(file.name.split("/"))
        place = parts if _is_zip(file.path) else tuple(folders[:together])
        found.setdefault(place, []).append(file)
    return [Unit(tuple(files)) for _, files in sorted(found.items())]


def hidden_below(folder: Path) -> list[Path]:
    """Files that `units_of` leaves out, but for those that an operating system adds."""
    names = ((file, file.relative_to(folder)) for file in folder.rglob("*"))
    hidden = (file for file, name in names if any(map(_is_rubbish, name.parts)) and not is_system_file(name.as_posix()))
    return sorted(file for file in hidden if file.is_file())


def pack(units: Sequence[Unit], bounds: Bounds) -> list[Parcel]:
    """Units in parcels, in their order; each as full as the bounds allow.

    Raises
    ------
    WrongUsage
        a unit is larger than a job may be, and must not be split.
    """
    parcels: list[list[Unit]] = []
    entries = size = 0
    for unit in (piece for whole in units for piece in _fitting(whole, bounds)):
        entries, size = entries + unit.entries, size + unit.unpacked_bytes
        if not parcels or not _fits(entries, size, bounds):
            parcels.append([])
            entries, size = unit.entries, unit.unpacked_bytes
        parcels[-1].append(unit)
    return [Parcel(tuple(gathered)) for gathered in parcels]


def _fits(entries: int, size: int, bounds: Bounds) -> bool:
    return entries <= bounds.files and size <= bounds.bytes


def _fitting(unit: Unit, bounds: Bounds) -> list[Unit]:
    if _fits(unit.entries, unit.unpacked_bytes, bounds):
        return [unit]
    if not bounds.split or len(unit.files) == 1:
        raise WrongUsage(_too_large(unit))
    pieces = pack([Unit((file,)) for file in unit.files], bounds)
    return [Unit(tuple(piece.files)) for piece in pieces]


def _too_large(unit: Unit) -> str:
    what = unit.files[0].path if len(unit.files) == 1 else unit.files[0].path.parent
    amount = f"{unit.entries} files, {unit.unpacked_bytes / 1e6:.0f} MB"
    return f"{what}: {amount} are more than one job may hold; raise --job-files or --job-mb (or see --split in --help)"


def _walk(folder: Path) -> Iterator[SourceFile]:
    if not folder.is_dir():
        raise WrongUsage(f"{folder}: there is no such folder")
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not _is_rubbish(name))
        for name in sorted(names):
            path = Path(place, name)
            if not _is_rubbish(name) and path.is_file():
                yield _source(path, path.relative_to(folder).as_posix())


def _unreadable(error: OSError) -> None:
    raise Failure(f"{error.filename}: {error.strerror}") from error


def _is_rubbish(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _source(path: Path, name: str) -> SourceFile:
    seen = path.stat()
    entries, unpacked_bytes = _inside(path) if _is_zip(path) else (1, seen.st_size)
    return SourceFile(name, path, seen.st_size, seen.st_mtime_ns, entries, unpacked_bytes)


def _inside(path: Path) -> tuple[int, int]:
    """How many files and bytes a zip holds; one that can't be read is the gateway's to refuse."""
    try:
        with zipfile.ZipFile(path) as opened:
            found = [entry.file_size for entry in opened.infolist() if not entry.filename.endswith("/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return 1, path.stat().st_size
    return max(len(found), 1), sum(found)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
