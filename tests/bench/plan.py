"""What a run measures with: how much of it, which files, bundles and engines; and processes of their own."""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar, get_args

from services.cnn.engines import cpu_precisions
from services.cnn.settings import Engine
from tests.running import ROOT, Service, running_service
from tests.scans import series

T = TypeVar("T")
SCANS: Final = ROOT.parent / "shared" / "data" / "head-ct"
DEFAULT: Final = "default"
RESNET: Final = "ResNet-50"
REFERENCE: Final[Engine] = "tensorflow"
CACHE: Final = ROOT / ".run" / "bench"
ERRORS: Final = CACHE / "stderr.log"


@dataclass(frozen=True)
class Plan:
    """How much is measured: all of it, or so little that only the working of the benchmark shows."""

    quick: bool = False
    scans: Path = SCANS

    def some(self, whole: T, quick: T) -> T:
        """One of the two."""
        return quick if self.quick else whole

    def repeats(self, cost_s: float, *, budget_s: float = 20.0) -> int:
        """How often something that takes so long is measured: enough for a median, no longer than is worth it."""
        return self.some(min(max(round(budget_s / cost_s), 3), 60), 1)

    def slices(self, at_most: int) -> tuple[str, list[bytes]]:
        """Uncompressed CT slices, and where they are from: real ones where they lie, the samples, generated ones."""
        for what, folder in (("real slices", self.scans), ("samples", ROOT / "samples" / "series")):
            files = sorted(folder.glob("ge-*/*.dcm")) or sorted(folder.glob("*.dcm"))
            if files:
                return what, [path.read_bytes() for path in files[:at_most]]
        return "generated slices", list(series(at_most).values())

    def bundles(self) -> dict[str, Path]:
        """The default one, and one as large as the source project's."""
        return {DEFAULT: ROOT / "models" / "default", RESNET: resnet()}


@dataclass(frozen=True)
class Setup:
    """Which bundle is served, by which engine, and whether in 16 bits."""

    bundle_name: str
    bundle: Path
    engine: Engine
    mixed_precision: bool = False

    @property
    def name(self) -> str:
        """For the names of figures."""
        return f"{self.bundle_name}, {self.engine}{' in bfloat16' if self.mixed_precision else ''}"

    def bound(self, bound: float) -> float | None:
        """A bound that holds beside a network that takes its time: beside a fast one, all else looms larger."""
        return bound if self.bundle_name == RESNET and not self.mixed_precision else None

    @contextmanager
    def running(self) -> Iterator[Service]:
        """The product, as `make run` starts it."""
        bundle = str(self.bundle)
        mixed = str(self.mixed_precision).lower()
        more = {"ICH_CNN_BUNDLE": bundle, "ICH_RNN_BUNDLE": bundle}
        more |= {"ICH_CNN_ENGINE": self.engine, "ICH_CNN_MIXED_PRECISION": mixed}
        with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "log", more=more) as service:
            yield service


def setups(plan: Plan) -> Iterator[Setup]:
    """Every bundle with every engine that cnn offers and that is installed; in 16 bits where this CPU has them."""
    for name, bundle in plan.bundles().items():
        for engine in engines():
            yield Setup(name, bundle, engine)
        if "openvino" in engines() and "bf16" in cpu_precisions():
            yield Setup(name, bundle, "openvino", mixed_precision=True)


def engines() -> list[Engine]:
    """The reference, and the others that are installed."""
    return [engine for engine in get_args(Engine) if engine == REFERENCE or importlib.util.find_spec(engine)]


@contextmanager
def served() -> Iterator[Service]:
    """The product with all its defaults."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "log") as service:
        yield service


@contextmanager
def apart() -> Iterator[ProcessPoolExecutor]:
    """A process that shares nothing with this one: neither its interpreter's lock nor a library's threads."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_talk_aside) as process:
        yield process


def _talk_aside() -> None:
    """TensorFlow's words on its start go beside the table, not into it; exceptions come back whole."""
    with ERRORS.open("ab") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())


def resnet() -> Path:
    """An untrained bundle with a ResNet-50, written once and kept."""
    folder = CACHE / "resnet50"
    if not (folder / "card.json").is_file():
        with apart() as process:
            process.submit(_write_resnet, folder).result()
    return folder


def _write_resnet(folder: Path) -> None:
    from tests.bench.resnet_bundle import write_resnet_bundle  # noqa: PLC0415 - TensorFlow stays out of the others

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        write_resnet_bundle(Path(scratch) / "bundle").rename(folder)


def machine() -> str:
    """What this runs on, and whether something else did when it began."""
    model = next((line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), "a processor")
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    warning = " **The machine had other work; these figures are worth little.**" if busy > cores / 4 else ""
    return f"{cores} cores of {model}; load {busy:.2f} before the run.{warning}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
