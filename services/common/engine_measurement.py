"""Measures both engines on one network in a child process, so that the service need not import TensorFlow.

The child computes the same inputs on both, compares the outputs, and times alternating calls. TensorFlow must be faster
by the clock and in processor time: services that start meanwhile disturb the first by a factor, the second little.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.common.card import Part
from services.common.engines import Engine, EngineUnavailable, Signature
from services.common.openvino_model import load_openvino
from services.common.reference import Inputs, make_squares, pictures, share_apart

log = logging.getLogger(__name__)

MAX_DIFFERENCE: Final = 1e-4  # of an output's largest value, or of 1
_MIN_GAIN: Final = 0.9  # TensorFlow is chosen below this share of OpenVINO's time: it takes 600 MB and seconds of start
_PAIRS: Final = (3, 15)  # fewest and most pairs of calls of one size
_SECONDS: Final = 1.0  # spent on each size, once it has the fewest pairs
_RESOLUTION_MS: Final = 1e-3
_ROOT: Final = Path(__file__).parents[2]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasurementRequest(_Frozen):
    """One network to measure; as in `load_openvino`. `sizes` are the slices of one call."""

    folder: Path
    part: Part
    feature_size: int
    most_rows: int | None
    sizes: tuple[int, ...]


class CallTime(_Frozen):
    """Milliseconds of one call: by the clock, and of all cores together."""

    wall_ms: float = Field(gt=0, allow_inf_nan=False)
    core_ms: float = Field(gt=0, allow_inf_nan=False)


class Measurement(_Frozen):
    """Both engines on one network.

    difference : of OpenVINO's outputs from TensorFlow's, as a share of the largest value or of 1; None where OpenVINO
        cannot convert the graph
    tensorflow, openvino : shortest calls of each size; empty where the outputs differ
    """

    difference: float | None = Field(ge=0)
    tensorflow: tuple[CallTime, ...] = ()
    openvino: tuple[CallTime, ...] = ()

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        are_equal = self.difference is not None and self.difference <= MAX_DIFFERENCE
        if len(self.tensorflow) != len(self.openvino) or bool(self.tensorflow) != are_equal:
            raise ValueError("both engines need times of the same sizes, where their outputs are equal")
        return self

    @property
    def engine(self) -> Engine:
        """The engine to use."""
        return "tensorflow" if self.reason else "openvino"

    @property
    def reason(self) -> str | None:
        """Why OpenVINO is not used; None where it is."""
        if self.difference is None:
            return "OpenVINO cannot convert the graph"
        if not self.difference <= MAX_DIFFERENCE:
            return f"OpenVINO's outputs differ by {self.difference:.1e}, more than {MAX_DIFFERENCE:.0e}"
        share = max(self._share("wall_ms"), self._share("core_ms"))
        if share < _MIN_GAIN:
            return f"TensorFlow takes {share:.2f} of OpenVINO's time"
        return None

    def _share(self, unit: str) -> float:
        """TensorFlow's time as a share of OpenVINO's: the geometric mean over the sizes."""
        pairs = zip(self.tensorflow, self.openvino, strict=True)
        return geometric_mean(getattr(one, unit) / getattr(other, unit) for one, other in pairs)


def measure_in_child(request: MeasurementRequest, time_limit_s: float) -> Measurement | None:
    """Measure in a child process; None, with a warning in the log, where the child fails or takes too long."""
    command = [sys.executable, "-m", __name__, request.model_dump_json()]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and module
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=time_limit_s, check=True
        )
        return Measurement.model_validate_json(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        log.warning(
            "the measurement of the engines took more than %d s; it is repeated at the next start", time_limit_s
        )
    except subprocess.CalledProcessError as error:
        fields = {"status": error.returncode, "stderr": error.stderr.decode(errors="replace")[-2000:]}
        log.warning("the measurement of the engines failed", extra={"fields": fields})
    except (IndexError, ValidationError):
        log.warning("the measurement of the engines gave no result")
    return None


def measure(request: MeasurementRequest) -> Measurement:
    """Measure in this process."""
    from services.common.saved_model import configure_device, load_frozen, load_signature  # noqa: PLC0415 - TensorFlow

    configure_device("cpu")
    tensorflow = (load_frozen if request.part == "cnn" else load_signature)(request.folder)
    try:
        openvino = load_openvino(request.folder, most_rows=request.most_rows)
    except EngineUnavailable:
        return Measurement(difference=None)
    examples = [_inputs(request, size) for size in request.sizes]
    difference = max(_difference(tensorflow(**inputs), openvino(**inputs)) for inputs in examples)
    if not difference <= MAX_DIFFERENCE:
        return Measurement(difference=difference)
    one, two = zip(*(_shortest_calls((tensorflow, openvino), inputs) for inputs in examples), strict=True)
    return Measurement(difference=difference, tensorflow=one, openvino=two)


def _inputs(request: MeasurementRequest, size: int) -> Inputs:
    if request.part == "cnn":
        return {"slices": pictures(make_squares(size))}
    features = np.random.default_rng(0).uniform(0, 1, (size, request.feature_size)).astype(np.float32)
    return {"features": features, "position_mm": np.arange(size, dtype=np.float32) * 5}


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> float:
    if expected.keys() != found.keys():
        return sys.float_info.max
    return min(max(share_apart(value, found[name]) for name, value in expected.items()), sys.float_info.max)


def _shortest_calls(engines: Sequence[Signature], inputs: Inputs) -> list[CallTime]:
    """The shortest of alternating calls of each engine."""
    for call in engines:
        call(**inputs)
    rounds: list[list[CallTime]] = []
    end = time.perf_counter() + _SECONDS
    while len(rounds) < _PAIRS[0] or (len(rounds) < _PAIRS[1] and time.perf_counter() < end):
        rounds.append([_timed(call, inputs) for call in engines])
    return [_shortest(times) for times in zip(*rounds, strict=True)]


def _shortest(times: Sequence[CallTime]) -> CallTime:
    return CallTime(wall_ms=min(one.wall_ms for one in times), core_ms=min(one.core_ms for one in times))


def _timed(call: Signature, inputs: Inputs) -> CallTime:
    wall, cores = time.perf_counter(), time.process_time()
    call(**inputs)
    return CallTime(
        wall_ms=max(1e3 * (time.perf_counter() - wall), _RESOLUTION_MS),
        core_ms=max(1e3 * (time.process_time() - cores), _RESOLUTION_MS),
    )


if __name__ == "__main__":
    print(measure(MeasurementRequest.model_validate_json(sys.argv[1])).model_dump_json())
