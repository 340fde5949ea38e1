"""SavedModels as networks compiled by OpenVINO for the CPU."""

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.common.engines import USE_TENSORFLOW, EngineUnavailable, Signature

Precision = Literal["f32", "bf16"]
Outputs = dict[str, NDArray[np.float32]]
_MAX_STREAMS: Final = 16  # each has activations of its own: 15 MB a slice of the default CNN


def cpu_precisions() -> tuple[Precision, ...]:
    """The precisions that OpenVINO computes in on this CPU without emulation."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in capabilities else ("f32",)


def load_openvino(folder: Path, *, most_rows: int | None = None, precision: Precision = "f32") -> Signature:
    """The `serving_default` function of a SavedModel, in float32 as TensorFlow computes it, or in bfloat16.

    Parameters
    ----------
    most_rows : largest number of rows that one core gets at a time, where rows of the one input are independent; None
        computes all inputs in one call of all cores

    Raises
    ------
    EngineUnavailable
        OpenVINO is not installed, or cannot convert the graph, or the CPU does not support bfloat16
    """
    if precision not in cpu_precisions():
        raise EngineUnavailable("this CPU does not support bfloat16: set ICH_CNN_MIXED_PRECISION=false")
    try:
        model = _core().read_model(str(folder))
        whole = _Request(_compiled(model, precision, PERFORMANCE_HINT="LATENCY"))
        if most_rows is None:
            return whole
        streams = min(usable_cores(), _MAX_STREAMS)
        parallel = _compiled(model, precision, PERFORMANCE_HINT="THROUGHPUT", NUM_STREAMS=streams)
    except RuntimeError as error:
        raise EngineUnavailable(
            f"OpenVINO cannot convert the graph of this bundle: update the graph, or {USE_TENSORFLOW}"
        ) from error
    return _Rows(whole, _Streams(parallel, streams, most_rows))


class _Request:
    """One call of all cores; calls of several threads follow each other."""

    def __init__(self, compiled: Any) -> None:
        self._request, self._lock = compiled.create_infer_request(), Lock()
        self._names = _output_names(compiled)

    def __call__(self, **arrays: Any) -> Outputs:
        with self._lock:  # a request has one set of buffers
            self._request.infer(arrays, share_inputs=True)
            return _copied(self._request, self._names)


class _Streams:
    """Rows shared out among streams, one for each core, which wait for each other only at the end."""

    def __init__(self, compiled: Any, streams: int, most_rows: int) -> None:
        self._queue, self._lock = _queue(compiled, streams), Lock()
        self.streams, self._most_rows = streams, most_rows
        names = _output_names(compiled)

        def keep(request: Any, place: tuple[dict[int, Outputs], int]) -> None:
            found, start = place
            found[start] = _copied(request, names)

        self._queue.set_callback(keep)

    def __call__(self, name: str, rows: NDArray[Any]) -> Outputs:
        size = min(ceil(len(rows) / self.streams), self._most_rows)
        found: dict[int, Outputs] = {}
        with self._lock:
            try:
                for start in range(0, len(rows), size):
                    self._queue.start_async({name: rows[start : start + size]}, (found, start), share_inputs=True)
            finally:
                self._queue.wait_all()  # the queue reads the rows in place; raises what a stream raised
        return _concatenated([found[start] for start in sorted(found)])


class _Rows:
    """Few rows by all cores together, which takes the least time; others in streams, which takes the least work."""

    def __init__(self, whole: _Request, streams: _Streams) -> None:
        self._whole, self._streams = whole, streams

    def __call__(self, **arrays: Any) -> Outputs:
        ((name, rows),) = arrays.items()
        return self._whole(**arrays) if len(rows) < self._streams.streams else self._streams(name, rows)


def _compiled(model: Any, precision: Precision, **options: Any) -> Any:
    # Unpinned threads leave a core that another process uses.
    options |= {"INFERENCE_PRECISION_HINT": precision, "ENABLE_CPU_PINNING": False}
    return _core().compile_model(model, "CPU", options)


def _output_names(compiled: Any) -> list[str]:
    return [output.get_any_name() for output in compiled.outputs]


def _copied(request: Any, names: Sequence[str]) -> Outputs:
    return {name: np.array(request.get_output_tensor(index).data) for index, name in enumerate(names)}


def _concatenated(parts: Sequence[Outputs]) -> Outputs:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _queue(compiled: Any, streams: int) -> Any:
    import openvino  # noqa: PLC0415 - optional

    return openvino.AsyncInferQueue(compiled, streams)


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _core() -> Any:
    try:
        import openvino  # noqa: PLC0415 - optional, and takes 30 MB
    except ImportError as error:
        raise EngineUnavailable("OpenVINO is not installed: install requirements/cnn.txt") from error
    return openvino.Core()
