"""A stage of the chain: models behind the Open Inference Protocol v2, with their runner."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.common.problems import NotFound, NotReady
from services.common.runners import Runner
from services.common.settings import StageSettings
from services.common.shared_memory_regions import RegisteredRegions
from services.common.tensors import Message

PROBE_AFTER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor in a model's metadata; -1 in `shape` is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class StageModel(Protocol):
    """One model of a stage. `infer` runs in worker threads, several at a time."""

    name: str
    platform: str
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Metadata beside the tensors, such as the recipe's fingerprint and the card."""
        ...

    def example(self) -> Message:
        """A small request for the readiness check."""
        ...

    def infer(self, message: Message) -> Message:
        """The response to a request, or a Problem."""
        ...

    def count_slices(self, message: Message) -> int:
        """The number of slices in a request, for the metrics."""
        ...


class Stage:
    """Models, their runner, shared memory regions, and the time of each model's last response."""

    def __init__(self, models: Sequence[StageModel], settings: StageSettings, runner: Runner) -> None:
        self.models = {model.name: model for model in models}
        self.settings = settings
        self.runner = runner
        self.regions = RegisteredRegions(
            settings.shared_memory_dir, settings.max_shared_regions, settings.max_shared_bytes
        )
        self._answered_at = dict.fromkeys(self.models, float("-inf"))

    def model(self, name: str) -> StageModel:
        """A model by its name, or NotFound."""
        if name not in self.models:
            raise NotFound(f"there is no model {name!r}; the models are {', '.join(self.models)}")
        return self.models[name]

    async def infer(self, model: StageModel, message: Message) -> tuple[Message, float]:
        """The response and its milliseconds of work."""
        answer, work_ms = await self.runner.run(model, message)
        self._answered_at[model.name] = time.monotonic()
        return answer, work_ms

    async def ready(self) -> None:
        """Send the example to each model without a recent response; NotReady if it fails."""
        for model in self.models.values():
            if time.monotonic() - self._answered_at[model.name] < PROBE_AFTER_S:
                continue
            try:
                await self.infer(model, model.example())
            except Exception as error:
                raise NotReady(f"model {model.name!r} does not answer") from error
