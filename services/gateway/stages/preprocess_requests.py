"""Tensors of requests to preprocess: first bytes of files for their headers, and files of a chunk of slices."""

from array import array
from collections.abc import Sequence

from services.common.schemas import EncapsulatedFile, MultiFrameFile, SliceReference
from services.common.tensors import FilePart, Tensor, bytes_tensor
from services.gateway.stages.region_pool import SLICE_BYTES
from services.gateway.stages.shared_tensors import SharedOutput
from services.gateway.uploads.spool import UploadedFile


def first_bytes(file: UploadedFile, max_bytes: int) -> FilePart:
    """The first bytes of a file."""
    return FilePart(file.path, min(file.size, max_bytes))


def headers_request(files: Sequence[UploadedFile], heads: Sequence[FilePart]) -> tuple[Tensor, ...]:
    """First bytes of files, and the sizes of the whole files."""
    return bytes_tensor("files", heads), _numbers("sizes", [file.size for file in files])


def slices_request(
    files: Sequence[UploadedFile],
    items: Sequence[SliceReference],
    stacks: Sequence[MultiFrameFile | EncapsulatedFile],
) -> tuple[Tensor, ...]:
    """The files of some slices, each once; of a file in `stacks` only the header and the needed frames.

    A compressed file is sent in part only for one frame of it.
    """
    used = sorted({item.file for item in items})
    index_of = {file: index for index, file in enumerate(used)}
    frames = array("i", (number for item in items for number in (index_of[item.file], item.frame)))
    stack_of = {stack.file: stack for stack in stacks}
    parts = [
        _part(files[file], [item.frame for item in items if item.file == file], stack_of.get(file)) for file in used
    ]
    return (
        bytes_tensor("files", parts),
        _numbers("sizes", [files[file].size for file in used]),
        _numbers("pixels_from", [part.gap[1] for part in parts]),
        Tensor("frames", "INT32", (len(items), 2), (frames.tobytes(),)),
    )


def shared_slices(rows: int) -> SharedOutput:
    """The output `slices` of so many rows, and the outputs beside it."""
    return SharedOutput("slices", rows * SLICE_BYTES, ("evidence", "pictures", "report"))


def slab_tensor(slabs: Sequence[range]) -> Tensor:
    """(n,) int32, the slab of each requested frame, counted from 0 in each request."""
    numbers = array("i", (number for number, slab in enumerate(slabs) for _ in slab))
    return Tensor("slabs", "INT32", (len(numbers),), (numbers.tobytes(),))


def _part(file: UploadedFile, frames: Sequence[int], stack: MultiFrameFile | EncapsulatedFile | None) -> FilePart:
    if stack is None or (isinstance(stack, EncapsulatedFile) and len(frames) > 1):
        return FilePart(file.path, file.size)
    start, end = stack.frame_range(min(frames))[0], stack.frame_range(max(frames))[1]
    return FilePart(file.path, end, gap=(stack.pixels_at, start))


def _numbers(name: str, numbers: Sequence[int]) -> Tensor:
    return Tensor(name, "INT64", (len(numbers),), (array("q", numbers).tobytes(),))
