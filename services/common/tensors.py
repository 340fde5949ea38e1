"""Open Inference Protocol v2 over HTTP with the binary tensor extension, without numpy.

A message is a JSON header of `Inference-Header-Content-Length` bytes, then each tensor's raw little-endian bytes in
the order of the header. An element of a BYTES tensor is a four-byte length and that many bytes. Tensors are never
sent as JSON numbers. `services.common.numpy_tensors` turns tensors into arrays.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from services.common.problems import BadRequest

HEADER_LENGTH: Final = "inference-header-content-length"
TIMEOUT_PARAMETER: Final = "timeout"  # microseconds; Triton's name
ELEMENT_BYTES: Final[Mapping[str, int]] = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2,
    "UINT32": 4, "INT32": 4, "FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8,
}  # fmt: skip

Buffer = bytes | bytearray | memoryview
Side = Literal["inputs", "outputs"]
Parameter = str | int | float | bool


@dataclass(frozen=True, slots=True)
class FilePart:
    """The first `size` bytes of a file on disk, except bytes `gap[0]` to `gap[1]`; sent in pieces."""

    path: Path
    size: int
    gap: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return self.size - (self.gap[1] - self.gap[0])

    def pieces(self, piece_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The bytes, in pieces."""
        with self.path.open("rb") as file:
            yield from _pieces(file, self.gap[0], piece_bytes)
            file.seek(self.gap[1])
            yield from _pieces(file, self.size - self.gap[1], piece_bytes)


def _pieces(file: BinaryIO, remaining: int, piece_bytes: int) -> Iterator[bytes]:
    while remaining and (piece := file.read(min(remaining, piece_bytes))):
        remaining -= len(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor. `data` holds its raw bytes, in one or more parts."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: tuple[Buffer | FilePart, ...]

    @property
    def nbytes(self) -> int:
        """The length of the raw bytes."""
        return sum(len(part) for part in self.data)

    @property
    def buffer(self) -> Buffer:
        """The raw bytes in one piece; uncopied for a received tensor."""
        if len(self.data) == 1 and not isinstance(self.data[0], FilePart):
            return self.data[0]
        return b"".join(b"".join(part.pieces()) if isinstance(part, FilePart) else part for part in self.data)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response of one inference.

    requested_outputs : names of the tensors that a request asks for; none asks for all
    """

    tensors: tuple[Tensor, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    id: str | None = None
    requested_outputs: tuple[str, ...] = ()

    def tensor(self, name: str, datatype: str) -> Tensor:
        """The tensor of this name and datatype, or BadRequest."""
        found = self.find(name)
        if found is None or found.datatype != datatype:
            raise BadRequest(f"the tensor {name!r} of datatype {datatype} is missing")
        return found

    def find(self, name: str) -> Tensor | None:
        """The tensor of this name, if there is one."""
        return next((tensor for tensor in self.tensors if tensor.name == name), None)


def bytes_tensor(name: str, elements: Iterable[Buffer | FilePart]) -> Tensor:
    """Elements as a BYTES tensor of shape [n], without copying them."""
    parts: list[Buffer | FilePart] = []
    for element in elements:
        parts += (len(element).to_bytes(4, "little"), element)
    return Tensor(name, "BYTES", (len(parts) // 2,), tuple(parts))


def bytes_elements(tensor: Tensor) -> list[memoryview]:
    """The elements of a received BYTES tensor, as views into it."""
    data, found, at = memoryview(tensor.buffer), [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if at + 4 > len(data) or end > len(data):
            raise BadRequest(f"tensor {tensor.name!r}: an element exceeds the tensor")
        found.append(data[at + 4 : end])
        at = end
    if len(found) != prod(tensor.shape):
        raise BadRequest(f"tensor {tensor.name!r}: {len(found)} elements do not match its shape")
    return found


def encode(message: Message, side: Side, **members: Any) -> tuple[bytes, list[Buffer | FilePart]]:
    """A message as its JSON header and the parts after it. `members` are added to the header."""
    document = {
        **members,
        **({"id": message.id} if message.id else {}),
        "parameters": dict(message.parameters),
        side: [_describe(tensor) for tensor in message.tensors],
    }
    if side == "inputs":
        document["parameters"]["binary_data_output"] = True
    return json.dumps(document, separators=(",", ":")).encode(), [p for t in message.tensors for p in t.data]


def _describe(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "parameters": {"binary_data_size": tensor.nbytes},
    }


def decode(body: Buffer, header_length: str | None, side: Side) -> Message:
    """Read a message; its tensors are views into `body`.

    Raises
    ------
    BadRequest
        the header is invalid, a tensor is not binary, or sizes, shapes and the body contradict each other
    """
    view = memoryview(body)
    document, data = _header(view, header_length)
    try:
        tensors = list(_tensors(document[side], data))
        requested = tuple(str(output["name"]) for output in document.get("outputs", ())) if side == "inputs" else ()
        parameters = dict(document.get("parameters") or {})
        return Message(tuple(tensors), parameters, document.get("id"), requested)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRequest(f"a member of the inference header is missing or invalid ({type(error).__name__})") from error


def _header(view: memoryview, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    length = len(view) if header_length is None else _whole_number(header_length)
    if length > len(view):
        raise BadRequest("the inference header is longer than the body")
    try:
        document = json.loads(bytes(view[:length]))
    except (ValueError, RecursionError) as error:
        raise BadRequest("the inference header is not JSON") from error
    if not isinstance(document, dict):
        raise BadRequest("the inference header is not a JSON object")
    return document, view[length:]


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise BadRequest("Inference-Header-Content-Length must be a whole number")
    return int(text)


def _tensors(descriptions: Sequence[Mapping[str, Any]], data: memoryview) -> Iterator[Tensor]:
    at = 0
    for description in descriptions:
        name, datatype = str(description["name"]), str(description["datatype"])
        shape = tuple(_dimension(size) for size in description["shape"])
        size = (description.get("parameters") or {}).get("binary_data_size")
        if not isinstance(size, int) or size < 0 or at + size > len(data):
            raise BadRequest(f"tensor {name!r}: binary_data_size must be given and lie within the body")
        if datatype != "BYTES" and size != prod(shape) * ELEMENT_BYTES[datatype]:
            raise BadRequest(f"tensor {name!r}: {size} bytes do not match {datatype} {list(shape)}")
        yield Tensor(name, datatype, shape, (data[at : at + size],))
        at += size
    if at != len(data):
        raise BadRequest("the body is longer than its tensors")


def _dimension(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise BadRequest("a shape must hold whole numbers of at least 0")
    return size
