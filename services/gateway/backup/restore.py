"""Restores an archive: it is read and checked whole beside the jobs, then moved into place by renames.

<jobs>/.restoring/new     the extracted archive
<jobs>/.restoring/moving  marks the renames as begun: a gateway refuses to start, and the next restore undoes them
<jobs>/.restoring/old     jobs that were there, until the renames are done
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from services.common import folder_lock
from services.common.durable_files import fsync
from services.common.folder_lock import is_shared_by_machines
from services.common.private_folder import FOLDER_MODE, make_private
from services.gateway.backup.archive import SETTINGS, ArchiveReader, Summary
from services.gateway.backup.errors import BackupError
from services.gateway.backup.settings_files import write_shell_environment
from services.gateway.backup.snapshot import KINDS, PATIENT, files_of, locked
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.storage_lease import StorageLease
from services.gateway.jobs.store import RESTORING, WORKLIST

_MOVING: Final = "moving"
_JOBS: Final = "--jobs"


def restore(stream: BinaryIO, jobs_dir: Path, settings_dir: Path | None, *, replace: bool) -> Summary:
    """Restore jobs, and settings where a folder is given. No gateway may run on the folder.

    Raises
    ------
    FolderInUse
        a gateway runs on the folder; nothing has changed
    BackupError
        there are jobs or settings already, and `replace` is off; nothing has changed
    DamagedArchive
        nothing has changed
    OSError
        the disk is full or broken; what was there before is there again
    """
    make_private(jobs_dir, _JOBS)
    with locked(jobs_dir), _owned(jobs_dir):
        undo(jobs_dir)
        _check_empty(jobs_dir, settings_dir, replace=replace)
        staging = jobs_dir / RESTORING
        staging.mkdir(FOLDER_MODE)
        try:
            summary = _extract(stream, staging / "new", settings_dir)
            if settings_dir:
                _copy_settings(staging / "new" / SETTINGS, settings_dir)
            _move(jobs_dir, staging)
        except BaseException:
            undo(jobs_dir)
            if settings_dir:
                _empty(settings_dir)
            raise
        _finish(jobs_dir, staging)
    return summary


@contextmanager
def _owned(jobs_dir: Path) -> Iterator[None]:
    """Own the folder as a gateway does, so that none runs on it."""
    if not is_shared_by_machines(jobs_dir):
        with folder_lock.locked(jobs_dir, _JOBS):
            yield
        return
    lease = StorageLease(LocalStorage(jobs_dir), str(jobs_dir), _JOBS)
    lease.acquire()
    try:
        yield
    finally:
        lease.release()


def undo(jobs_dir: Path) -> None:
    """Bring the jobs back that an interrupted restore has moved away, and remove the rest of it.

    Every step is a rename, so an interrupted call can be repeated.
    """
    staging = jobs_dir / RESTORING
    if (staging / _MOVING).exists():
        for kind in KINDS:
            if not (staging / "new" / kind).exists() and (jobs_dir / kind).exists():
                (jobs_dir / kind).rename(staging / "new" / kind)
            if (staging / "old" / kind).exists():
                (staging / "old" / kind).rename(jobs_dir / kind)
        _unmark(staging)
    shutil.rmtree(staging, ignore_errors=True)


def _check_empty(jobs_dir: Path, settings_dir: Path | None, *, replace: bool) -> None:
    if not replace and any(next(files_of(jobs_dir / kind), None) for kind in KINDS if kind != PATIENT):
        raise BackupError(f"{jobs_dir} has jobs: name an empty folder, or give --replace, which deletes them")
    if settings_dir and settings_dir.exists() and any(settings_dir.iterdir()):
        raise BackupError(f"{settings_dir} has files: name another folder")


def _extract(stream: BinaryIO, new: Path, settings_dir: Path | None) -> Summary:
    """Extract and check the archive. Every kind of folder exists afterwards, and all is on the disk."""
    new.mkdir(FOLDER_MODE)
    summary = ArchiveReader(stream, new).read()
    for kind in (*KINDS, SETTINGS):
        (new / kind).mkdir(FOLDER_MODE, exist_ok=True)
    if settings_dir and any((new / SETTINGS).iterdir()):
        write_shell_environment(new / SETTINGS, settings_dir)
    for path in files_of(new):
        fsync(path)
    for folder in [path for path in new.rglob("*") if path.is_dir()]:
        fsync(folder)
    return summary


def _move(jobs_dir: Path, staging: Path) -> None:
    """Move each kind of folder into place."""
    (staging / "old").mkdir(FOLDER_MODE)
    (staging / _MOVING).touch()
    fsync(staging)
    for kind in KINDS:
        with suppress(FileNotFoundError):
            (jobs_dir / kind).rename(staging / "old" / kind)
        (staging / "new" / kind).rename(jobs_dir / kind)
    fsync(jobs_dir)


def _copy_settings(source: Path, settings_dir: Path) -> None:
    make_private(settings_dir, "--settings")
    shutil.copytree(source, settings_dir, dirs_exist_ok=True)
    for path in files_of(settings_dir):
        fsync(path)


def _empty(folder: Path) -> None:
    """Remove settings that were copied: the folder was empty before."""
    if folder.is_dir():
        shutil.rmtree(folder)
        folder.mkdir(FOLDER_MODE)


def _finish(jobs_dir: Path, staging: Path) -> None:
    """End the restore by one step, then remove the replaced jobs, and the worklist's index of them."""
    shutil.rmtree(jobs_dir / WORKLIST, ignore_errors=True)
    _unmark(staging)
    shutil.rmtree(staging, ignore_errors=True)
    fsync(jobs_dir)


def _unmark(staging: Path) -> None:
    (staging / _MOVING).unlink()
    fsync(staging)
