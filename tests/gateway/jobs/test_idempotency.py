import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from services.gateway.jobs.idempotency import IdempotencyConflict
from services.gateway.jobs.job import Job
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.store import JobOptions, JobStore
from tests.gateway.jobs.factories import upload

OPTIONS = JobOptions("ann", "routine", "default", "key")
FILES = {"one.dcm": b"1", "two.dcm": b"22"}


def test_an_idempotency_key_gives_the_same_job(store: JobStore, tmp_path: Path) -> None:
    first, _ = upload(store, tmp_path, FILES, OPTIONS)
    again, new = upload(store, tmp_path, FILES, OPTIONS)
    assert (again.id, new) == (first.id, False)
    other, new = upload(store, tmp_path, FILES, JobOptions("bob", "routine", "default", "key"))
    assert new
    assert other.id != first.id
    assert len(store.jobs("ann")) == 1


CONFLICTS: list[tuple[dict[str, bytes], JobOptions, list[dict[str, str]]]] = [
    ({**FILES, "one.dcm": b"changed"}, OPTIONS, [{"what": "files"}]),
    ({"renamed.dcm": b"1", "two.dcm": b"22"}, OPTIONS, [{"what": "files"}]),
    (
        FILES,
        JobOptions("ann", "urgent", "default", "key"),
        [{"what": "priority", "first": "routine", "now": "urgent"}],
    ),
    (
        FILES,
        JobOptions("ann", "routine", "sensitive", "key"),
        [{"what": "operating_point", "first": "default", "now": "sensitive"}],
    ),
    (
        FILES,
        JobOptions("ann", "routine", "default", "key", "https://pacs.example.org/?key=s3cret"),
        [{"what": "webhook"}],
    ),
]


def test_a_repetition_of_a_request_of_an_older_version_gives_its_job(store: JobStore, tmp_path: Path) -> None:
    """It had no source, and no blood map unless it said so; the site keeps maps by default now."""
    first, _ = upload(store, tmp_path, FILES, OPTIONS)
    lines = [{"name": name, "sha256": sha256(content).hexdigest()} for name, content in FILES.items()]
    whole = sha256(b"routine default None")
    for line in lines:
        whole.update(json.dumps([line["name"], line["sha256"]]).encode())
    assert first.manifest().digest == whole.hexdigest(), "as version 0.2.0 computed it"
    again, new = upload(store, tmp_path, FILES, replace(OPTIONS, source="batch", keep_blood=True))
    assert (again.id, new) == (first.id, False)


@pytest.mark.parametrize(("blood", "site", "kept"), [(None, True, True), (None, False, False), (False, True, False)])
def test_the_site_decides_about_the_blood_map_where_the_request_does_not(
    store: JobStore, tmp_path: Path, *, blood: bool | None, site: bool, kept: bool
) -> None:
    job, _ = upload(store, tmp_path, FILES, replace(OPTIONS, blood=blood, keep_blood=site))
    assert job.manifest().blood is kept


@pytest.mark.parametrize(("files", "options", "differences"), CONFLICTS)
def test_a_conflict_lists_the_differences(
    store: JobStore, tmp_path: Path, files: dict[str, bytes], options: JobOptions, differences: list[dict[str, str]]
) -> None:
    upload(store, tmp_path, FILES, OPTIONS)
    with pytest.raises(IdempotencyConflict) as caught:
        upload(store, tmp_path, files, options)
    document = caught.value.document()
    assert document["differences"] == differences
    assert all(value in document["detail"] for value in list(differences[0].values())[1:])
    assert "s3cret" not in str(document)
    assert len(store.jobs("ann")) == 1


def test_a_key_is_free_after_its_job_is_deleted(store: JobStore, tmp_path: Path) -> None:
    first, _ = upload(store, tmp_path, FILES, OPTIONS)
    store.cancel(first, "routine")
    first.remove()
    _, new = upload(store, tmp_path, {"other.dcm": b"3"}, OPTIONS)
    assert new


class RivalStorage(LocalStorage):
    """Accepts another request with the same key just before the key is claimed."""

    def __init__(self, root: Path, rival: JobStore, folder: Path, files: dict[str, bytes]) -> None:
        super().__init__(root)
        self._rival, self._folder, self._files = rival, folder, files
        self.winner: Job | None = None

    def create(self, key: str, content: bytes) -> bool:
        if key.startswith("keys/") and self.winner is None:
            self.winner, _ = upload(self._rival, self._folder, self._files, OPTIONS)
        return super().create(key, content)


def test_concurrent_requests_with_one_key_are_one_job(store: JobStore, tmp_path: Path) -> None:
    storage = RivalStorage(tmp_path / "store", store, tmp_path, FILES)
    job, new = upload(JobStore(storage, store.incoming), tmp_path, FILES, OPTIONS)
    assert storage.winner
    assert (job.id, new) == (storage.winner.id, False)
    assert [found.id for found in store.jobs("ann")] == [job.id]


def test_a_concurrent_request_with_other_files_is_a_conflict(store: JobStore, tmp_path: Path) -> None:
    storage = RivalStorage(tmp_path / "store", store, tmp_path, {"other.dcm": b"3"})
    with pytest.raises(IdempotencyConflict):
        upload(JobStore(storage, store.incoming), tmp_path, FILES, OPTIONS)
    assert len(store.jobs("ann")) == 1


def test_a_sweep_keeps_a_key_that_was_used_again_after_its_job_was_deleted(store: JobStore, tmp_path: Path) -> None:
    def sweep() -> None:
        assert list(store.remove_expired(lambda *_: False)) == []

    first, _ = upload(store, tmp_path, FILES, OPTIONS)
    sweep()
    first.remove()
    second, new = upload(store, tmp_path, FILES, OPTIONS)
    assert new
    sweep()
    again, new = upload(store, tmp_path, FILES, OPTIONS)
    assert (again.id, new) == (second.id, False)
