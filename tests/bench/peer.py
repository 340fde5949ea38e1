"""The cnn stage against Triton's server, with the same graph, engine, protocol and client, where it is installed."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

import httpx

from services.common.engines import Engine
from services.common.numpy_tensors import array_tensor
from services.common.tensors import Message
from tests.bench.clients import Call, inference, post
from tests.bench.costs import Cost, measured_cost
from tests.bench.figures import Figure, Note, measured, median_ratio
from tests.bench.networks import CHUNK, pictures
from tests.bench.plan import DEFAULT_BUNDLE, ERRORS, Plan, product, separate_process
from tests.running import ROOT, cpu_s, free_ports

PYTHON: Final = ROOT / ".run" / "bench-peers" / "bin" / "python"
_ENGINE: Final[Engine] = "openvino"
_NAME: Final = f"cnn on {_ENGINE}, of Triton's server"
_SERVER: Final = ROOT / "tests" / "bench" / "peer_server.py"
_START_S: Final = 120


class _Server(NamedTuple):
    """A request to an inference server, and the process whose descendants are the server."""

    call: Call
    process: int


class _Pair(NamedTuple):
    """The same requests to our stage and to the peer."""

    ours: Cost
    peer: Cost


def measure(plan: Plan) -> Iterator[Figure | Note]:
    """Measure one client, then four at once."""
    if not PYTHON.exists():
        yield Note("The peer was not measured: `make bench-peers` installs Triton's server.")
        return
    with separate_process() as clients, product({"ICH_CNN_ENGINE": _ENGINE}) as service, _peer_running() as peer:
        ours = _Server(_call(service.ports["cnn"]), service.process("cnn"))
        for count, each in ((1, plan.choose(20, 1)), (4, plan.choose(6, 1))):
            pairs = [_pair(ours, peer, clients, count, each) for _ in range(plan.choose(10, 1) + 1)][1:]
            yield from _figures(f"{_NAME}: {count} {'client' if count == 1 else 'clients'}", count * each, pairs)


def _figures(name: str, requests: int, pairs: Sequence[_Pair]) -> Iterator[Figure]:
    slices = requests * CHUNK
    rates = [(slices / pair.ours.wall_s, slices / pair.peer.wall_s) for pair in pairs]
    core_ms = [(pair.ours.cpu_s / slices * 1e3, pair.peer.cpu_s / slices * 1e3) for pair in pairs]
    ours, ratio = [rate for rate, _ in rates], median_ratio(rates)
    yield measured(f"{name}: throughput", "slices/s", ours, ratio=ratio, better="more")
    ours, ratio = [cost for cost, _ in core_ms], median_ratio(core_ms)
    yield measured(f"{name}: processor time of a slice", "core-ms", ours, ratio=ratio)


def _pair(ours: _Server, peer: _Server, clients: ProcessPoolExecutor, count: int, each: int) -> _Pair:
    return _Pair(*(_cost(server, clients, count, each) for server in (ours, peer)))


def _cost(server: _Server, clients: ProcessPoolExecutor, count: int, each: int) -> Cost:
    return measured_cost(partial(_send, server, clients, count, each), partial(cpu_s, server.process))


def _send(server: _Server, clients: ProcessPoolExecutor, count: int, each: int) -> None:
    answers = clients.submit(post, server.call, count, each=each).result()
    assert all(answer.ok for answer in answers), "a request failed"


def _call(port: int) -> Call:
    return inference(port, "cnn", Message((array_tensor("slices", pictures(CHUNK)),)))


@contextmanager
def _peer_running() -> Iterator[_Server]:
    (port,) = free_ports(1)
    with ERRORS.open("ab") as log:
        command = [str(PYTHON), "-P", str(_SERVER), str(DEFAULT_BUNDLE / "cnn" / "1"), str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield _Server(_call(port), process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while not _ready(port):
        assert process.poll() is None, f"Triton's server does not start; see {ERRORS}"
        assert time.monotonic() < deadline, f"Triton's server is not ready after {_START_S} s; see {ERRORS}"
        time.sleep(0.2)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/models/cnn/ready").is_success
    except httpx.TransportError:
        return False
