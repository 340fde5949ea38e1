"""A second gateway on the folders of a running one, as processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from services.common.folder_lock import FolderInUse
from services.gateway.jobs.membership import Membership
from services.gateway.jobs.ownership import owning
from services.gateway.jobs.storage_lease import BEAT_S
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from tests.redis_process import redis_url
from tests.running import ROOT, free_ports

START_S = 60.0


@contextmanager
def gateway(redis: Redis, spool: Path, jobs: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    (port,) = free_ports(1)
    settings = {"SPOOL_DIR": str(spool), "JOBS_DIR": str(jobs), "REDIS_URL": redis_url(redis), "DRAIN_S": "0"}
    environment = {**os.environ, **{f"ICH_GATEWAY_{name}": value for name, value in settings.items()}}
    command = [sys.executable, "-m", "services.gateway", "--port", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_until_live(process: subprocess.Popen[bytes], url: str, log: Path) -> float:
    """Seconds until the gateway answers."""
    begin = time.monotonic()
    while time.monotonic() < begin + START_S:
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{url}/livez", timeout=5).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return time.monotonic() - begin
    raise AssertionError(log.read_text())


def test_a_second_gateway_refuses_to_start_and_leaves_the_uploads_of_the_first(redis: Redis, tmp_path: Path) -> None:
    spool, jobs, log = tmp_path / "spool", tmp_path / "jobs", tmp_path / "log"
    with gateway(redis, spool, jobs, tmp_path / "first") as (first, url):
        wait_until_live(first, url, tmp_path / "first")
        assert "Umask:\t0077" in Path(f"/proc/{first.pid}/status").read_text()
        uploads = [spool / "upload-1", jobs / "incoming" / "upload-2"]
        for upload in uploads:
            upload.mkdir()
        for folders, named in (((spool, tmp_path / "other"), spool), ((tmp_path / "other", jobs), jobs)):
            with gateway(redis, *folders, log) as (second, _):
                assert second.wait(START_S) != 0
            text = log.read_text()
            assert f"{named} is in use by process {first.pid} on" in text
            assert "Stop that one, or set ICH_GATEWAY_" in text
        assert all(upload.is_dir() for upload in uploads)
        assert httpx.get(f"{url}/livez").is_success


def test_a_gateway_starts_at_once_after_kill_9(redis: Redis, tmp_path: Path) -> None:
    spool, jobs, log = tmp_path / "spool", tmp_path / "jobs", tmp_path / "log"
    with gateway(redis, spool, jobs, log) as (first, url):
        usual_s = wait_until_live(first, url, log)
        first.send_signal(signal.SIGKILL)
        first.wait()
    with gateway(redis, spool, jobs, log) as (second, url):
        assert wait_until_live(second, url, log) < usual_s + BEAT_S


@pytest.mark.anyio
async def test_an_object_storage_is_shared_by_gateways_with_folders_of_their_own(tmp_path: Path) -> None:
    def settings(name: str) -> Settings:
        folder = tmp_path / name
        return Settings(spool_dir=folder / "spool", jobs_dir=folder / "jobs", jobs_url=f"memory://{tmp_path.name}")

    def membership(name: str) -> Membership:
        found = JobStore.at(settings(name).jobs_dir, settings(name).jobs_url).membership
        assert found
        return found

    first, second = membership("first"), membership("second")
    async with owning(settings("first"), first):
        async with owning(settings("second"), second):
            assert first.living() == {first.id, second.id}
            assert (first.term(), second.term()) == (1, None)
        with pytest.raises(FolderInUse):
            async with owning(settings("first"), second):
                pass
        assert first.living() == {first.id}
    assert first.term() is None


def test_a_gateway_whose_storage_another_one_took_over_ends_itself() -> None:
    ended = subprocess.run([sys.executable, "-c", _OVERTAKEN], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGTERM
    assert ["takes no heartbeat" in ended.stderr, "another gateway has taken over" in ended.stderr] == [True, True]


# A lease whose storage fails twice, and that another gateway has taken over then.
_OVERTAKEN = """
import asyncio
from services.gateway.jobs.ownership import beat_forever
from services.gateway.jobs.storage_lease import StorageLease

class OvertakenLease(StorageLease):
    def __init__(self):
        self.answers = [OSError(5, "no storage"), RuntimeError("a driver's own error")]

    def beat(self):
        if self.answers:
            raise self.answers.pop()
        return False

asyncio.run(beat_forever([OvertakenLease()], interval_s=0))
"""


@pytest.mark.anyio
async def test_spool_and_jobs_may_share_a_folder(tmp_path: Path) -> None:
    async with owning(Settings(spool_dir=tmp_path, jobs_dir=tmp_path)):
        pass


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
