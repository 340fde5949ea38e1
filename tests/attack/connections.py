"""Attacks with connections: half-open, slow, or many at once."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from tests.attack.attack import ATTACKER_ADDRESS, ATTACKER_KEY, NEIGHBOUR_ADDRESS, Attack, Outcome, Target
from tests.attack.shares import deleted_jobs, post_job
from tests.running import children

_HOST: Final = b"Host: localhost\r\n"
_HALF: Final = b"GET /livez HTTP/1.1\r\nHo"
_AUTHORIZATION: Final = f"Authorization: Bearer {ATTACKER_KEY}\r\n".encode()
_POST: Final = b"POST /v1/predictions HTTP/1.1\r\n" + _HOST + _AUTHORIZATION
_MULTIPART: Final = b"Content-Type: multipart/form-data; boundary=b\r\n"
_HALF_OPEN: Final = 1100
_LISTENERS: Final = 3000
_THREADS: Final = 4
_MAX_PLACES: Final = 64
_ADDRESSES: Final = 40
_HELD_S: Final = 2.0
_HEADER_S: Final = 12.0
_ANSWER_S: Final = 5.0
_PIECE: Final = bytes(1 << 20)


def attacker_address(number: int) -> str:
    """One of the attacker's addresses, 127.0.0.2 and further ones."""
    return f"127.0.0.{2 + number % _ADDRESSES}"


@contextmanager
def opened(target: Target, addresses: Iterator[str], sent: bytes) -> Iterator[list[socket.socket]]:
    """Connections from these addresses that have sent some bytes; those that are refused are left out."""
    with ExitStack() as stack:
        found = []
        for address in addresses:
            with suppress(OSError):
                connection = stack.enter_context(target.connect(address))
                connection.sendall(sent)
                found.append(connection)
        yield found


def answer_to(connection: socket.socket) -> int:
    """The status of the next response; 0 where the connection was closed without one."""
    connection.settimeout(_ANSWER_S)
    try:
        line = connection.recv(16).split()
    except OSError:
        return 0
    return int(line[1]) if len(line) > 1 else 0


def livez_from(target: Target, address: str) -> Outcome:
    """Whether a new connection from an address is answered."""
    begin = time.monotonic()
    try:
        with target.client(None, address) as client:
            status = client.get("/livez", timeout=_ANSWER_S).status_code
    except httpx.TransportError as error:
        return Outcome(f"new connection: {type(error).__name__}", held=False)
    return Outcome(f"new connection: {status} in {time.monotonic() - begin:.2f} s", held=status == httpx.codes.OK)


def _half_open(target: Target, addresses: list[str]) -> Outcome:
    with opened(target, iter(addresses), _HALF):
        time.sleep(_HELD_S)
        return livez_from(target, addresses[0])


def _half_open_from_one(target: Target) -> Outcome:
    return _half_open(target, [ATTACKER_ADDRESS] * _HALF_OPEN)


def _half_open_from_many(target: Target) -> Outcome:
    return _half_open(target, [attacker_address(number) for number in range(_HALF_OPEN)])


def _half_open_from_the_neighbour(target: Target) -> Outcome:
    return _half_open(target, [NEIGHBOUR_ADDRESS] * _HALF_OPEN)


def _slow_header(target: Target) -> Outcome:
    """One byte of a header each second, until the answer."""
    begin = time.monotonic()
    with target.connect() as connection, suppress(OSError):
        connection.sendall(_HALF)
        connection.settimeout(1)
        while time.monotonic() - begin < _HEADER_S:
            with suppress(TimeoutError):
                line = connection.recv(16).decode("ascii", "replace")
                took = time.monotonic() - begin
                return Outcome(f"{line[9:12] or 'closed'} in {took:.0f} s", held=line.startswith("HTTP/1.1 408"))
            connection.sendall(b"x")
    return Outcome("open", held=False)


def _slow_bodies(target: Target) -> Outcome:
    """Uploads of one byte each 0.2 s from many addresses; each holds a place until it is refused."""
    sent = _POST + _MULTIPART + b"Content-Length: 500000\r\n\r\n--b\r\n"
    with opened(target, map(attacker_address, range(200)), sent) as connections:
        for _ in range(20):
            time.sleep(0.2)
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b"x")
        statuses = Counter(_answered(connections))
    waiting, many = statuses[None], statuses[429]
    return Outcome(f"{many} of 200 are 429, {waiting} wait", held=many > 0 and waiting <= _MAX_PLACES)


def _answered(connections: list[socket.socket]) -> Iterator[int | None]:
    """The status of each connection's answer; None where none has come."""
    for connection in connections:
        connection.setblocking(False)  # noqa: FBT003 - of the standard library
        try:
            line = connection.recv(16).split()
            yield int(line[1]) if len(line) > 1 else 0
        except BlockingIOError:
            yield None
        except OSError:
            yield 0


def _slow_readers(target: Target) -> Outcome:
    """Requests for a file of 1.4 MB whose answers are not read."""
    asked = b"GET /docs-assets/swagger-ui-bundle.js HTTP/1.1\r\n" + _HOST + b"\r\n"
    with opened(target, map(attacker_address, range(128)), asked):
        time.sleep(_HELD_S)
        return livez_from(target, ATTACKER_ADDRESS)


def _endless_header(target: Target) -> Outcome:
    """A header field that does not end, as fast as the gateway reads it."""
    begin = time.monotonic()
    with target.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + _HOST + b"X: ")
        sent = 0
        with suppress(OSError):
            for _ in range(300):
                connection.sendall(b"a" * len(_PIECE))
                sent += len(_PIECE)
        status = answer_to(connection)
    return Outcome(f"{status} after {sent >> 20} MB", held=status in (0, 431) and time.monotonic() - begin < _ANSWER_S)


def _pipelined(target: Target) -> Outcome:
    """Requests that wait on one connection behind a slow one."""
    with target.connect() as connection, suppress(OSError):
        for _ in range(20):
            connection.sendall((b"GET /livez HTTP/1.1\r\n" + _HOST + b"\r\n") * 10_000)
        connection.settimeout(_ANSWER_S)
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        return Outcome(f"{received.count(b'HTTP/1.1 200')} answers, then closed", held=True)
    return Outcome("closed", held=True)


def _tiny_chunks(target: Target) -> Outcome:
    """Bodies in chunks of one byte, from many connections at once."""
    sent = _POST + _MULTIPART + b"Transfer-Encoding: chunked\r\n\r\n"
    with opened(target, map(attacker_address, range(60)), sent) as connections:
        for _ in range(5):
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b"1\r\nx\r\n" * 10_000)
        statuses = Counter(map(answer_to, connections))
    bad, others = statuses[400], statuses[429] + statuses[0]
    return Outcome(f"{bad} are 400, {others} are 429 or closed", held=bad + others == len(connections))


def _listeners(target: Target) -> Outcome:
    """Streams of events of one waiting job, opened by threads; those that are refused are closed by the gateway."""
    with _paused_workers(target), deleted_jobs(target) as jobs:
        jobs.append(post_job(target, 1))
        asked = f"GET /v1/jobs/{jobs[0]}/events HTTP/1.1\r\nConnection: close\r\n".encode()
        sent, numbers = asked + _HOST + _AUTHORIZATION + b"\r\n", range(_LISTENERS)
        with ExitStack() as stack, ThreadPoolExecutor(_THREADS) as pool:
            shares = [map(attacker_address, numbers[first::_THREADS]) for first in range(_THREADS)]
            found = pool.map(lambda addresses: stack.enter_context(opened(target, addresses, sent)), shares)
            connections = [connection for some in found for connection in some]
            time.sleep(_HELD_S)
            statuses = Counter(_answered(connections))
    streams, many = statuses[200], statuses[429]
    return Outcome(f"{streams} streams, {many} are 429", held=0 < streams <= _MAX_PLACES)


@contextmanager
def _paused_workers(target: Target) -> Iterator[None]:
    """All workers are stopped until the context ends, so that jobs wait."""
    workers = [process for process in children(target.service.supervisor) if _is_worker(process)]
    try:
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


def _is_worker(process: int) -> bool:
    return b"services.gateway.jobs.worker" in Path(f"/proc/{process}/cmdline").read_bytes()


ATTACKS: Final = (
    Attack("1,100 half-open requests from one address", "200 to its next connection", _half_open_from_one),
    Attack("1,100 half-open requests from 40 addresses", "200 to the next connection", _half_open_from_many),
    Attack("1,100 half-open requests from the second sender's address", "200", _half_open_from_the_neighbour),
    Attack("header of one byte a second", "408 in 12 s", _slow_header),
    Attack("200 bodies of 5 bytes a second", "64 wait, others are 429", _slow_bodies),
    Attack("128 responses of 1.4 MB that nobody reads", "200 to the next connection", _slow_readers),
    Attack("header without end", "refused in 5 s", _endless_header),
    Attack("200,000 requests on one connection at once", "closed", _pipelined),
    Attack("60 bodies in chunks of one byte", "refused", _tiny_chunks),
    Attack("3,000 listeners of one job", "64 streams, others are 429", _listeners),
)
