"""What can run a bundle's CNN. TensorFlow is the reference; OpenVINO runs the same SavedModel faster on a CPU."""

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.cnn.batching import FeatureExtractor, concatenate_outputs
from services.cnn.settings import Settings
from services.common.card import Bundle

Precision = Literal["f32", "bf16"]
_FEW: Final = 4


class EngineUnavailable(RuntimeError):
    """An engine was asked for that is not installed, or not for this device."""


def load_extractor(settings: Settings, bundle: Bundle) -> FeatureExtractor:
    """The bundle's CNN on the engine and the device of the settings.

    Raises
    ------
    EngineUnavailable
        OpenVINO is not installed, or was asked to run on a GPU, or in 16 bits on a CPU without them
    GpuNotFound
        TensorFlow was asked to run on a GPU and sees none
    """
    folder = bundle.saved_model("cnn")
    if settings.engine == "openvino":
        if settings.device == "gpu":
            raise EngineUnavailable("OpenVINO is for CPUs here: leave ICH_CNN_ENGINE at tensorflow on a GPU")
        return OpenVinoExtractor(folder, "bf16" if settings.mixed_precision else "f32")
    from services.cnn.model import SavedModelExtractor  # noqa: PLC0415 - TensorFlow is loaded only where it runs
    from services.common.saved_model import configure_device  # noqa: PLC0415

    configure_device(settings.device, mixed_precision=settings.mixed_precision)
    return SavedModelExtractor(folder)


def cpu_precisions() -> tuple[Precision, ...]:
    """What OpenVINO computes in on this CPU without emulating it."""
    able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in able else ("f32",)


def _core() -> Any:
    try:
        import openvino  # noqa: PLC0415 - an engine of several
    except ImportError as error:
        raise EngineUnavailable("OpenVINO is not installed: it is in requirements/cnn.txt") from error
    return openvino.Core()


class OpenVinoExtractor:
    """A SavedModel compiled by OpenVINO: in float32, as TensorFlow computes it, or in bfloat16.

    A few slices at a time: what lies between two layers then fits a CPU's cache, and 16 take a fifth less time.
    """

    def __init__(self, folder: Path, precision: Precision = "f32") -> None:
        if precision not in cpu_precisions():
            raise EngineUnavailable("this CPU does not compute in bfloat16: leave ICH_CNN_MIXED_PRECISION at false")
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        self._call: Any = _core().compile_model(str(folder), "CPU", options)
        self._names = [output.get_any_name() for output in self._call.outputs]

    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """All that the network says of slices, as `SavedModelExtractor.extract` gives it."""
        return concatenate_outputs([self._few(slices[at : at + _FEW]) for at in range(0, len(slices), _FEW)])

    def _few(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        given = self._call(slices, share_inputs=True)
        return {name: np.array(given[place]) for place, name in enumerate(self._names)}
