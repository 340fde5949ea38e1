"""Attacks on the shares of others: idle uploads, large archives, and floods of valid requests."""

import io
import os
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import httpx

from services.gateway.uploads.multipart_form import FORM_FIELD
from tests.attack.attack import (
    ATTACKER_ADDRESS,
    ATTACKER_KEY,
    CROWD_KEYS,
    NEIGHBOUR_ADDRESS,
    NEIGHBOUR_KEY,
    Attack,
    Outcome,
    Target,
)
from tests.scans import ct_slice, head

_FLOOD_S: Final = 4.0
_SLICE: Final = ct_slice(0, head(256))
_IDLE: Final = 20
_DELETING: Final = 4
_ZIPS: Final = 4
_ZIP_FILES: Final = 200
_ZIP_FILE: Final = os.urandom(11_000) + bytes((1 << 20) - 11_000)  # 200 of them are 3 MB in a zip
_PREDICTION_S: Final = 2.0
_PAUSE_S: Final = 0.05
_SLOW_EACH: Final = 70
_SLOW_S: Final = 3.0
_SLOW_PIECE: Final = bytes(1250)  # each second
_ANNOUNCED: Final = (
    "POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000000\r\n\r\n"
)
_FIRST_PART: Final = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'

Files = list[tuple[str, tuple[str, bytes]]]


def small_series(count: int) -> Files:
    """A series of small slices, as parts of a form."""
    return [(FORM_FIELD, (f"{index}.dcm", ct_slice(index, head(256)))) for index in range(count)]


def post_job(target: Target, slices: int) -> str:
    """The id of a new job of one series; empty where it is refused."""
    with target.client() as client:
        answer = client.post("/v1/jobs", files=small_series(slices))
    return str(answer.json()["id"]) if answer.is_success else ""


@contextmanager
def deleted_jobs(target: Target, key: str = ATTACKER_KEY) -> Iterator[list[str]]:
    """A list of jobs, which are cancelled and deleted at the end, so that no later row pays for them."""
    jobs = list[str]()
    try:
        yield jobs
    finally:
        with target.client(key) as client, ThreadPoolExecutor(_DELETING) as pool:
            paths = [f"/v1/jobs/{job}" for job in filter(None, jobs)]
            for _ in range(2):
                list(pool.map(client.delete, paths))


def flood(threads: int, send: Callable[[], int]) -> Counter[int]:
    """The statuses of requests that threads send as fast as they are answered, for some seconds."""
    end = time.monotonic() + _FLOOD_S

    def repeat(_: int) -> Counter[int]:
        statuses = Counter[int]()
        while time.monotonic() < end:
            try:
                statuses[send()] += 1
            except httpx.TransportError:
                statuses[0] += 1
        return statuses

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(repeat, range(threads)), Counter())


def summary(statuses: Counter[int]) -> Outcome:
    """The statuses of a flood; it holds without a 500."""
    parts = ", ".join(f"{count} x {status or 'closed'}" for status, count in statuses.most_common())
    return Outcome(parts, held=not statuses[500])


def _idle_uploads(target: Target) -> Outcome:
    """Connections that announce 1 GB and send nothing."""
    announced = _ANNOUNCED.format(path="predictions", key=ATTACKER_KEY).encode()
    connections = [target.connect() for _ in range(_IDLE)]
    for connection in connections:
        connection.sendall(announced)
    time.sleep(_FLOOD_S)
    statuses = Counter[int]()
    for connection in connections:
        connection.settimeout(0.01)
        with connection, suppress(TimeoutError):
            statuses[int(connection.recv(16).split()[1])] += 1
    return Outcome(f"{statuses[503]} are 503, {_IDLE - statuses.total()} wait", held=True)


def _small_predictions(target: Target) -> Outcome:
    def send() -> int:
        with target.client() as client:
            return client.post("/v1/predictions", files={FORM_FIELD: ("a.dcm", _SLICE)}).status_code

    return summary(flood(24, send))


def _large_series(target: Target) -> Outcome:
    files = small_series(80)

    def send() -> int:
        with target.client() as client:
            return client.post("/v1/predictions", files=files).status_code

    return summary(flood(6, send))


def _many_jobs(target: Target) -> Outcome:
    files = small_series(4)
    with deleted_jobs(target) as jobs:

        def send() -> int:
            with target.client() as client:
                answer = client.post("/v1/jobs", files=files)
            if answer.is_success:
                jobs.append(answer.json()["id"])
            return answer.status_code

        return summary(flood(16, send))


def _predict(target: Target, key: str | None = NEIGHBOUR_KEY, address: str = NEIGHBOUR_ADDRESS) -> tuple[int, float]:
    """The status and the seconds of a prediction of one slice."""
    begin = time.monotonic()
    with target.client(key, address) as client:
        status = client.post("/v1/predictions", files={FORM_FIELD: ("a.dcm", _SLICE)}).status_code
    return status, time.monotonic() - begin


def _slow_uploads(target: Target) -> Outcome:
    """Uploads of jobs a little above the least rate, from six senders that take all places together."""
    statuses = Counter[int]()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(target.connect(f"127.0.2.{number}"))
            for number in range(1, len(CROWD_KEYS) + 1)
            for _ in range(_SLOW_EACH)
        ]
        for number, connection in enumerate(connections):
            key = CROWD_KEYS[number // _SLOW_EACH]
            connection.sendall(_ANNOUNCED.format(path="jobs", key=key).encode() + _FIRST_PART)
        end = time.monotonic() + _SLOW_S
        while time.monotonic() < end:
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(_SLOW_PIECE)
            for _ in range(4):
                statuses[_predict(target, ATTACKER_KEY, ATTACKER_ADDRESS)[0]] += 1  # it holds nothing else
                time.sleep(_PAUSE_S)
    return Outcome(summary(statuses).answer, held=set(statuses) == {200})


def _large_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(_ZIP_FILES):
            archive.writestr(f"{number}.dcm", _ZIP_FILE[:-4] + number.to_bytes(4))
    return packed.getvalue()


def _zips_of_jobs(target: Target) -> Outcome:
    """Four jobs at once, each a zip that takes seconds to unpack."""
    packed, seconds = _large_zip(), list[float]()
    with deleted_jobs(target) as jobs, ThreadPoolExecutor(_ZIPS) as pool:
        sent = [pool.submit(target.upload, [("a.zip", packed)], "/v1/jobs") for _ in range(_ZIPS)]
        while not all(one.done() for one in sent):
            status, took = _predict(target)
            seconds.append(took if status == httpx.codes.OK else float("inf"))
            time.sleep(_PAUSE_S)
        jobs += [one.result().json().get("id", "") for one in sent]
    worst = max(seconds)
    return Outcome(f"{len(seconds)} predictions, the slowest in {worst:.1f} s", held=worst < _PREDICTION_S)


ATTACKS: Final = (
    Attack("20 idle uploads of 1 GB", "others are served", _idle_uploads),
    Attack("flood of small predictions, 24 at once", "others are served", _small_predictions),
    Attack("flood of series of 80 slices, 6 at once", "others are served", _large_series),
    Attack("70 slow uploads of each of 6 senders", "another's predictions are 200", _slow_uploads),
    Attack("4 zips of 200 MB unpacked, as jobs at once", "another's prediction in 2 s", _zips_of_jobs),
    Attack("flood of jobs, 16 at once", "others are served", _many_jobs),
)
