import io
import shutil
from pathlib import Path

import pytest

from services.common import folder_lock
from services.common.folder_lock import FolderInUse
from services.gateway.backup.__main__ import main
from services.gateway.backup.errors import BackupError, DamagedArchive
from services.gateway.backup.restore import restore, undo
from services.gateway.backup.snapshot import locked
from services.gateway.jobs.store import RESTORING, UnfinishedRestore
from tests.gateway.backup.stores import KINDS, content, filled_store
from tests.gateway.jobs.factories import report_of, unsynced

STEPS = 2 * len(KINDS)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A backup of a filled store, whose content is in `source`."""
    filled_store(tmp_path / "source")
    main(["create", str(tmp_path / "a.tar"), "--jobs", str(tmp_path / "source"), "--no-environment"])
    return tmp_path / "a.tar"


def damaged(archive: Path) -> io.BytesIO:
    return io.BytesIO(archive.read_bytes()[:-12000])


def test_a_restored_folder_has_the_same_files_and_the_store_serves_them(tmp_path: Path, archive: Path) -> None:
    with archive.open("rb") as stream:
        summary = restore(stream, tmp_path / "new", None, replace=False)
    assert summary.jobs == 2
    assert content(tmp_path / "new") == content(tmp_path / "source")
    store = unsynced(tmp_path / "new")
    store.recover()
    (finished,) = store.jobs("bob")
    assert [finished.report(number) for number in range(2)] == [report_of("assessed", number) for number in range(2)]
    (accepted,) = store.open_jobs("urgent", "ann")
    with accepted.files() as files:
        assert [file.path.read_bytes() for file in files] == [b"1", b"22"]


def test_all_that_is_restored_is_private(tmp_path: Path, archive: Path) -> None:
    with archive.open("rb") as stream:
        restore(stream, tmp_path / "new", None, replace=False)
    for path in (tmp_path / "new").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_jobs_that_are_there_are_kept_unless_they_may_be_replaced(tmp_path: Path, archive: Path) -> None:
    filled_store(tmp_path / "new")
    before = content(tmp_path / "new")
    with archive.open("rb") as stream, pytest.raises(BackupError, match="--replace"):
        restore(stream, tmp_path / "new", None, replace=False)
    assert content(tmp_path / "new") == before
    with archive.open("rb") as stream:
        restore(stream, tmp_path / "new", None, replace=True)
    assert content(tmp_path / "new") == content(tmp_path / "source")
    assert not (tmp_path / "new" / RESTORING).exists()


def test_a_damaged_archive_changes_nothing(tmp_path: Path, archive: Path) -> None:
    filled_store(tmp_path / "new")
    before = content(tmp_path / "new")
    with pytest.raises(DamagedArchive):
        restore(damaged(archive), tmp_path / "new", tmp_path / "settings", replace=True)
    assert content(tmp_path / "new") == before
    assert not (tmp_path / "new" / RESTORING).exists()
    assert not list((tmp_path / "settings").glob("*"))


def interrupted(jobs_dir: Path, archived: Path, steps: int) -> None:
    """Leave a folder as a restore leaves it that was killed after some renames."""
    staging = jobs_dir / RESTORING
    (staging / "old").mkdir(parents=True)
    for kind in KINDS:
        shutil.copytree(archived / kind, staging / "new" / kind)
    (staging / "moving").touch()
    renames = [(jobs_dir / kind, staging / "old" / kind) for kind in KINDS]
    both = [
        pair
        for kind, old in zip(KINDS, renames, strict=True)
        for pair in (old, (staging / "new" / kind, jobs_dir / kind))
    ]
    for source, target in both[:steps]:
        source.rename(target)


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_after_a_kill_no_gateway_starts_and_the_next_restore_begins_from_the_old_jobs(
    tmp_path: Path, archive: Path, steps: int
) -> None:
    filled_store(tmp_path / "new")
    before = content(tmp_path / "new")
    interrupted(tmp_path / "new", tmp_path / "source", steps)
    with pytest.raises(UnfinishedRestore, match="repeat the restore"):
        unsynced(tmp_path / "new").recover()
    with pytest.raises(DamagedArchive):
        restore(damaged(archive), tmp_path / "new", None, replace=True)
    assert content(tmp_path / "new") == before
    unsynced(tmp_path / "new").recover()


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_undo_can_be_repeated(tmp_path: Path, archive: Path, steps: int) -> None:
    """As after a kill between undo's renames and the removal of its mark."""
    assert archive.exists()
    filled_store(tmp_path / "new")
    before = content(tmp_path / "new")
    interrupted(tmp_path / "new", tmp_path / "source", steps)
    staging = tmp_path / "new" / RESTORING
    undo(tmp_path / "new")
    for kind in KINDS:
        shutil.copytree(tmp_path / "source" / kind, staging / "new" / kind)
    (staging / "moving").touch()
    undo(tmp_path / "new")
    assert content(tmp_path / "new") == before


def test_a_restore_below_a_running_gateway_is_refused(tmp_path: Path, archive: Path) -> None:
    filled_store(tmp_path / "new")
    before = content(tmp_path / "new")
    owned = folder_lock.locked(tmp_path / "new", "ICH_GATEWAY_JOBS_DIR")
    with archive.open("rb") as stream, owned, pytest.raises(FolderInUse, match="Stop that one"):
        restore(stream, tmp_path / "new", None, replace=True)
    assert content(tmp_path / "new") == before


def test_a_restore_during_a_backup_is_refused(tmp_path: Path, archive: Path) -> None:
    with archive.open("rb") as stream, locked(tmp_path), pytest.raises(BackupError, match="wait until it ends"):
        restore(stream, tmp_path, None, replace=False)
