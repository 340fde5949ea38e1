"""Whole requests, compared with their bare networks and with the source project's app with the same networks."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.bench.clients import Call, fresh, took_s, upload
from tests.bench.costs import Cost, measured_cost
from tests.bench.figures import Figure, measured, median_ratio
from tests.bench.networks import BareNetworks
from tests.bench.plan import DEFAULT, ERRORS, Plan, Setup, product, setups, study
from tests.running import ROOT, Service, cpu_s, free_ports
from tests.scans import ct_slice

_SLICES: Final = 34
_START_S: Final = 120
_MAX_CORE_MS: Final = 10


@dataclass(frozen=True)
class _Turn:
    """One series, measured in each of the three ways."""

    ours: Cost
    bare: Cost
    source_s: float


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure both bundles with every engine; the source project's app uses the reference engine."""
    for setup in (each for each in setups() if not each.mixed_precision):
        with product(setup.settings) as service, BareNetworks(setup) as bare:
            yield _single(plan, setup, service, bare)
            with _source_running(setup) as port:
                turns = list(_turns(plan, service, bare, port))
            yield from _figures(setup, turns)


def _single(plan: Plan, setup: Setup, service: Service, bare: BareNetworks) -> Figure:
    call = upload(service.ports["gateway"], {"one.dcm": ct_slice()})
    took_s(call)
    repeats = plan.repeats(2 * took_s(call), budget_s=10)
    both = [(took_s(call) * 1e3, bare.series(1).wall_s * 1e3) for _ in range(repeats)]
    name = f"{setup.name}: one slice, against its bare networks"
    return measured(name, "ms", [ours for ours, _ in both], ratio=median_ratio(both))


def _turns(plan: Plan, service: Service, bare: BareNetworks, source_port: int) -> Iterator[_Turn]:
    """Turns within the time budget, after a warm-up."""
    files = study(_SLICES)
    whole = upload(service.ports["gateway"], files)
    alone = [upload(source_port, {name: data}, "/predict") for name, data in files.items()]
    turn_s = took_s(whole) + bare.series(_SLICES).wall_s + took_s(alone[0]) * _SLICES
    for _ in range(plan.repeats(turn_s, budget_s=25)):
        yield _turn(service, whole, bare, alone)


def _turn(service: Service, whole: Call, bare: BareNetworks, alone: list[Call]) -> _Turn:
    ours = measured_cost(partial(took_s, fresh(whole)), partial(cpu_s, service.supervisor))
    return _Turn(ours, bare.series(_SLICES), sum(map(took_s, alone)))


def _figures(setup: Setup, turns: list[_Turn]) -> Iterator[Figure]:
    ours_ms = [turn.ours.wall_s * 1e3 for turn in turns]
    yield measured(
        f"{setup.name}: {_SLICES} slices, against their bare networks",
        "ms",
        ours_ms,
        ratio=median_ratio((turn.ours.wall_s, turn.bare.wall_s) for turn in turns),
        bound=setup.bound(1.15),
    )
    rest = [(turn.ours.cpu_s - turn.bare.cpu_s) / _SLICES * 1e3 for turn in turns]
    # A large network varies by more than the rest from run to run.
    bound = _MAX_CORE_MS if setup.bundle_name == DEFAULT else None
    yield measured(f"{setup.name}: a slice of {_SLICES}, all but the networks", "core-ms", rest, bound=bound)
    yield measured(
        f"{setup.name}: {_SLICES} slices, times as fast as the source's app",
        "ms",
        ours_ms,
        ratio=median_ratio((turn.source_s, turn.ours.wall_s) for turn in turns),
        bound=3,
        better="more",
    )
    yield measured(f"{setup.name}: {_SLICES} slices by the source's app", "ms", [turn.source_s * 1e3 for turn in turns])


@contextmanager
def _source_running(setup: Setup) -> Iterator[int]:
    """Port of the source project's app, which is idle between requests."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SOURCE_BUNDLE": str(setup.bundle), "SOURCE_SCRATCH": folder}
        process = _started(port, environment)
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _started(port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.bench.source_app:create", "--port", str(port)]
    quiet = ["--no-access-log", "--log-level", "error"]
    with ERRORS.open("ab") as file:
        return subprocess.Popen([*command, *quiet], cwd=ROOT, env=environment, stderr=file)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, "the source project's app does not start"
            assert time.monotonic() < deadline, "the source project's app does not start"
            time.sleep(0.2)
        else:
            return
