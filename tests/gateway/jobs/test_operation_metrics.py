"""Metrics of operation, over a real Redis and a real worker's registration."""

from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError
from rq.serializers import JSONSerializer

from services.gateway.jobs.lease import SoleGateway
from services.gateway.jobs.operation_metrics import OperationMetrics, measured_folders
from services.gateway.jobs.scheduler import queue_name
from services.gateway.jobs.ticket_worker import TicketWorker
from services.gateway.settings import Settings


class _NoLease:
    def term(self) -> int | None:
        return None


def _samples(metrics: OperationMetrics) -> dict[tuple[str, ...], float]:
    samples = (sample for family in metrics.collect() for sample in family.samples)
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_living_workers_count_for_each_priority_that_they_serve(redis: Redis) -> None:
    queues = [queue_name("urgent")], [queue_name("urgent"), queue_name("routine")]
    workers = [TicketWorker(names, connection=redis, serializer=JSONSerializer) for names in queues]
    for worker in workers:
        worker.register_birth()  # type: ignore[no-untyped-call]
    metrics = OperationMetrics(redis, SoleGateway(), {})
    found = _samples(metrics)
    assert (found["ich_workers", "urgent"], found["ich_workers", "routine"]) == (2, 1)
    redis.delete(workers[1].key)  # expired: its process died
    found = _samples(metrics)
    assert (found["ich_workers", "urgent"], found["ich_workers", "routine"]) == (1, 0)


class _Down:
    def smembers(self, name: str) -> set[bytes]:
        raise RedisError(name)

    def exists(self, *names: str) -> int:
        raise RedisError(names)


@pytest.mark.parametrize(("lease", "held"), [(SoleGateway(), 1), (_NoLease(), 0)])
def test_lease_and_disks_need_no_redis(tmp_path: Path, lease: SoleGateway | _NoLease, held: int) -> None:
    settings = Settings(jobs_dir=tmp_path, spool_dir=tmp_path / "missing", audit_file=tmp_path / "audit.jsonl")
    found = _samples(OperationMetrics(_Down(), lease, measured_folders(settings)))
    assert found.pop(("ich_sweeper_lease_held",)) == held
    assert {key[1] for key in found} == {"jobs", "audit"}
    assert 0 < found["ich_disk_free_bytes", "jobs"] < found["ich_disk_size_bytes", "jobs"]
