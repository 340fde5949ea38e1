"""Reception of series by the DICOM node, beside Orthanc and dcmtk's storescp: processor time and memory.

Senders are processes of their own. The gateway is absent: the figures are those of receiving alone.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from tests.bench.figures import Figure, Note, measured, median_ratio
from tests.bench.node_sender import write_series
from tests.bench.plan import Plan
from tests.running import ROOT, cpu_s, free_ports, pss_bytes

_MB: Final = 1e6
_SLICES: Final = 300
_SENDERS: Final = 10
_ROUNDS: Final = 3
_STEP_S: Final = 0.05
_START_S: Final = 60
_SETTLE_S: Final = 0.5  # work after the last response
_CORE_S, _ONE_MB, _TEN_MB = 3.0, 80.0, 150.0  # bounds of the node
_DICOM_WEB: Final = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_NODE: Final = "the node"
_numbers = count()


@dataclass(frozen=True)
class Receiver:
    """A process that receives; `ports` by the way of sending."""

    process: int
    ports: Mapping[str, int]


@dataclass(frozen=True)
class Received:
    """The cost of receiving, and the peak of memory."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


def measure(plan: Plan) -> Iterator[Figure | Note]:
    """Measure one sender by each way, all receivers in turns; then ten senders to the node."""
    slices, rounds = plan.choose(_SLICES, 10), plan.choose(_ROUNDS, 1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_series(folder, slices)
        receivers = {_NODE: stack.enter_context(_node())}
        for name, program, start in (("Orthanc", "Orthanc", _orthanc), ("storescp", "storescp", _storescp)):
            if shutil.which(program):
                receivers[name] = stack.enter_context(start())
            else:
                yield Note(f"{name} was not measured: it is not installed.")
        for way in ("c-store", "stow-rs"):
            yield from _one_sender(way, receivers, folder, rounds)
        node, senders = stack.enter_context(_node()), plan.choose(_SENDERS, 2)
        found = _receive(node, "c-store", senders, folder)
        name = f"{_NODE}: {senders * slices} slices by c-store from {senders} senders"
        yield Figure(f"{name}, processor time", found.cpu_s, "core-s")
        yield Figure(f"{name}, peak memory", found.peak_bytes / _MB, "MB", bound=_TEN_MB)


def _one_sender(way: str, receivers: Mapping[str, Receiver], folder: Path, rounds: int) -> Iterator[Figure]:
    able = {name: receiver for name, receiver in receivers.items() if way in receiver.ports}
    found: dict[str, list[Received]] = {name: [] for name in able}
    for _ in range(rounds):
        for name, receiver in able.items():
            found[name].append(_receive(receiver, way, 1, folder))
    slices = len(list(folder.iterdir()))
    for name, all_found in found.items():
        yield from _figures(f"{name}: {slices} slices of 512 kB by {way}", all_found, found[_NODE], name == _NODE)


def _figures(name: str, found: Sequence[Received], node: Sequence[Received], is_node: bool) -> Iterator[Figure]:  # noqa: FBT001
    spent, peak = [each.cpu_s for each in found], max(each.peak_bytes for each in found) / _MB
    ratio = None if is_node else median_ratio(zip(spent, (each.cpu_s for each in node), strict=True))
    of_node = "" if is_node else ", of the node's"
    yield measured(f"{name}, processor time{of_node}", "core-s", spent, ratio=ratio, bound=_CORE_S if is_node else None)
    yield Figure(f"{name}, peak memory", peak, "MB", bound=_ONE_MB if is_node else None)
    yield measured(f"{name}, wall time", "s", [each.wall_s for each in found])


def _receive(receiver: Receiver, way: str, senders: int, folder: Path) -> Received:
    command = [sys.executable, "-m", "tests.bench.node_sender", way, str(receiver.ports[way])]
    started = [
        subprocess.Popen(
            [*command, str(next(_numbers)), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        for _ in range(senders)
    ]
    for sender in started:
        assert sender.stdout is not None
        sender.stdout.readline()
    before, begin, peak = cpu_s(receiver.process), time.perf_counter(), 0
    for sender in started:
        assert sender.stdin is not None
        sender.stdin.write(b"\n")
        sender.stdin.flush()
    while any(sender.poll() is None for sender in started):
        peak = max(peak, pss_bytes(receiver.process))
        time.sleep(_STEP_S)
    wall_s = time.perf_counter() - begin
    assert not any(sender.wait() for sender in started), "a sender failed"
    time.sleep(_SETTLE_S)
    return Received(cpu_s(receiver.process) - before, wall_s, peak)


@contextmanager
def _running(command: Sequence[str], port: int, settings: Mapping[str, str] | None = None) -> Iterator[int]:
    """A process that listens on a port, from then on."""
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(settings or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait(lambda: _listens(port))
            yield process.pid
        finally:
            process.terminate()


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _START_S
    while not holds():
        assert time.monotonic() < until, "a receiver did not start"
        time.sleep(_STEP_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def _node() -> Iterator[Receiver]:
    http, dicom, absent = free_ports(3)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"ICH_NODE_DATA_DIR": f"{folder}/node", "ICH_NODE_DICOM_PORT": str(dicom)}
        settings["ICH_NODE_GATEWAY_URL"] = f"http://127.0.0.1:{absent}"
        command = [sys.executable, "-m", "services.dicom_node", "serve", "--port", str(http)]
        with _running(command, http, settings) as process:
            yield Receiver(process, {"c-store": dicom, "stow-rs": http})


@contextmanager
def _orthanc() -> Iterator[Receiver]:
    http, dicom = free_ports(2)
    plugins = [str(_DICOM_WEB)] if _DICOM_WEB.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        settings = {"HttpPort": http, "DicomPort": dicom, "DicomAet": "ICH", "DicomAlwaysAllowStore": True}
        places = {"StorageDirectory": folder, "IndexDirectory": folder, "Plugins": plugins}
        path = Path(folder, "orthanc.json")
        path.write_text(json.dumps(settings | places | {"AuthenticationEnabled": False}))
        with _running(["Orthanc", str(path)], dicom) as process:
            yield Receiver(process, {"c-store": dicom, **({"stow-rs": http} if plugins else {})})


@contextmanager
def _storescp() -> Iterator[Receiver]:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        command = ["storescp", "--aetitle", "ICH", "--output-directory", folder, str(port)]
        with _running(command, port) as process:
            yield Receiver(process, {"c-store": port})
