"""Settings from the environment, read once at start. A misspelt name stops the start."""

import os
from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Device = Literal["auto", "cpu", "gpu"]


class ServiceSettings(BaseSettings):
    """What every service can be told. Subclasses set `env_prefix`; names with that prefix that nobody knows stop it.

    drain_s : how long after SIGTERM a service says that it is not ready and still takes requests: longer than whoever
        asks for its readiness waits between two questions
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    drain_s: float = 1.0

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
    """What preprocess, cnn and rnn have in common."""

    max_body_bytes: int = 256 * 1024**2


class ThreadedSettings(StageSettings):
    """Of a stage that works on requests one by one: how many at once, and how many in line."""

    threads: int = 1
    max_waiting: int = 64
