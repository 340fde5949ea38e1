"""Metrics that alerts of operation need: workers, the lease of sweeps, and free space."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from services.gateway.jobs.lease import Lease
from services.gateway.jobs.scheduler import queue_name
from services.gateway.jobs.schemas import PRIORITIES
from services.gateway.settings import Settings

_WORKERS: Final = "rq:workers"  # RQ's sets of the keys of workers; a key expires some minutes after its worker


class Workers(Protocol):
    """The commands of Redis that count workers."""

    def smembers(self, name: str, /) -> Any:
        """The members of a set."""

    def exists(self, *names: str) -> Any:
        """How many of the keys exist."""


class OperationMetrics(Collector):
    """Collects the metrics at each scrape.

    folders : their disks are measured; the names say what lies there
    """

    def __init__(self, redis: Workers, lease: Lease, folders: Mapping[str, Path]) -> None:
        self._redis, self._lease, self._folders = redis, lease, folders

    def collect(self) -> Iterator[Metric]:
        """Workers (without samples while Redis is down), the lease, and disks."""
        workers = GaugeMetricFamily("ich_workers", "Workers that take tickets of a priority", labels=["priority"])
        with suppress(RedisError):
            for priority in PRIORITIES:
                keys = self._redis.smembers(f"{_WORKERS}:{queue_name(priority)}")
                workers.add_metric([priority], self._redis.exists(*keys) if keys else 0)
        yield workers
        held = int(self._lease.term() is not None)
        yield GaugeMetricFamily("ich_sweeper_lease_held", "1 where this gateway sweeps and sends webhooks", held)
        yield from self._disks()

    def _disks(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("ich_disk_free_bytes", "Free space of the disk of a folder", labels=["folder"])
        size = GaugeMetricFamily("ich_disk_size_bytes", "Size of the disk of a folder", labels=["folder"])
        for name, folder in self._folders.items():
            with suppress(OSError):
                found = os.statvfs(folder)
                free.add_metric([name], found.f_bavail * found.f_frsize)
                size.add_metric([name], found.f_blocks * found.f_frsize)
        yield from (free, size)


def measured_folders(settings: Settings) -> Mapping[str, Path]:
    """The folders of a gateway that may fill up."""
    folders = {"jobs": settings.jobs_dir, "spool": settings.spool_dir}
    return folders | ({"audit": settings.audit_file.parent} if settings.audit_file else {})
