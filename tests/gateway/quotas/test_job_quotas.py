"""Quotas of jobs, counted in a real storage and a real Redis, as several gateways do."""

from contextlib import suppress
from pathlib import Path

import pytest
from anyio import create_task_group, to_thread
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.gateway.jobs.scheduler import QueueUnavailable
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.quotas.job_quotas import JobQuotas
from services.gateway.quotas.limits import Limits, SenderLimits
from services.gateway.quotas.problems import QuotaExceeded
from services.gateway.quotas.refusals import Refusals
from tests.gateway.jobs.factories import job_of, report_of, upload
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio
NO_REDIS = Redis(unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def gateway(redis: Redis, store: JobStore, limits: SenderLimits, refused: Refusals | None = None) -> JobQuotas:
    """The quotas of a gateway that has just started."""
    return JobQuotas(Limits(limits), Redis.from_url(redis_url(redis)), store, refused or Refusals())


async def accept(quotas: JobQuotas, store: JobStore, folder: Path, content: bytes = b"1") -> None:
    """Accept a job of one file, as `JobService` does."""
    async with quotas.reserved("ann", len(content)) as reserved:
        await to_thread.run_sync(reserved.resize, len(content))
        options = JobOptions("ann", "routine", "default")
        await to_thread.run_sync(upload, store, folder, {"a.dcm": content}, options)
        reserved.stored = True


async def refusal(quotas: JobQuotas, size: int = 1) -> tuple[str, int] | None:
    """The quota that refuses a job, and how much of it is used; None where it is accepted."""
    try:
        async with quotas.reserved("ann", size):
            return None
    except QuotaExceeded as problem:
        return problem.extra["quota"], problem.extra["used"]


async def test_ended_jobs_leave_the_quota_and_an_emptied_redis_is_filled_from_the_storage(
    redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    first, second = (gateway(redis, store, SenderLimits(jobs=2)) for _ in range(2))
    for quotas in (first, second):
        await accept(quotas, store, tmp_path)
    assert await refusal(first) == await refusal(second) == ("jobs", 2)
    redis.flushall()
    assert await refusal(gateway(redis, store, SenderLimits(jobs=2))) == ("jobs", 2)
    store.close(store.jobs("ann")[0], "routine", "finished")
    redis.flushall()  # as after the few seconds for which a count serves
    assert await refusal(first) is None


async def test_bytes_are_those_of_files_that_are_stored(redis: Redis, store: JobStore, tmp_path: Path) -> None:
    limits = SenderLimits(bytes=100)
    await accept(gateway(redis, store, limits), store, tmp_path, b"x" * 60)
    redis.flushall()
    assert await refusal(gateway(redis, store, limits), 41) == ("bytes", 60)
    assert await refusal(gateway(redis, store, limits), 40) is None
    (job,) = store.jobs("ann")
    job.remove_files()
    redis.flushall()
    assert await refusal(gateway(redis, store, limits), 100) is None


async def test_an_upload_that_unpacks_to_more_than_it_declared_is_refused_before_it_is_stored(
    redis: Redis, store: JobStore
) -> None:
    quotas = gateway(redis, store, SenderLimits(bytes=100))
    async with quotas.reserved("ann", 10) as reserved:
        with pytest.raises(QuotaExceeded, match="quota_exceeded"):
            reserved.resize(101)
    assert await refusal(quotas, 100) is None  # what was reserved is given back


async def test_a_job_that_was_counted_during_its_upload_is_counted_again(
    redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    """Large files travel after small ones, so the first count sees a folder without files."""
    quotas = gateway(redis, store, SenderLimits(bytes=100))
    store.storage.create("jobs/ann/0123/source", b"upload")
    assert await refusal(quotas, 100) is None
    store.storage.remove("jobs/ann/0123")
    job = job_of(store, tmp_path)
    store.storage.store_folder(tmp_path / "store" / job.key, "jobs/ann/0123")
    redis.flushall()
    assert await refusal(quotas, 100) == ("bytes", 1)


async def test_series_in_work_are_those_without_a_report(redis: Redis, store: JobStore, tmp_path: Path) -> None:
    quotas, job = gateway(redis, store, SenderLimits(series=3)), job_of(store, tmp_path, count=4)
    assert await refusal(quotas) == ("series", 4)
    for number in range(2):
        job.create_report(number, report_of("assessed", number))
    redis.flushall()
    assert await refusal(quotas) is None


async def test_gateways_together_accept_as_many_jobs_as_the_quota_has(
    redis: Redis, store: JobStore, tmp_path: Path
) -> None:
    """With counts of the storage in between, in both gateways."""
    gateways = [gateway(redis, store, SenderLimits(jobs=12)) for _ in range(2)]

    accepted: list[int] = []

    async def send(index: int) -> None:
        with suppress(QuotaExceeded):
            await accept(gateways[index % 2], store, tmp_path / str(index))
            accepted.append(index)
        if index % 3 == 0:
            redis.hdel("ich:quota:ann", "at")  # the next job counts

    async with create_task_group() as tasks:
        for index in range(40):
            tasks.start_soon(send, index)
    assert len(accepted) == len(store.jobs("ann")) == 12


async def test_a_job_is_refused_without_redis(store: JobStore) -> None:
    quotas = JobQuotas(Limits(SenderLimits(jobs=2)), NO_REDIS, store, Refusals())
    with pytest.raises(QueueUnavailable):
        await refusal(quotas)


async def test_a_sender_without_limits_needs_no_redis(store: JobStore) -> None:
    quotas = JobQuotas(Limits(SenderLimits()), NO_REDIS, store, Refusals())
    assert await refusal(quotas) is None


async def test_refusals_are_counted_by_quota(redis: Redis, store: JobStore, tmp_path: Path) -> None:
    refused = Refusals()
    job_of(store, tmp_path)
    for _ in range(3):
        await refusal(gateway(redis, store, SenderLimits(jobs=1), refused))
    assert refused.counts == {"jobs": 3, "bytes": 0, "series": 0, "requests": 0}
