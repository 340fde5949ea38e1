"""Loads a bundle's network on an engine: the one of the settings, or by `auto` the one that suits this machine.

`auto` takes TensorFlow on a GPU. On a CPU it takes OpenVINO where OpenVINO converts the graph and computes what
TensorFlow computes, unless TensorFlow was measured to be faster. TensorFlow is imported only where it is taken.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from services.common.card import Bundle, Part
from services.common.engine_cache import MeasurementKey, read_measurement, write_measurement
from services.common.engine_measurement import MAX_DIFFERENCE, Measurement, MeasurementRequest, measure_in_child
from services.common.engines import (
    USE_TENSORFLOW,
    EngineSetting,
    EngineUnavailable,
    Signature,
    engine_title,
    is_installed,
    may_use_gpus,
)
from services.common.gpus import count_gpus
from services.common.openvino_model import Precision, load_openvino
from services.common.reference import read_reference
from services.common.settings import Device

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of an engine, and the calls of the network that matter.

    cache : folder of measurements; None measures nothing
    most_rows : as in `load_openvino`
    sizes : slices of the calls that are measured
    time_limit_s : of a measurement. A start cannot be stopped meanwhile: less than the 60 s before SIGKILL
    """

    engine: EngineSetting = "auto"
    cache: Path | None = None
    device: Device = "auto"
    mixed_precision: bool = False
    most_rows: int | None = None
    sizes: tuple[int, ...] = (1, 32)
    time_limit_s: float = 45.0


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    """A network, and the engine that runs it, such as `openvino 2026.4.1`."""

    call: Signature
    engine: str


def load_network(bundle: Bundle, part: Part, options: EngineOptions) -> LoadedNetwork:
    """Load one network of a bundle.

    Raises
    ------
    EngineUnavailable
        the engine is not installed, or does not support the device, the precision or the graph
    """
    network = _load(bundle, part, options)
    log.info("engine", extra={"fields": {"model": part, "engine": network.engine}})
    return network


def _load(bundle: Bundle, part: Part, options: EngineOptions) -> LoadedNetwork:
    if options.engine == "openvino":
        return _openvino(bundle, part, options)
    if options.engine == "tensorflow" or options.device == "gpu" or not is_installed("openvino"):
        return _tensorflow(bundle, part, options)
    return _automatic(bundle, part, options)


def _automatic(bundle: Bundle, part: Part, options: EngineOptions) -> LoadedNetwork:
    if not is_installed("tensorflow"):
        return _checked_openvino(bundle, part, options)
    if options.device == "auto" and may_use_gpus() and count_gpus() and _uses_gpu(options):
        return _tensorflow(bundle, part, options)
    measured = _measurement(bundle, part, options) if options.cache else None
    if measured and measured.reason:
        log.info("TensorFlow runs %s: %s", part, measured.reason)
        return _tensorflow(bundle, part, options)
    try:
        return _checked_openvino(bundle, part, options)
    except EngineUnavailable as error:
        log.warning("TensorFlow runs %s: %s", part, error)
    return _tensorflow(bundle, part, options)


def _openvino(bundle: Bundle, part: Part, options: EngineOptions) -> LoadedNetwork:
    if options.device == "gpu":
        raise EngineUnavailable("OpenVINO runs on a CPU here: set ICH_CNN_ENGINE=tensorflow to use a GPU")
    return _checked_openvino(bundle, part, options, "bf16" if options.mixed_precision else "f32")


def _checked_openvino(
    bundle: Bundle, part: Part, options: EngineOptions, precision: Precision = "f32"
) -> LoadedNetwork:
    """The network on OpenVINO; EngineUnavailable where float32 computes something else than at its export."""
    call = load_openvino(bundle.saved_model(part), most_rows=options.most_rows, precision=precision)
    reference = read_reference(bundle.folder)
    if reference is None:
        log.warning("OpenVINO runs %s unchecked: the bundle has no reference", part)
    for difference in reference.differences(part, call) if reference else ():
        if precision == "bf16":
            log.warning("in bfloat16 %s of %s differs by %.1e", difference.output, part, difference.share)
        elif not difference.share <= MAX_DIFFERENCE:
            raise EngineUnavailable(
                f"on OpenVINO {difference.output} differs by {difference.share:.1e} from the bundle's reference, more "
                f"than {MAX_DIFFERENCE:.0e}: {USE_TENSORFLOW}"
            )
    return LoadedNetwork(call, engine_title("openvino"))


def _tensorflow(bundle: Bundle, part: Part, options: EngineOptions) -> LoadedNetwork:
    if not is_installed("tensorflow"):
        raise EngineUnavailable(
            f"TensorFlow is not installed: install requirements/{part}.txt, or set ICH_{part.upper()}_ENGINE=auto"
        )
    from services.common.saved_model import configure_device, load_frozen, load_signature  # noqa: PLC0415 - TensorFlow

    configure_device(options.device, mixed_precision=options.mixed_precision)
    load = load_frozen if part == "cnn" else load_signature
    return LoadedNetwork(load(bundle.saved_model(part)), engine_title("tensorflow"))


def _uses_gpu(options: EngineOptions) -> bool:
    """Whether TensorFlow runs on a GPU; without the libraries of CUDA it does not."""
    from services.common.saved_model import configure_device  # noqa: PLC0415 - loads TensorFlow

    return configure_device(options.device, mixed_precision=options.mixed_precision) == "gpu"


def _measurement(bundle: Bundle, part: Part, options: EngineOptions) -> Measurement | None:
    """The stored measurement of this machine, or a new one; None where it failed."""
    assert options.cache  # noqa: S101 - the caller checks it
    key = MeasurementKey.current(bundle, part)
    if found := read_measurement(options.cache, key):
        return found
    log.info("measuring the engines of %s, once for this bundle and machine", part)
    request = MeasurementRequest(
        folder=bundle.saved_model(part).resolve(),
        part=part,
        feature_size=bundle.card.feature_size,
        most_rows=options.most_rows,
        sizes=options.sizes,
    )
    if measured := measure_in_child(request, options.time_limit_s):
        log.info("measured the engines", extra={"fields": {"model": part, **measured.model_dump()}})
        write_measurement(options.cache, key, measured)
    return measured
