"""Settings from the environment, read once at start. An unknown name with a service's prefix stops the start."""

import os
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Device = Literal["auto", "cpu", "gpu"]
ENGINE_CACHE: Final = (
    "Folder of measurements of the engines, made at the first start of a bundle on a machine. Unset, `engine=auto` "
    "measures nothing and takes OpenVINO on a CPU wherever it converts the graph."
)
BUNDLE_KEYS: Final = (
    "PEM file of one or more Ed25519 public keys; a bundle whose card none of them signed is refused at start. Unset, "
    "unsigned bundles are served."
)


class ServiceSettings(BaseSettings):
    """Settings of every service. Subclasses set `env_prefix`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    drain_s: float = Field(
        default=1.0,
        description="Seconds between SIGTERM and closing the listening socket (readiness is off meanwhile): more than "
        "the period of the readiness probes.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        prefix = cls.model_config["env_prefix"]
        known = {f"{prefix}{name}".upper() for name in cls.model_fields}
        unknown = sorted(name for name in os.environ if name.upper().startswith(prefix) and name.upper() not in known)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return values

    @classmethod
    def read(cls) -> Self:
        """From the environment alone."""
        return cls()


class StageSettings(ServiceSettings):
    """Settings that preprocess, cnn and rnn share."""

    max_body_bytes: int = Field(
        default=256 * 1024**2, description="Largest request body, in bytes; a larger one is answered with 413."
    )

    shared_memory_dir: Path | None = Field(
        default=None,
        description="Folder on a tmpfs that gateway, workers, preprocess and cnn of one host share: tensors may lie "
        "there. Unset, all tensors travel in HTTP bodies. `make run` sets it for preprocess and cnn.",
    )
    max_shared_regions: int = Field(
        default=256, description="Largest number of registered shared memory regions; a further one is refused."
    )
    max_shared_bytes: int = Field(
        default=4 * 1024**3, description="Largest size of all registered shared memory regions, in bytes."
    )


class ThreadedSettings(StageSettings):
    """Settings of a stage that handles each request in a thread of its own."""

    threads: int = Field(default=1, description="Number of requests processed at the same time, one thread each.")
    max_waiting: int = Field(
        default=64, description="Number of requests that may wait for a thread; a further one is answered with 503."
    )
