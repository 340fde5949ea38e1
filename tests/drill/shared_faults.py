"""Faults of a cluster. Each function returns after the fault, and repairs nothing that the product must repair."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tests.drill.cluster import GATEWAYS, WORKERS, Cluster
from tests.drill.faults import slowly
from tests.drill.sender import Sender
from tests.running import children

Injection = Callable[[Cluster, Sender], object]
Chosen = Callable[[Cluster], int]
_CATCH_S: Final = 60.0
_OUTAGE_S: Final = 8.0
_CUT_S: Final = 35.0
_SLOW_S: Final = 0.1
_SLOWEST_S: Final = 0.5
_FILES: Final = 24


@dataclass(frozen=True)
class SharedFault:
    """A fault and its name."""

    name: str
    inject: Injection


def holder(cluster: Cluster) -> int:
    """The gateway that holds the lease of sweeps."""
    return cluster.holder()


def other(cluster: Cluster) -> int:
    """The other one."""
    return next(number for number in GATEWAYS if number != cluster.holder())


def targeted(cluster: Cluster, sender: Sender, number: int) -> Sender:
    """The same sender, whose first attempt is at one gateway."""
    return replace(sender, client=cluster.client(number))


def end_gateway_during_uploads(chosen: Chosen, kind: signal.Signals) -> Injection:
    """End a gateway while it has received half of a slow upload, and while fast uploads follow each other."""

    def inject(cluster: Cluster, sender: Sender) -> None:
        number, half = chosen(cluster), threading.Event()
        with ThreadPoolExecutor(4) as senders:
            sent: list[Future[str]] = [
                senders.submit(targeted(cluster, sender, number).send, 1, 6, partial(slowly, half=half))
            ]
            assert half.wait(_CATCH_S)
            sent += [senders.submit(sender.send, 1, 2) for _ in range(6)]
            os.kill(cluster.gateway(number), kind)
        for job in sent:
            job.result()

    return inject


def kill_gateway_that_stores(cluster: Cluster, sender: Sender) -> None:
    """Kill a gateway while half of a job is in the storage."""
    number = other(cluster)
    with ThreadPoolExecutor(1) as senders:
        with cluster.proxies[number].slowed(_SLOWEST_S):
            sent = senders.submit(targeted(cluster, sender, number).send, 1, _FILES)
            cluster.wait_for(lambda: _half_stored(cluster, sender), _CATCH_S, "no job was half stored")
            os.kill(cluster.gateway(number), signal.SIGKILL)
        sent.result()


def _half_stored(cluster: Cluster, sender: Sender) -> bool:
    """Whether the storage has files of a job that no sender knows, and not all."""
    names = cluster.storage.names
    jobs = {job for owner in names("jobs") for job in names(f"jobs/{owner}") if job not in sender.jobs}
    counts = [len(names(f"jobs/{owner}/{job}/files")) for owner in names("jobs") for job in jobs]
    return any(0 < count < _FILES for count in counts)


def kill_both_gateways(cluster: Cluster, _: Sender) -> None:
    for number in GATEWAYS:
        os.kill(cluster.gateway(number), signal.SIGKILL)


def kill_workers(cluster: Cluster, _: Sender) -> None:
    """Kill all workers and the processes of their tickets, which leave copies of files."""
    for number in WORKERS:
        worker = cluster.worker(number)
        tickets = children(worker)
        for process in (worker, *tickets):
            os.kill(process, signal.SIGKILL)


def kill_redis(cluster: Cluster, _: Sender) -> None:
    os.kill(cluster.redis(), signal.SIGKILL)


def empty_redis(cluster: Cluster, _: Sender) -> None:
    with cluster.redis_client() as redis:
        redis.flushall()


def stop_storage(cluster: Cluster, sender: Sender) -> None:
    """Kill the storage, and start it after some seconds; a job is sent meanwhile."""
    with ThreadPoolExecutor(1) as senders:
        cluster.server.kill()
        sent = senders.submit(sender.send, 2)
        time.sleep(_OUTAGE_S)
        cluster.server.start()
        sent.result()


def slow_storage(cluster: Cluster, sender: Sender) -> None:
    with slowed(cluster):
        sender.send(2)
        sender.wait_until_ended()


@contextmanager
def slowed(cluster: Cluster) -> Iterator[None]:
    """All requests of both gateways to the storage take longer."""
    with cluster.proxies[1].slowed(_SLOW_S), cluster.proxies[2].slowed(_SLOW_S):
        yield


def cut_off_gateway(chosen: Chosen) -> Injection:
    """Cut a gateway off from the storage while it stores a job; another takes the lease over where it had it."""

    def inject(cluster: Cluster, sender: Sender) -> None:
        number = chosen(cluster)
        with ThreadPoolExecutor(2) as senders:
            with cluster.proxies[number].cut_off():
                begin = time.monotonic()
                sent = [senders.submit(targeted(cluster, sender, number).send, 1, 6) for _ in range(2)]
                cluster.wait_for(lambda: cluster.holder() != number, _CATCH_S, "nobody took the lease over")
                time.sleep(max(0.0, begin + _CUT_S - time.monotonic()))
            for job in sent:
                job.result()

    return inject


SHARED_FAULTS: Final = (
    SharedFault("the leaseholder cut off from S3 for 35 s", cut_off_gateway(holder)),
    SharedFault("kill -9 of the leaseholder during uploads", end_gateway_during_uploads(holder, signal.SIGKILL)),
    SharedFault("kill -9 of the other gateway during uploads", end_gateway_during_uploads(other, signal.SIGKILL)),
    SharedFault("SIGTERM of the leaseholder during uploads", end_gateway_during_uploads(holder, signal.SIGTERM)),
    SharedFault("SIGTERM of the other gateway during uploads", end_gateway_during_uploads(other, signal.SIGTERM)),
    SharedFault("kill -9 of a gateway while it stores a job", kill_gateway_that_stores),
    SharedFault("kill -9 of both gateways", kill_both_gateways),
    SharedFault("kill -9 of all workers and their tickets", kill_workers),
    SharedFault("kill -9 of Redis", kill_redis),
    SharedFault("Redis is emptied", empty_redis),
    SharedFault("kill -9 of S3, started again after 8 s", stop_storage),
    SharedFault("S3 slow: 100 ms more for each request", slow_storage),
)
