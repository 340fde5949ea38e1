"""Jobs on anything that fsspec reaches and that can write a file only where there is none (mode `xb`), as S3 can."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fsspec.core import url_to_fs

_LAST: Final = "manifest.jsonl"
_FETCHED: Final = "fetched-"
_LONGEST_TURN_S: Final = 3600.0


class FsspecStorage:
    """An fsspec address. What an object store has acknowledged is durable.

    spool : folder of this machine that files are fetched to
    """

    def __init__(self, url: str, spool: Path) -> None:
        self._spool = spool
        self._files: Any
        self._files, self._root = url_to_fs(url, use_listings_cache=False)

    def create(self, place: str, content: bytes) -> bool:
        """By exclusive creation."""
        path = self._path(place)
        self._files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        try:
            with self._files.open(path, "xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def store_folder(self, folder: Path, place: str) -> None:
        """The manifest last."""
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        for some in ([path for path in found if path.name != _LAST], [path for path in found if path.name == _LAST]):
            targets = [self._path(f"{place}/{path.relative_to(folder).as_posix()}") for path in some]
            for parent in {str(PurePosixPath(target).parent) for target in targets}:
                self._files.makedirs(parent, exist_ok=True)
            self._files.put([str(path) for path in some], targets)

    def get(self, place: str) -> bytes:
        content: bytes = self._files.cat_file(self._path(place))
        return content

    def exists(self, place: str) -> bool:
        return bool(self._files.exists(self._path(place)))

    def names(self, place: str) -> list[str]:
        path = self._path(place)
        self._files.invalidate_cache(path)
        try:
            return sorted(PurePosixPath(found).name for found in self._files.ls(path, detail=False))
        except FileNotFoundError:
            return []

    def remove(self, place: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm(self._path(place), recursive=True)

    @contextmanager
    def local_copies(self, places: Sequence[str]) -> Iterator[list[Path]]:
        """Copies, for as long as they are needed."""
        self._spool.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_FETCHED, dir=self._spool) as folder:
            here = [Path(folder) / f"{number:06d}" for number in range(len(places))]
            self._files.get([self._path(place) for place in places], [str(path) for path in here])
            yield here

    def sweep(self) -> None:
        """Files that were fetched for a turn whose process was killed."""
        for left in self._spool.glob(f"{_FETCHED}*"):
            if time.time() - left.stat().st_mtime > _LONGEST_TURN_S:
                shutil.rmtree(left, ignore_errors=True)

    def _path(self, place: str) -> str:
        return f"{self._root}/{place}"
