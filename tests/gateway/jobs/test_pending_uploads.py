"""Half uploads of gateways that share a storage: their own, those of dead gateways, and those in progress."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from services.gateway.jobs.membership import BEAT_S, Membership
from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.pending_uploads import UploadAborted
from services.gateway.jobs.storage import Storage
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.uploads.spool import Spool
from tests.gateway.jobs.factories import Crash, CrashingStorage, job_of, upload
from tests.gateway.jobs.test_membership import Clock

OPTIONS = JobOptions("ann", "routine", "default", "key")
WITHOUT_KEY = JobOptions("ann", "routine", "default")
FILES = {"one.dcm": b"1", "two.dcm": b"22"}
WRITES = 7  # of an upload: mark, files, key, open mark, end of the mark; and two that follow none


class HookedStorage(ObjectStorage):
    """Calls a function before or after a write of a key that begins so."""

    def __init__(self, url: str, spool: Path) -> None:
        super().__init__(url, spool)
        self.hooks: dict[str, Callable[[], object]] = {}

    def _call(self, name: str, key: str) -> None:
        for hook in list(self.hooks):
            if f"{name} {key}".startswith(hook):
                self.hooks.pop(hook)()

    def create(self, key: str, content: bytes) -> bool:
        self._call("before", key)
        first = super().create(key, content)
        self._call("after", key)
        return first

    def store_folder(self, folder: Path, key: str) -> None:
        self._call("before", key)
        super().store_folder(folder, key)
        self._call("after", key)

    def remove(self, key: str) -> None:
        self._call("remove", key)
        super().remove(key)


class Gateways:
    """Gateways on one storage, whose clock the tests move."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url, self.clock = folder, f"memory://{uuid4().hex}", Clock()
        self.storage = HookedStorage(self.url, folder / "fetched")

    def start(self, storage: Storage | None = None) -> JobStore:
        membership = Membership(self.storage, clock=self.clock)
        membership.join()
        membership.beat()
        spool = Spool(self.folder / membership.id)
        spool.open()
        return JobStore(storage or self.storage, spool, membership)

    def upload(self, store: JobStore, options: JobOptions = OPTIONS) -> str:
        return upload(store, self.folder / uuid4().hex, FILES, options)[0].id

    def let_die(self, *living: JobStore) -> None:
        """Time passes until all others count as dead."""
        for _ in range(6):
            self.clock.seconds += BEAT_S
            for store in living:
                assert store.membership
                store.membership.beat()

    def sweep(self, store: JobStore) -> None:
        store.settle_uploads(all_gateways=True)
        store.remove_orphans()

    def check_clean(self, store: JobStore, *jobs: str) -> None:
        """The storage has these open jobs, whole, and nothing of any other."""
        assert {job.id for job in store.open_jobs("routine", "ann") if job.exists()} == set(jobs)
        assert set(store.storage.names("jobs/ann")) == set(jobs)
        assert store.uploads.ids() == set()
        for job_id in jobs:
            with store.job("ann", job_id).files() as files:
                assert [file.path.read_bytes() for file in files] == list(FILES.values())


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    return Gateways(tmp_path)


def test_an_upload_leaves_no_mark(gateways: Gateways) -> None:
    store = gateways.start()
    gateways.check_clean(store, gateways.upload(store))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", range(WRITES))
def test_a_half_upload_of_a_dead_gateway_is_removed_and_repeated_once(
    gateways: Gateways,
    writes: int,
    after: bool,  # noqa: FBT001 - a parameter
) -> None:
    other = gateways.start()
    crashing = gateways.start(CrashingStorage(gateways.storage, writes, after=after))
    with suppress(Crash):
        gateways.upload(crashing)
    gateways.let_die(other)
    gateways.sweep(other)
    assert len(other.storage.names("keys/ann")) == len(other.storage.names("jobs/ann")), "the key goes with its job"
    gateways.check_clean(other, gateways.upload(other))
    gateways.sweep(other)
    gateways.check_clean(other, *other.storage.names("jobs/ann"))


@pytest.mark.parametrize("moment", ["after receiving/", "before jobs/", "after jobs/", "after keys/"])
def test_an_upload_of_a_living_gateway_is_never_touched(gateways: Gateways, moment: str) -> None:
    holder, slow = gateways.start(), gateways.start()

    def wait_long() -> None:
        for _ in range(3):
            gateways.let_die(holder, slow)
            gateways.sweep(holder)

    gateways.storage.hooks[moment] = wait_long
    gateways.check_clean(holder, gateways.upload(slow))


@pytest.mark.parametrize("options", [OPTIONS, WITHOUT_KEY])
@pytest.mark.parametrize("moment", ["after receiving/", "before jobs/", "after jobs/", "before keys/", "before open/"])
def test_an_upload_of_a_gateway_that_counted_as_dead_is_refused(
    gateways: Gateways, moment: str, options: JobOptions
) -> None:
    if "keys" in moment and options is WITHOUT_KEY:
        moment = "before open/"
    holder, slow = gateways.start(), gateways.start()

    def lose_it() -> None:
        gateways.let_die(holder)
        gateways.sweep(holder)

    gateways.storage.hooks[moment] = lose_it
    with pytest.raises(UploadAborted):
        gateways.upload(slow, options)
    gateways.sweep(holder)
    gateways.check_clean(holder, gateways.upload(slow, options))


def test_an_upload_that_was_accepted_before_the_removal_stays(gateways: Gateways) -> None:
    holder, slow = gateways.start(), gateways.start()

    def lose_it() -> None:
        gateways.let_die(holder)
        gateways.sweep(holder)

    gateways.storage.hooks["after open/"] = lose_it
    with suppress(UploadAborted):
        gateways.upload(slow)
    gateways.check_clean(holder, gateways.upload(holder))


@pytest.mark.parametrize("moment", ["before receiving/", "after receiving/", "remove jobs/", "remove receiving/"])
def test_a_repetition_meanwhile_gets_the_job_or_is_refused(gateways: Gateways, moment: str) -> None:
    """Another gateway repeats the request of a dead one just when its half upload is removed."""
    other, dead = gateways.start(), gateways.start(CrashingStorage(gateways.storage, 2, after=True))
    with suppress(Crash):
        gateways.upload(dead)
    gateways.let_die(other)
    accepted: list[str] = []

    def repeat() -> None:
        with suppress(UploadAborted):
            accepted.append(gateways.upload(other))

    gateways.storage.hooks[moment] = repeat
    gateways.sweep(other)
    last = gateways.upload(other)
    gateways.check_clean(other, last)
    assert set(accepted) <= {last}


def test_a_gateway_removes_what_it_could_not_remove_before(gateways: Gateways) -> None:
    class Failing(ObjectStorage):
        failing = False

        def create(self, key: str, content: bytes) -> bool:
            if self.failing:
                raise OSError(5, "no storage")
            return super().create(key, content)

        def store_folder(self, folder: Path, key: str) -> None:
            super().store_folder(folder, key)
            self.failing = True
            raise OSError(5, "no storage")

    storage = Failing(gateways.url, gateways.folder)
    store = gateways.start(storage)
    with pytest.raises(OSError, match="no storage"):
        gateways.upload(store)
    assert len(store.uploads.ids()) == 1
    storage.failing = False
    store.settle_uploads(all_gateways=False)
    gateways.check_clean(store)


def test_a_removal_that_a_dead_gateway_began_is_finished(gateways: Gateways) -> None:
    holder = gateways.start()
    dead = gateways.start(CrashingStorage(gateways.storage, 1, after=True))
    with suppress(Crash):
        gateways.upload(dead)
    (job,) = holder.all_jobs()
    holder.storage.create(f"receiving/ann/{job.id}/aborting", b"")
    gateways.let_die(holder)
    gateways.sweep(holder)
    assert job.exists(), "the gateway that began it may live"
    gateways.sweep(holder)
    gateways.check_clean(holder)


def test_an_accepted_job_that_lost_its_mark_is_marked_again(gateways: Gateways) -> None:
    store = gateways.start()
    job = job_of(store, gateways.folder)
    store.unmark_open("routine", job)
    gateways.sweep(store)
    assert [each.id for each in store.open_jobs("routine", "ann")] == [job.id]
