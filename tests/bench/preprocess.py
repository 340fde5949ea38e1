"""Preprocessing of one slice on one core: this project, the source project, and a lower bound."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from services.common.numpy_tensors import array_tensor
from services.common.recipe import DEFAULT_RECIPE
from services.common.tensors import Message, bytes_tensor
from services.preprocess.dicom_file import open_dicom
from services.preprocess.pixel_evidence import measure_slice as measure_evidence
from services.preprocess.resample import resample_and_pad
from services.preprocess.windowing import apply_windows
from tests.bench import source_preprocessing
from tests.bench.clients import inference, took_s
from tests.bench.figures import Figure, measured, median_ratio
from tests.bench.plan import Plan, product
from tests.preprocess.gdcm_files import recompressed

_CHUNK: Final = 16
_PIXELS: Final = 512 * 512
_OUT: Final = np.empty((512, 512, 3), np.uint8)
_LEVELS: Final = apply_windows(np.arange(1 << 16, dtype=np.uint16).view(np.int16), DEFAULT_RECIPE)


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure the functions alone, then the service."""
    origin, slices = plan.slices(28)
    yield from _functions(origin, slices, plan.choose(20, 2))
    with product() as service:
        for kind, files in (("uncompressed", slices), ("JPEG 2000", [_jpeg_2000(data) for data in slices[:_CHUNK]])):
            chunk = [files[index % len(files)] for index in range(_CHUNK)]
            frames = np.array([(index, 0) for index in range(_CHUNK)], np.int32)
            message = Message((bytes_tensor("files", chunk), array_tensor("frames", frames)))
            call = inference(service.ports["preprocess"], "slices", message)
            took = [took_s(call) / _CHUNK * 1e3 for _ in range(plan.choose(40, 4))][1:]
            bound = 3.0 if kind == "uncompressed" else None
            yield measured(f"over HTTP in chunks of 16, {kind} {origin}, a slice", "ms", took, bound=bound)


def _functions(origin: str, slices: Sequence[bytes], rounds: int) -> Iterator[Figure]:
    functions = {"ours": _preprocess, "source": source_preprocessing.picture, "floor": _lower_bound}
    took = _core_ms(slices, functions, rounds)
    yield measured(
        f"our way of {origin}, against the source project's",
        "core-ms",
        took["ours"],
        ratio=median_ratio(zip(took["source"], took["ours"], strict=True)),
        bound=5,
        better="more",
    )
    yield measured(f"the source project's way of {origin}", "core-ms", took["source"])
    beyond = median_ratio(zip(took["ours"], took["floor"], strict=True))
    yield measured(f"our way of {origin}, against the floor", "core-ms", took["ours"], ratio=beyond)
    yield measured(f"the floor of {origin}: reading the bytes and one look-up", "core-ms", took["floor"])


def _core_ms(
    slices: Sequence[bytes], functions: Mapping[str, Callable[[bytes], object]], rounds: int
) -> dict[str, list[float]]:
    """Core milliseconds of each function for each slice, from the file to its pixels; the first round is a warm-up.

    Each function processes all slices before the next one does, so that none pays for memory that another has freed.
    """
    took: dict[str, list[float]] = {name: [] for name in functions}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(index) for index in range(len(slices))]
        for path, data in zip(paths, slices, strict=True):
            path.write_bytes(data)
        for number in range(rounds + 1):
            for name, function in functions.items():
                for path in paths:
                    begin = time.process_time()
                    function(path.read_bytes())
                    took[name] += [(time.process_time() - begin) * 1e3] if number else []
    return took


def _preprocess(file: bytes) -> None:
    """Everything that the service does for a slice."""
    image = open_dicom(file).decode(0)
    hu = resample_and_pad(image.hu, image.row_spacing_mm, image.column_spacing_mm)
    apply_windows(hu, DEFAULT_RECIPE, _OUT)
    measure_evidence(image.hu)


def _lower_bound(file: bytes) -> None:
    """Read the pixels from the end of the file, without parsing it."""
    stored = np.frombuffer(file[-2 * _PIXELS :].ljust(2 * _PIXELS), np.uint16).reshape(512, 512)
    np.take(_LEVELS, stored, axis=0, out=_OUT, mode="clip")


def _jpeg_2000(file: bytes) -> bytes:
    return recompressed(file, "JPEG2000Lossless")
