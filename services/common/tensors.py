"""Open Inference Protocol v2 over HTTP with the binary tensor extension, without numpy.

A message is a JSON header of `Inference-Header-Content-Length` bytes, then each tensor's raw little-endian bytes in
the order of the header. An element of a BYTES tensor is a four-byte length and that many bytes. Tensors are never
sent as JSON numbers. `services.common.numpy_tensors` turns tensors into arrays.

A tensor may lie in a shared memory region instead, as in Triton's system shared memory extension; its bytes are not
sent. `services.common.shared_memory` opens regions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from services.common.problems import BadRequest
from services.common.shared_ranges import NO_SHARED_MEMORY, SharedBuffer, SharedMemory, SharedRange, read_range

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
    """A named tensor. `data` holds its raw bytes, in one or more parts.

    shared : the range of a region that holds the bytes, which are not sent then
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: tuple[Buffer | FilePart, ...]
    shared: SharedRange | None = None

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
    shared_outputs : by name, the regions that a request offers for its outputs
    """

    tensors: tuple[Tensor, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    id: str | None = None
    requested_outputs: tuple[str, ...] = ()
    shared_outputs: Mapping[str, SharedBuffer] = field(default_factory=dict)

    @property
    def shared_bytes(self) -> int:
        """Bytes of the tensors in shared memory."""
        return sum(tensor.nbytes for tensor in self.tensors if tensor.shared)

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
        if message.requested_outputs:
            document["outputs"] = [_describe_output(name, message) for name in message.requested_outputs]
    parts = [part for tensor in message.tensors if not tensor.shared for part in tensor.data]
    return json.dumps(document, separators=(",", ":")).encode(), parts


def _describe(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "parameters": tensor.shared.parameters if tensor.shared else {"binary_data_size": tensor.nbytes},
    }


def _describe_output(name: str, message: Message) -> dict[str, Any]:
    buffer = message.shared_outputs.get(name)
    return {"name": name, "parameters": buffer.range.parameters if buffer else {"binary_data": True}}


def decode(body: Buffer, header_length: str | None, side: Side, memory: SharedMemory = NO_SHARED_MEMORY) -> Message:
    """Read a message; its tensors are views into `body` or `memory`.

    Raises
    ------
    BadRequest
        the header is invalid, a tensor is not binary, sizes, shapes and the body contradict each other, or `memory`
        does not have a range
    """
    view = memoryview(body)
    document, data = _header(view, header_length)
    try:
        tensors = list(_tensors(document[side], data, memory))
        outputs = document.get("outputs", ()) if side == "inputs" else ()
        requested = tuple(str(output["name"]) for output in outputs)
        parameters = dict(document.get("parameters") or {})
        return Message(tuple(tensors), parameters, document.get("id"), requested, _shared_outputs(outputs, memory))
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


def _tensors(descriptions: Sequence[Mapping[str, Any]], data: memoryview, memory: SharedMemory) -> Iterator[Tensor]:
    at = 0
    for description in descriptions:
        name, datatype = str(description["name"]), str(description["datatype"])
        shape = tuple(_dimension(size) for size in description["shape"])
        parameters = description.get("parameters") or {}
        shared = read_range(name, parameters)
        view = memory.view(shared) if shared else _binary_data(name, parameters, data[at:])
        if datatype != "BYTES" and len(view) != prod(shape) * ELEMENT_BYTES[datatype]:
            raise BadRequest(f"tensor {name!r}: {len(view)} bytes do not match {datatype} {list(shape)}")
        yield Tensor(name, datatype, shape, (view,), shared)
        at += 0 if shared else len(view)
    if at != len(data):
        raise BadRequest("the body is longer than its tensors")


def _binary_data(name: str, parameters: Mapping[str, Any], rest: memoryview) -> memoryview:
    size = parameters.get("binary_data_size")
    if not isinstance(size, int) or not 0 <= size <= len(rest):
        raise BadRequest(f"tensor {name!r}: binary_data_size must be given and lie within the body")
    return rest[:size]


def _shared_outputs(outputs: Sequence[Mapping[str, Any]], memory: SharedMemory) -> dict[str, SharedBuffer]:
    named = [(str(output["name"]), output.get("parameters") or {}) for output in outputs]
    ranges = [(name, read_range(name, parameters)) for name, parameters in named]
    return {name: SharedBuffer(shared, memory.view(shared)) for name, shared in ranges if shared}


def _dimension(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise BadRequest("a shape must hold whole numbers of at least 0")
    return size
