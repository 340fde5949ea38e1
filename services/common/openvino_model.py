"""SavedModels as networks compiled by OpenVINO for the CPU."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.common.engines import EngineUnavailable, Signature

Precision = Literal["f32", "bf16"]
Outputs = dict[str, NDArray[np.float32]]


def cpu_precisions() -> tuple[Precision, ...]:
    """The precisions that OpenVINO computes in on this CPU without emulation."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in capabilities else ("f32",)


def load_openvino(folder: Path, *, rows_per_call: int | None = None, precision: Precision = "f32") -> Signature:
    """The `serving_default` function of a SavedModel, in float32 as TensorFlow computes it, or in bfloat16.

    Parameters
    ----------
    rows_per_call : rows of the one input in each call of the network; None calls it once, with all inputs

    Raises
    ------
    EngineUnavailable
        OpenVINO is not installed, or cannot convert the graph, or the CPU does not support bfloat16
    """
    if precision not in cpu_precisions():
        raise EngineUnavailable("this CPU does not support bfloat16: set ICH_CNN_MIXED_PRECISION=false")
    # Unpinned threads leave a core that another process uses.
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    try:
        compiled = _core().compile_model(str(folder), "CPU", options)
    except RuntimeError as error:
        raise EngineUnavailable(
            "OpenVINO cannot convert the graph of this bundle: use TensorFlow, or update the graph"
        ) from error
    outputs, request, lock = (
        [output.get_any_name() for output in compiled.outputs],
        compiled.create_infer_request(),
        Lock(),
    )

    def call(**arrays: Any) -> Outputs:
        with lock:  # a request has one set of buffers
            found = request.infer(arrays, share_inputs=True)
            return {name: np.array(found[index]) for index, name in enumerate(outputs)}

    def call_in_parts(**arrays: Any) -> Outputs:
        ((name, rows),) = arrays.items()
        return _concatenated([call(**{name: part}) for part in _parts(rows, rows_per_call or len(rows))])

    return call_in_parts if rows_per_call else call


def _parts(rows: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _concatenated(parts: Sequence[Outputs]) -> Outputs:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _core() -> Any:
    try:
        import openvino  # noqa: PLC0415 - optional, and takes 30 MB
    except ImportError as error:
        raise EngineUnavailable("OpenVINO is not installed: install requirements/cnn.txt") from error
    return openvino.Core()
