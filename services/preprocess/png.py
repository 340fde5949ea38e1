"""PNG pictures: decodes uploaded slices that a recipe has windowed, and encodes slices for reports."""

from io import BytesIO
from struct import error as StructError  # noqa: N812 - a class, which struct spells in lower case
from struct import unpack_from
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.common.tensors import Buffer
from services.preprocess.errors import UnreadableFile

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
SIDE: Final = 512
_END: Final = b"IEND\xae\x42\x60\x82"
_MAX_TRAILING: Final = 4096  # bytes after the picture; some programs append a few
_MAX_SIDE: Final = 4096
_RGB: Final = 2
# Codes of other colour types (PNG 11.2.1).
_OTHER_COLOUR_TYPES: Final = {0: "png_grey", 3: "png_palette", 4: "png_grey", 6: "png_transparent"}


def is_png(head: Buffer) -> bool:
    """Whether a file starts with the PNG signature."""
    return bytes(head[: len(SIGNATURE)]) == SIGNATURE


def check_header(head: Buffer) -> None:
    """Check size and kind in the IHDR chunk, before Pillow reads the file.

    Raises
    ------
    UnreadableFile
        the picture is not 512 x 512, 8-bit RGB, is animated, or is no PNG beyond its signature; each fault has a code
    """
    try:
        chunk, columns, rows, depth, colour = unpack_from(">4sLLBB", head, 12)
    except StructError:
        raise UnreadableFile("corrupt_png") from None
    if chunk != b"IHDR":
        raise UnreadableFile("corrupt_png")
    if max(rows, columns) > _MAX_SIDE:
        raise UnreadableFile("too_large")
    if code := _kind_fault(rows, columns, depth, colour):
        raise UnreadableFile(code)
    if _animated(bytes(head)):
        raise UnreadableFile("png_animated")


def decode(file: Buffer) -> NDArray[np.uint8]:
    """Decode a picture.

    Returns
    -------
    (512, 512, 3) uint8

    Raises
    ------
    UnreadableFile
        for every fault; no other exception leaves this function
    """
    check_header(file)
    try:
        with Image.open(BytesIO(file), formats=["PNG"]) as picture:
            pixels: NDArray[np.uint8] = np.array(picture)
    except Exception:  # noqa: BLE001 - boundary: messages about a malformed file may quote it
        raise UnreadableFile("corrupt_png") from None
    if pixels.shape != (SIDE, SIDE, 3) or pixels.dtype != np.uint8 or _trailing_bytes(bytes(file)) > _MAX_TRAILING:
        raise UnreadableFile("corrupt_png")
    return pixels


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (rows, columns, 3) uint8 as a PNG, fast rather than small."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _kind_fault(rows: int, columns: int, depth: int, colour: int) -> str | None:
    if depth == 16:  # noqa: PLR2004 - bits
        return "png_16_bit"
    if colour != _RGB or depth != 8:  # noqa: PLR2004 - bits
        return _OTHER_COLOUR_TYPES.get(colour, "corrupt_png")
    return None if (rows, columns) == (SIDE, SIDE) else "png_other_size"


def _trailing_bytes(file: bytes) -> int:
    """The number of bytes after the picture, which may be another file."""
    return len(file.partition(_END)[2])


def _animated(file: bytes) -> bool:
    """Whether the animation chunk stands before the image data (PNG 11.3.6)."""
    return b"acTL" in file[: max(file.find(b"IDAT"), 0)]
