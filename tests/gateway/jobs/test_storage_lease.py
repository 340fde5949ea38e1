import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from services.common.folder_lock import FolderInUse
from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.storage import LocalStorage, Storage
from services.gateway.jobs.storage_lease import StorageLease


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "store", lambda _: None)
    return ObjectStorage(f"memory://{uuid4().hex}", tmp_path)


def lease(storage: Storage, meanwhile: Callable[[], object] = lambda: None) -> StorageLease:
    """A lease that sleeps no time; `meanwhile` happens while it waits."""
    return StorageLease(storage, "bucket", "A_SETTING", patience_s=20, sleep=lambda _: meanwhile())


def names(storage: Storage) -> list[str]:
    return storage.names("owner")


def test_a_living_owner_keeps_the_lease(storage: Storage) -> None:
    first = lease(storage)
    first.acquire()
    with pytest.raises(FolderInUse, match=rf"bucket is in use by process {os.getpid()} on .*set A_SETTING"):
        lease(storage, first.beat).acquire()
    assert first.beat()


def test_a_dead_owner_is_succeeded_after_the_patience(storage: Storage) -> None:
    first, waits = lease(storage), []
    first.acquire()
    first.beat()
    second = lease(storage, lambda: waits.append(1))
    second.acquire()
    assert len(waits) == 8, "two looks in each beat of 5 s, for 20 s"
    assert second.beat()
    assert not first.beat(), "a gateway that was away learns that another has taken over"
    assert names(storage) == ["00000002", "00000002.beat.1"]


def test_a_released_lease_is_taken_at_once(storage: Storage) -> None:
    first = lease(storage)
    first.acquire()
    first.beat()
    first.release()

    def fail() -> None:
        raise AssertionError("it waited")

    lease(storage, fail).acquire()


def test_a_release_while_another_waits_gives_it_the_lease(storage: Storage) -> None:
    first = lease(storage)
    first.acquire()
    second = lease(storage, first.release)
    second.acquire()
    assert second.beat()


def test_one_of_many_starting_gateways_becomes_the_owner(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path, lambda _: None)

    def start(_: int) -> StorageLease | None:
        one = StorageLease(storage, "bucket", "A_SETTING", patience_s=0.2, sleep=lambda _: None)
        try:
            one.acquire()
        except FolderInUse:
            return None
        return one

    with ThreadPoolExecutor(8) as pool:
        started = [one for one in pool.map(start, range(8)) if one]
    living = [one for one in started if one.beat()]
    assert len(living) == 1, "a generation has one owner; those that were overtaken learn it at their next beat"


def test_foreign_names_beside_the_lease_are_ignored(storage: Storage) -> None:
    storage.create("owner/readme.txt", b"")
    lease(storage).acquire()
    assert names(storage) == ["00000001", "readme.txt"]
