"""Engines that run a bundle's CNN: TensorFlow is the reference; OpenVINO runs the same SavedModel faster on a CPU."""

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from services.cnn.extractor import FeatureExtractor, Outputs, Slices, concatenate_outputs
from services.cnn.settings import Settings
from services.common.card import Bundle

Precision = Literal["f32", "bf16"]
_SLICES_PER_CALL: Final = 4  # activations fit the CPU's cache: 16 slices take a fifth less time than in one call


class EngineUnavailable(RuntimeError):
    """The engine is not installed, or does not support the device or precision."""


def load_extractor(settings: Settings, bundle: Bundle) -> FeatureExtractor:
    """Load the bundle's CNN on the engine and device of the settings.

    Raises
    ------
    EngineUnavailable
        OpenVINO is not installed, or the settings ask it for a GPU, or for bfloat16 on a CPU without it
    GpuNotFound
        the settings ask TensorFlow for a GPU, and there is none
    """
    folder = bundle.saved_model("cnn")
    if settings.engine == "openvino":
        if settings.device == "gpu":
            raise EngineUnavailable("OpenVINO runs on a CPU here: set ICH_CNN_ENGINE=tensorflow to use a GPU")
        return OpenVinoExtractor(folder, "bf16" if settings.mixed_precision else "f32")
    from services.cnn.model import SavedModelExtractor  # noqa: PLC0415 - loads TensorFlow
    from services.common.saved_model import configure_device  # noqa: PLC0415

    configure_device(settings.device, mixed_precision=settings.mixed_precision)
    return SavedModelExtractor(folder)


def cpu_precisions() -> tuple[Precision, ...]:
    """The precisions that OpenVINO computes in on this CPU without emulation."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in capabilities else ("f32",)


def _core() -> Any:
    try:
        import openvino  # noqa: PLC0415 - optional
    except ImportError as error:
        raise EngineUnavailable("OpenVINO is not installed: install requirements/cnn.txt") from error
    return openvino.Core()


class OpenVinoExtractor:
    """A SavedModel compiled by OpenVINO, in float32 as TensorFlow computes it, or in bfloat16."""

    def __init__(self, folder: Path, precision: Precision = "f32") -> None:
        if precision not in cpu_precisions():
            raise EngineUnavailable("this CPU does not support bfloat16: set ICH_CNN_MIXED_PRECISION=false")
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        self._call: Any = _core().compile_model(str(folder), "CPU", options)
        self._names = [output.get_any_name() for output in self._call.outputs]

    def extract(self, slices: Slices) -> Outputs:
        """All outputs of the network, as `SavedModelExtractor.extract` returns them."""
        starts = range(0, len(slices), _SLICES_PER_CALL)
        return concatenate_outputs([self._infer(slices[start : start + _SLICES_PER_CALL]) for start in starts])

    def _infer(self, slices: Slices) -> Outputs:
        outputs = self._call(slices, share_inputs=True)
        return {name: np.array(outputs[index]) for index, name in enumerate(self._names)}
