"""A stage's response, decoded and checked: a missing or malformed part is StageFailed and names the stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from services.common.problems import BadRequest
from services.common.shared_ranges import NO_SHARED_MEMORY, SharedMemory
from services.common.tensors import Buffer, Message, Tensor, bytes_elements, decode
from services.gateway.stages.stage_problems import StageFailed

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class StageResponse:
    """The message of one inference, and the milliseconds that the stage worked on it.

    All methods raise StageFailed where the message lacks the part, or the part is malformed.
    """

    stage: str
    message: Message
    work_ms: float

    @classmethod
    def decode(
        cls,
        stage: str,
        body: Buffer,
        header_length: str | None,
        work_ms: float,
        memory: SharedMemory = NO_SHARED_MEMORY,
    ) -> "StageResponse":
        """Decode the body of an HTTP response, whose tensors may lie in `memory`."""
        try:
            return cls(stage, decode(body, header_length, "outputs", memory), work_ms)
        except BadRequest as error:
            raise malformed(stage, error.detail) from error

    def tensor(self, name: str, datatype: str, shape: Sequence[int | None]) -> Tensor:
        """The tensor of this name, datatype and shape; None stands for a dimension of any size."""
        found = self.message.find(name)
        if found is None:
            raise malformed(self.stage, f"the tensor {name!r} is missing")
        if found.datatype != datatype or not _fits(found.shape, shape):
            expected = f"{datatype} {['any' if size is None else size for size in shape]}"
            raise malformed(self.stage, f"{name!r} is {found.datatype} {list(found.shape)}; it must be {expected}")
        return found

    def elements(self, name: str, count: int) -> list[memoryview]:
        """The elements of a BYTES tensor of shape [count]."""
        tensor = self.tensor(name, "BYTES", (count,))
        try:
            return bytes_elements(tensor)
        except BadRequest as error:
            raise malformed(self.stage, error.detail) from error

    def documents(self, name: str, count: int, model: type[Model]) -> list[Model]:
        """The elements of a BYTES tensor of shape [count], each a JSON document."""
        try:
            return [model.model_validate_json(bytes(element)) for element in self.elements(name, count)]
        except ValidationError as error:
            raise malformed(self.stage, f"{name!r} holds an invalid {model.__name__}") from error

    def parameter(self, name: str) -> str:
        """A parameter that is text."""
        found = self.message.parameters.get(name)
        if not isinstance(found, str):
            raise malformed(self.stage, f"the parameter {name!r} is missing")
        return found

    @property
    def engine(self) -> str | None:
        """Name and version of the engine that ran the network; None from a stage of an older version."""
        found = self.message.parameters.get("engine")
        return found if isinstance(found, str) else None


def malformed(stage: str, reason: str) -> StageFailed:
    """The problem of a malformed response."""
    return StageFailed(f"malformed response of {stage}: {reason}", stage=stage)


def _fits(shape: tuple[int, ...], expected: Sequence[int | None]) -> bool:
    if len(shape) != len(expected):
        return False
    return all(wanted in (None, size) for size, wanted in zip(shape, expected, strict=True))
