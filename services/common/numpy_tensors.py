"""Tensors of the protocol as numpy arrays and back, without copying. For the stages: the gateway has no numpy."""

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.problems import BadRequest
from services.common.shared_memory_regions import RegionTooSmall
from services.common.tensors import Message, Tensor

_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "UINT8": np.dtype("u1"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"),
}
_DATATYPES: Final = {dtype: datatype for datatype, dtype in _DTYPES.items()}


def read_array(message: Message, name: str, datatype: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A message's tensor as a read-only array; None in `shape` matches any size.

    Raises
    ------
    BadRequest
        the tensor is missing, or has another datatype or shape
    """
    tensor = message.tensor(name, datatype)
    if not _fits(tensor.shape, shape):
        expected = ", ".join("n" if size is None else str(size) for size in shape)
        raise BadRequest(f"tensor {name!r} has shape {list(tensor.shape)}; it must be [{expected}]")
    flat: NDArray[Any] = np.frombuffer(tensor.buffer, dtype=_DTYPES[datatype])
    return flat.reshape(tensor.shape)


def array_tensor(name: str, array: NDArray[Any]) -> Tensor:
    """An array as a tensor that shares its memory."""
    contiguous = np.ascontiguousarray(array)
    data = contiguous.reshape(-1).view(np.uint8).data
    return Tensor(name, _DATATYPES[contiguous.dtype], contiguous.shape, (data,))


def output_array(message: Message, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An uninitialised array for an output, in the region that the request offers for it, or else in new memory.

    Raises
    ------
    RegionTooSmall
        the output does not fit the offered range
    """
    offered = message.shared_outputs.get(name)
    if offered is None:
        return np.empty(shape, np.uint8)
    size = math.prod(shape)
    if size > len(offered.view):
        raise RegionTooSmall(f"{name!r} has {size} bytes, and its range {len(offered.view)}; send a larger range")
    return np.frombuffer(offered.view[:size], np.uint8).reshape(shape)


def output_tensor(message: Message, name: str, array: NDArray[Any]) -> Tensor:
    """An array of `output_array` as a tensor of the response: an array in a region stays there."""
    tensor, offered = array_tensor(name, array), message.shared_outputs.get(name)
    return replace(tensor, shared=offered.first(tensor.nbytes)) if offered else tensor


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected, strict=True))
