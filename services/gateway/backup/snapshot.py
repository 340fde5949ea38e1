"""A consistent snapshot of the folder of jobs while gateway and workers run: hard links, which copy nothing.

Files of jobs are created once and never changed, so a link keeps the content. The order matters instead:

1. `hooks`, `open`, `keys`, then each job, then `hooks` again, `clock`, `feedback` and `patient`. A job that ends
   meanwhile has its `ended.json`. A webhook whose job is in the snapshot is in it too, unless it was delivered.
2. Of a job: a file that needs others is linked before these. So markers have their reports, and reports their plan.
3. A job that ended or lost a file meanwhile is linked again. One that was deleted is left out. So is one that was
   accepted after step 1: it has no mark in `open`, and a gateway would take it for an upload that was cut off.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from services.common.private_folder import FOLDER_MODE
from services.gateway.backup.errors import BackupError
from services.gateway.jobs.job import DESCRIPTIONS, MANIFEST, PLAN

PATIENT: Final = "patient"  # the key of patients' hashes, which a gateway makes before it has jobs
KINDS: Final = (
    "jobs",
    "open",
    "keys",
    "hooks",
    "clock",
    "feedback",
    PATIENT,
)  # folders of the store, see `jobs/store.py`
_LOCK: Final = ".backup-lock"
_PREFIX: Final = ".snapshot-"
_ENDED: Final = "ended.json"
_LAST: Final = ("done", "models", "reports", "attachments", PLAN, DESCRIPTIONS, "files", MANIFEST)
_ATTEMPTS: Final = 10


@contextmanager
def locked(jobs_dir: Path) -> Iterator[None]:
    """One backup or restore of a folder at a time; BackupError for a second one."""
    with (jobs_dir / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another backup or restore of {jobs_dir} is running: wait until it ends") from error
        yield


@contextmanager
def snapshot(jobs_dir: Path) -> Iterator[Path]:
    """A folder with hard links to all jobs of this moment, removed at the end of the context.

    Raises
    ------
    BackupError
        the folder is missing, in use by another backup, or a job changes faster than it is linked
    """
    if not jobs_dir.is_dir():
        raise BackupError(f"{jobs_dir} is no folder: name the folder of ICH_GATEWAY_JOBS_DIR")
    with locked(jobs_dir):
        for left in jobs_dir.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=jobs_dir))
        try:
            _link_store(jobs_dir, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _link_store(store: Path, folder: Path) -> None:
    for kind in ("hooks", "open", "keys"):
        _link_marks(store / kind, folder / kind)
    open_ids = {mark.name for mark in files_of(folder / "open")}
    for job in sorted((store / "jobs").glob("[!.]*/[!.]*")):
        target = folder / "jobs" / job.parent.name / job.name
        if _link_job(job, target) and not (target / _ENDED).exists() and job.name not in open_ids:
            shutil.rmtree(target)
    for kind in ("hooks", "clock", "feedback", PATIENT):
        _link_marks(store / kind, folder / kind)
    _remove_stale_marks(folder)


def _remove_stale_marks(folder: Path) -> None:
    """Remove the marks of jobs that have ended or are not in the snapshot."""
    for mark in list(files_of(folder / "open")):
        job = folder / "jobs" / mark.parent.name / mark.name
        if not job.exists() or (job / _ENDED).exists():
            mark.unlink()


def _link_job(job: Path, target: Path) -> bool:
    """Link a job in one consistent state: False where it was deleted meanwhile."""
    for _ in range(_ATTEMPTS):
        ended = (job / _ENDED).exists()
        with suppress(FileNotFoundError):
            for name in sorted(_names(job), key=_rank):
                _link(job / name, target / name)
            if (job / _ENDED).exists() == ended and (target / MANIFEST).exists():
                return True
        shutil.rmtree(target, ignore_errors=True)
        if not (job / MANIFEST).exists():
            return False
    raise BackupError(f"job {job.name} changes faster than it is linked: repeat the backup")


def _rank(name: str) -> int:
    """Files that need others come first; a file of an unknown kind may need any."""
    return _LAST.index(name) if name in _LAST else -1


def _link(source: Path, target: Path) -> None:
    """Link a file, or all files of a folder; FileNotFoundError where one is removed meanwhile."""
    if not source.is_dir():
        target.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(source, target)
        return
    for name in _names(source):
        _link(source / name, target / name)


def _link_marks(source: Path, target: Path) -> None:
    for mark in list(files_of(source)):
        with suppress(FileNotFoundError):
            _link(mark, target / mark.relative_to(source))


def _names(folder: Path) -> list[str]:
    """Names of the entries but those of files that are being written."""
    return sorted(name for name in os.listdir(folder) if name[0] != ".")  # noqa: PTH208 - names, no objects


def files_of(folder: Path) -> Iterator[Path]:
    """All files below a folder, in a fixed order; none where there is no folder."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(files) if name[0] != ".")
