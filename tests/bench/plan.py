"""The plan of a run: repeats, files, bundles and engines; and separate processes."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar, get_args

import httpx
import numpy as np
from numpy.typing import NDArray

from services.cnn.engines import cpu_precisions
from services.common.engines import Engine, is_installed
from services.preprocess.dicom_file import decode_frame
from tests.bench.clients import STUDY_UID
from tests.running import ROOT, Service, running_service
from tests.scans import ct_slice, series

T = TypeVar("T")
SCANS: Final = ROOT.parent / "shared" / "data" / "head-ct"
DEFAULT: Final = "default"
DEFAULT_BUNDLE: Final = ROOT / "models" / "default"
RESNET: Final = "ResNet-50"
REFERENCE: Final[Engine] = "tensorflow"
CACHE: Final = ROOT / ".run" / "bench"
ERRORS: Final = CACHE / "stderr.log"


@dataclass(frozen=True)
class Plan:
    """Number of repeats: all, or few to test the benchmark itself."""

    quick: bool = False
    scans: Path = SCANS

    def choose(self, whole: T, quick: T) -> T:
        """`quick` in a quick run, else `whole`."""
        return quick if self.quick else whole

    def repeats(self, cost_s: float, *, budget_s: float = 20.0) -> int:
        """Number of repeats within the time budget, 3 to 60."""
        return self.choose(min(max(round(budget_s / cost_s), 3), 60), 1)

    def slices(self, at_most: int) -> tuple[str, list[bytes]]:
        """Uncompressed CT slices and their origin: real ones if present, else the samples, else generated ones."""
        for origin, folder in (("real slices", self.scans), ("samples", ROOT / "samples" / "series")):
            files = sorted(folder.glob("ge-*/*.dcm")) or sorted(folder.glob("*.dcm"))
            if files:
                return origin, [path.read_bytes() for path in files[:at_most]]
        return "generated slices", list(series(at_most).values())


@dataclass(frozen=True)
class Setup:
    """A bundle, its engine and its precision."""

    bundle_name: str
    bundle: Path
    engine: Engine
    mixed_precision: bool = False

    @property
    def name(self) -> str:
        """Prefix of the figures' names."""
        return f"{self.bundle_name}, {self.engine}{' in bfloat16' if self.mixed_precision else ''}"

    def bound(self, bound: float) -> float | None:
        """The bound for a slow network: beside a fast one, overheads are relatively larger."""
        return bound if self.bundle_name == RESNET and not self.mixed_precision else None

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a product that runs this setup."""
        bundle, mixed = str(self.bundle), str(self.mixed_precision).lower()
        engines = {"ICH_CNN_ENGINE": self.engine, "ICH_RNN_ENGINE": self.engine, "ICH_CNN_MIXED_PRECISION": mixed}
        return {"ICH_CNN_BUNDLE": bundle, "ICH_RNN_BUNDLE": bundle, **engines}


def setups() -> Iterator[Setup]:
    """The default bundle with every engine, also in bfloat16 where the CPU has it; the large one with the fastest."""
    for engine in engines():
        yield Setup(DEFAULT, DEFAULT_BUNDLE, engine)
    fastest = engines()[-1]
    if fastest == "openvino" and "bf16" in cpu_precisions():
        yield Setup(DEFAULT, DEFAULT_BUNDLE, fastest, mixed_precision=True)
    yield Setup(RESNET, resnet(), fastest)


def engines() -> list[Engine]:
    """The installed engines; the reference is the first."""
    return [engine for engine in get_args(Engine) if is_installed(engine)]


@contextmanager
def product(settings: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Run the product as `make run` does, with default settings except these."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "log", more=settings) as service:
        yield service


def engine_of(service: Service) -> Engine:
    """The engine that cnn chose."""
    document = httpx.get(f"http://127.0.0.1:{service.ports['cnn']}/livez").raise_for_status().json()
    name: Engine = document["engine"].split()[0]
    return name


def study(count: int) -> dict[str, bytes]:
    """A series of 512 x 512 slices with the content of the samples, which are half as wide."""
    samples = sorted((ROOT / "samples" / "series").glob("*.dcm"))
    images = [decode_frame(path.read_bytes(), 0).hu for path in samples]
    wide = [image.repeat(2, axis=0).repeat(2, axis=1) for image in images]
    return {f"{index:03d}.dcm": _study_slice(index, wide[index % len(wide)]) for index in range(count)}


def _study_slice(index: int, hu: NDArray[np.int16]) -> bytes:
    uids = {"StudyInstanceUID": STUDY_UID, "SeriesInstanceUID": STUDY_UID, "SOPInstanceUID": f"{STUDY_UID}.{index + 1}"}
    return ct_slice(index, hu, **uids)


@contextmanager
def separate_process() -> Iterator[ProcessPoolExecutor]:
    """A process that shares neither the interpreter lock nor threads with this one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_redirect_stderr) as process:
        yield process


def _redirect_stderr() -> None:
    """Write TensorFlow's messages to a file, not into the table. Exceptions are returned as usual."""
    with ERRORS.open("ab") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())


def resnet() -> Path:
    """An untrained bundle with a ResNet-50, cached on disk."""
    folder = CACHE / "resnet50"
    if not (folder / "card.json").is_file():
        with separate_process() as process:
            process.submit(_write_resnet, folder).result()
    return folder


def _write_resnet(folder: Path) -> None:
    from tests.bench.resnet_bundle import write_resnet_bundle  # noqa: PLC0415 - other processes do not load TensorFlow

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        write_resnet_bundle(Path(scratch) / "bundle").rename(folder)


def machine() -> str:
    """Processor and load of this machine, with a warning where it was busy."""
    model = next((line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), "a processor")
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    warning = " **The machine was busy; do not use these figures.**" if busy > cores / 4 else ""
    return f"{cores} cores of {model}; load {busy:.2f} before the run.{warning}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
