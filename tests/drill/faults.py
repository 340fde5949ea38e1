"""The faults. Each function returns after the fault, and repairs nothing that the product must repair itself."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.drill.bundle import altered_graph, wait_until_refused
from tests.drill.disk import filled
from tests.drill.sender import Sender
from tests.drill.surroundings import Surroundings
from tests.running import Service, children

_CATCH_S: Final = 10
_MIDDLE_S: Final = 0.05
_STOP_S: Final = 30
_FULL_S: Final = 10
_REFUSAL_S: Final = 30
_UPLOAD_S: Final = 4.0
_PIECES: Final = 20
_ROUTINE: Final = "urgent routine"
Injection = Callable[[Service, Sender, Surroundings], None]


@dataclass(frozen=True)
class Fault:
    """A fault and its name; `needs_small_disk` where it fills the disk."""

    name: str
    inject: Injection
    needs_small_disk: bool = False


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def _work_horse(service: Service) -> int:
    """The process of RQ's work horse, while it processes a series."""
    deadline = time.monotonic() + _CATCH_S
    while time.monotonic() < deadline:
        for horse in children(service.worker(_ROUTINE)):
            time.sleep(_MIDDLE_S)
            if horse in children(service.worker(_ROUTINE)):
                return horse
    raise TimeoutError("no worker processed a series within 10 s")


def kill_worker(service: Service, *_: object) -> None:
    _work_horse(service)
    _kill(service.worker(_ROUTINE))


def kill_worker_and_horse(service: Service, *_: object) -> None:
    horse = _work_horse(service)
    _kill(service.worker(_ROUTINE))
    _kill(horse)


def kill_horse(service: Service, *_: object) -> None:
    _kill(_work_horse(service))


def kill_service(name: str) -> Injection:
    def inject(service: Service, *_: object) -> None:
        _kill(service.process(name))

    return inject


def kill_gateway_during_uploads(service: Service, sender: Sender, _: Surroundings) -> None:
    """Kill the gateway while one slow upload is half received and fast uploads follow each other.

    One of the fast jobs may be stored without its 202.
    """
    half = threading.Event()
    with ThreadPoolExecutor(4) as senders:
        sent = [senders.submit(sender.send, 1, 6, partial(slowly, half=half))]
        half.wait()
        sent += [senders.submit(sender.send, 1, 2) for _ in range(8)]
        time.sleep(0.05)
        _kill(service.process("gateway"))
    for job in sent:
        job.result()


def slowly(body: bytes, half: threading.Event) -> Iterator[bytes]:
    size = len(body) // _PIECES + 1
    for number in range(_PIECES):
        if number == _PIECES // 2:
            half.set()
        yield body[number * size : (number + 1) * size]
        time.sleep(_UPLOAD_S / _PIECES)


def kill_redis(service: Service, *_: object) -> None:
    _kill(service.redis())


def empty_redis(service: Service, *_: object) -> None:
    with service.redis_client() as redis:
        redis.flushall()


def stop_stage(name: str) -> Injection:
    def inject(service: Service, sender: Sender, _: Surroundings) -> None:
        process = service.process(name)
        os.kill(process, signal.SIGSTOP)
        try:
            sender.send(2)
            time.sleep(_STOP_S)
        finally:
            os.kill(process, signal.SIGCONT)

    return inject


def fill_disk(service: Service, sender: Sender, _: Surroundings) -> None:
    """A job sent meanwhile is refused, and accepted once there is room."""
    with ThreadPoolExecutor(1) as other:
        with filled(service.jobs_dir):
            sent = other.submit(sender.send, 2)
            time.sleep(_FULL_S)
            assert not sent.done(), "a job was accepted on a full disk"
        sent.result()
    assert "503 no_space" in sender.refusals, sender.refusals


def change_bundle(service: Service, *_: object) -> None:
    """Change the graph of the RNN, and kill rnn: it refuses the bundle until the graph is as before."""
    with altered_graph():
        _kill(service.process("rnn"))
        wait_until_refused(service, _REFUSAL_S)


FAULTS: Final = (
    Fault("kill -9 of a worker during a series", kill_worker),
    Fault("kill -9 of its work horse", kill_horse),
    Fault("kill -9 of both at once", kill_worker_and_horse),
    Fault("kill -9 of cnn", kill_service("cnn")),
    Fault("kill -9 of preprocess", kill_service("preprocess")),
    Fault("kill -9 of the gateway during uploads", kill_gateway_during_uploads),
    Fault("kill -9 of Redis", kill_redis),
    Fault("Redis is emptied", empty_redis),
    Fault("cnn stopped for 30 s", stop_stage("cnn")),
    Fault("bundle changed, and kill -9 of rnn", change_bundle),
    Fault("a full disk for 10 s", fill_disk, needs_small_disk=True),
)
