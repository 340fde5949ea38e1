"""Storage of jobs in an object storage by obstore: S3, Google Cloud Storage, Azure Blob Storage, or memory for tests.

Files are created by a conditional put (`If-None-Match: *`). Credentials and endpoints come from the environment.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from services.common.private_folder import FOLDER_MODE, open_private
from services.gateway.jobs.object_store_driver import open_store
from services.gateway.jobs.storage_errors import StorageUnavailable, names_missing_bucket, storage_error

_Item = TypeVar("_Item")
_MANIFEST: Final = "manifest.jsonl"
_COPIES: Final = "fetched-"
_CONCURRENT: Final = 8  # requests of one folder or of its copies
_PART_BYTES: Final = 8 * 1024**2  # a larger file travels in parts; `_CONCURRENT` parts are in memory
_CONFLICTS: Final = 5
_ATTEMPT: Final = "attempt"  # metadata that tells the writer of a file from others
_READ_TIMEOUT_S: Final = 20.0


class ObjectStorage:
    """An address of an object storage. A write that it has acknowledged is durable.

    Parameters
    ----------
    url
        address of the root, such as `s3://bucket/prefix`
    spool
        local folder for copies
    read_timeout_s
        seconds without a byte of an answer, after which a request fails

    Raises
    ------
    ValueError
        the URL is of another kind, or holds credentials
    UnusableStorage
        a variable of the environment is invalid
    """

    def __init__(self, url: str, spool: Path, *, read_timeout_s: float = _READ_TIMEOUT_S) -> None:
        self._spool = spool
        self._store = open_store(url, timedelta(seconds=read_timeout_s))

    def create(self, key: str, content: bytes) -> bool:
        """Put the file unless it exists.

        A retry of a request whose answer was lost finds this call's own file: its metadata tells. S3 also refuses with
        409 where it could not decide between two requests: there is no file then, and the put is repeated.
        """
        attempt = secrets.token_hex(8)
        for _ in range(_CONFLICTS):
            with _errors("create"):
                try:
                    obstore.put(self._store, key, content, mode="create", attributes={_ATTEMPT: attempt})
                except AlreadyExistsError:
                    with suppress(FileNotFoundError):
                        found = obstore.get(self._store, key, options={"head": True}).attributes
                        return found.get(_ATTEMPT) == attempt
                else:
                    return True
        raise StorageUnavailable("the object storage of jobs cannot decide between two writes; try again later")

    def store_folder(self, folder: Path, key: str) -> None:
        """Upload the manifest last."""
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest = [path for path in found if path.name == _MANIFEST]
        others = [path for path in found if path.name != _MANIFEST]
        for paths in (others, manifest):
            self._upload({path: f"{key}/{path.relative_to(folder).as_posix()}" for path in paths})

    def _upload(self, targets: dict[Path, str]) -> None:
        """Upload small files side by side, and large ones in parts, one after the other: memory stays bounded."""
        large = {path: key for path, key in targets.items() if path.stat().st_size > _PART_BYTES}

        def put(path: Path) -> None:
            with _errors("put"):
                obstore.put(self._store, targets[path], path, chunk_size=_PART_BYTES, max_concurrency=_CONCURRENT)

        _each(put, [path for path in targets if path not in large])
        for path in large:
            put(path)

    def get(self, key: str) -> bytes:
        with _errors("get"):
            return bytes(obstore.get(self._store, key).bytes())

    def exists(self, key: str) -> bool:
        with _errors("head"), suppress(FileNotFoundError):
            obstore.head(self._store, key)
            return True
        return False

    def names(self, key: str) -> list[str]:
        with _errors("list"):
            found = obstore.list_with_delimiter(self._store, key or None)
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return sorted(path.rpartition("/")[2] for path in paths if _is_listed(key, path))

    def remove(self, key: str) -> None:
        """Remove a file, or a folder: its manifest first, so that nobody sees half of a job.

        A listing costs as much as twelve looks, so a file is looked for first.
        """
        if self.exists(key):
            self._delete([key])
            return
        with _errors("list"):
            found = [item["path"] for item in obstore.list(self._store, key).collect()]
        manifest = f"{key}/{_MANIFEST}"
        self._delete([manifest] if manifest in found else [])
        self._delete([path for path in found if path != manifest])

    def _delete(self, keys: list[str]) -> None:
        """Delete files; some drivers stop at one that another process has deleted."""
        if not keys:
            return
        with _errors("delete"):
            try:
                obstore.delete(self._store, keys)
            except FileNotFoundError as error:
                if names_missing_bucket(error):
                    raise
                for key in keys:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, key)

    @contextmanager
    def local_copies(self, keys: Sequence[str]) -> Iterator[list[Path]]:
        """Downloads in a temporary folder."""
        with self._copies() as folder:
            paths = [folder / f"{number:06d}" for number in range(len(keys))]
            _each(lambda number: self._download(keys[number], paths[number]), range(len(keys)))
            yield paths

    @contextmanager
    def _copies(self) -> Iterator[Path]:
        """A folder that is in use from its first moment: the lock of the spool bars `remove_leftovers` meanwhile."""
        self._spool.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        with ExitStack() as stack:
            with _locked(self._spool, fcntl.LOCK_SH):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=_COPIES, dir=self._spool)))
                stack.enter_context(_in_use(folder))
            yield folder

    def _download(self, key: str, path: Path) -> None:
        with _errors("get"), open(path, "xb", opener=open_private) as file:
            file.writelines(obstore.get(self._store, key).stream(min_chunk_size=1024**2))

    def remove_leftovers(self) -> None:
        """Remove copies without a living worker."""
        remove_unused_copies(self._spool)


def remove_unused_copies(spool: Path) -> None:
    """Remove copies that no living process uses. Their age does not count, since a clock may jump."""
    spool.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    with _locked(spool, fcntl.LOCK_EX):
        for folder in spool.glob(f"{_COPIES}*"):
            with suppress(BlockingIOError, FileNotFoundError), _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _errors(operation: str) -> Iterator[None]:
    """Raise errors of the driver as those of `Storage`."""
    try:
        yield
    except FileNotFoundError as error:
        if names_missing_bucket(error):
            raise storage_error(error, operation) from None
        raise FileNotFoundError(operation) from None
    except BaseError as error:
        raise storage_error(error, operation) from None


def _is_listed(key: str, path: str) -> bool:
    """Whether a path is an entry of a folder: not the folder itself, which SeaweedFS lists while it is empty."""
    return path != key and not path.rpartition("/")[2].startswith(".")


def _each(function: Callable[[_Item], None], items: Sequence[_Item]) -> None:
    with ThreadPoolExecutor(_CONCURRENT) as pool:
        list(pool.map(function, items))


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """Lock a folder, which the kernel unlocks with its process; BlockingIOError where LOCK_NB finds another lock."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, kind)
        yield
    finally:
        os.close(handle)


def _in_use(folder: Path) -> AbstractContextManager[None]:
    """Lock a folder of copies; BlockingIOError where another process uses it."""
    return _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
