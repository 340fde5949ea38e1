"""The engines that run a bundle's SavedModels, and those that are installed. Loads neither."""

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Final, Literal

Engine = Literal["tensorflow", "openvino"]
EngineSetting = Literal["auto", "tensorflow", "openvino"]
Signature = Callable[..., dict[str, Any]]
"""A network: arrays by the names of its inputs, to arrays by the names of its outputs."""

USE_TENSORFLOW: Final = "use TensorFlow, which `make run` installs, and in Compose ICH_CPU_GROUP=cnn"
_CPU_BUILD: Final = "tensorflow-cpu"
# Names of the packages that install an engine.
_PACKAGES: Final[Mapping[Engine, tuple[str, ...]]] = {
    "tensorflow": ("tensorflow", _CPU_BUILD),
    "openvino": ("openvino",),
}


class EngineUnavailable(RuntimeError):
    """The engine is not installed, or does not support the device, the precision or the graph."""


def is_installed(engine: Engine) -> bool:
    """Whether an engine can be imported."""
    return find_spec(engine) is not None


def engine_version(engine: Engine) -> str | None:
    """The version of an installed engine; None where its package is unknown."""
    return next(filter(None, map(_version, _PACKAGES[engine])), None)


def may_use_gpus() -> bool:
    """Whether the installed TensorFlow is another build than the one for CPUs only."""
    return is_installed("tensorflow") and _version(_CPU_BUILD) is None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def engine_title(engine: Engine) -> str:
    """Name and version, such as `openvino 2026.4.1`."""
    return " ".join(filter(None, (engine, engine_version(engine))))
