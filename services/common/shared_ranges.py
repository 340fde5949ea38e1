"""Ranges of shared memory regions, as a message of the protocol names them.

The parameters are those of Triton's system shared memory extension.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.common.problems import BadRequest

_REGION: Final = "shared_memory_region"
_OFFSET: Final = "shared_memory_offset"
_BYTE_SIZE: Final = "shared_memory_byte_size"


@dataclass(frozen=True, slots=True)
class SharedRange:
    """Bytes of a registered shared memory region."""

    region: str
    offset: int
    byte_size: int

    @property
    def parameters(self) -> dict[str, str | int]:
        """The parameters of a tensor that lies there."""
        return {_REGION: self.region, _OFFSET: self.offset, _BYTE_SIZE: self.byte_size}


@dataclass(frozen=True, slots=True)
class SharedBuffer:
    """Bytes of a region in this process's memory, which an output may be written into."""

    range: SharedRange
    view: memoryview

    def first(self, byte_size: int) -> SharedRange:
        """The range of the first bytes."""
        return SharedRange(self.range.region, self.range.offset, byte_size)


class SharedMemory(Protocol):
    """The regions that a message may name."""

    def view(self, shared: SharedRange) -> memoryview:
        """The bytes of a range, or BadRequest."""
        ...


class NoSharedMemory:
    """A service without shared memory."""

    def view(self, shared: SharedRange) -> memoryview:  # noqa: ARG002 - the Protocol's signature
        """Raise BadRequest."""
        raise BadRequest("this service has no shared memory; send binary tensors")


NO_SHARED_MEMORY: Final = NoSharedMemory()


def read_range(name: str, parameters: Mapping[str, Any]) -> SharedRange | None:
    """The range that the parameters name; BadRequest where one is missing or beside binary data."""
    if _REGION not in parameters and _BYTE_SIZE not in parameters:
        return None
    region, offset, size = parameters.get(_REGION), parameters.get(_OFFSET, 0), parameters.get(_BYTE_SIZE)
    if not isinstance(region, str) or "binary_data_size" in parameters:
        raise BadRequest(f"tensor {name!r}: {_REGION} must be given with {_BYTE_SIZE}, and no binary data beside it")
    return SharedRange(region, _size(offset), _size(size))


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequest(f"{_OFFSET} and {_BYTE_SIZE} must be whole numbers of at least 0")
    return value
