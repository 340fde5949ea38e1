"""Another user of the machine reads nothing, and gets no connection to Redis."""

import os
import stat
from pathlib import Path

import anyio
import pytest

from services.common.private_folder import UnsafeFolder
from services.gateway.jobs.connection import check_socket
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.uploads.spool import Spool
from tests.another_user import NOBODY, as_another_user, needs_root, open_folder
from tests.gateway.jobs.factories import plan_of, report_of, upload
from tests.redis_process import running_redis

CONNECT = """
try:
    socket.socket(socket.AF_UNIX).connect({path!r})
except PermissionError:
    print("denied")
"""


def _modes(folder: Path) -> set[str]:
    paths = [folder, *folder.rglob("*")]
    return {f"{'folder' if path.is_dir() else 'file'} {stat.S_IMODE(path.lstat().st_mode):o}" for path in paths}


def _filled_store(folder: Path) -> JobStore:
    """A store with a job in work, a finished one and a key, made under a umask that hides nothing."""
    store = JobStore.at(folder)
    store.recover()
    job, _ = upload(store, folder / "incoming", {"a.dcm": b"CANARY"}, JobOptions("ann", "routine", "default", "key"))
    job.create_plan(*plan_of(1))
    job.create_report(0, report_of("assessed"))
    store.close(job, "routine", "finished")
    return store


@pytest.fixture
def no_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_files_of_jobs_and_uploads_are_private_whatever_the_umask(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    _filled_store(jobs)
    spool = Spool(tmp_path / "spool")
    spool.open()

    async def receive() -> None:
        async with spool.folder() as folder:
            folder.create().close()
            assert _modes(tmp_path / "spool") == {"folder 700", "file 600"}

    anyio.run(receive)
    for made in (jobs / "incoming").rglob("*"):  # by the factory; a gateway's upload is checked above
        made.rmdir()
    assert _modes(jobs) == {"folder 700", "file 600"}


@needs_root
def test_another_user_lists_and_reads_nothing() -> None:
    with open_folder() as shared:
        _filled_store(shared / "jobs")
        found = as_another_user(
            "from pathlib import Path",
            f"""
for path in (Path({str(shared / "jobs")!r}), Path({str(shared / "jobs/jobs/ann")!r})):
    try:
        print(list(path.iterdir()))
    except PermissionError:
        print("denied")
""",
        )
    assert found.split() == ["denied", "denied"]


@needs_root
def test_redis_refuses_another_user() -> None:
    with open_folder() as shared, running_redis(shared / "redis") as redis:
        assert redis.ping()
        path = str(shared / "redis" / "redis.sock")
        script = CONNECT.format(path=path)
        assert as_another_user("import socket", script) == "denied\n"
        (shared / "redis").chmod(0o755)
        assert as_another_user("import socket", script) == "denied\n"
        Path(path).chmod(0o777)
        assert as_another_user("import socket", script) == "", "the check can fail"


@needs_root
def test_a_socket_in_the_folder_of_another_user_is_refused() -> None:
    with open_folder() as shared:
        (shared / "mine").mkdir()
        check_socket(shared / "mine" / "redis.sock")
        os.chown(shared / "mine", NOBODY, NOBODY)
        with pytest.raises(UnsafeFolder, match="ICH_GATEWAY_REDIS_URL"):
            check_socket(shared / "mine" / "redis.sock")
        shared.chmod(0o755)
        check_socket(shared / "mine" / "redis.sock")  # as /run/redis of a system's Redis
