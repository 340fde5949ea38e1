"""PNG pictures: uploaded ones that a recipe has already made, and those that a report shows."""

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
_MOST_BEHIND: Final = 4096  # bytes; some programs leave a few
_MAX_SIDE: Final = 4096
_RGB: Final = 2
# By colour type (PNG 11.2.1).
_OTHERS: Final = {0: "png_grey", 3: "png_palette", 4: "png_grey", 6: "png_transparent"}


def is_png(head: Buffer) -> bool:
    """Whether a file begins as a PNG does."""
    return bytes(head[: len(SIGNATURE)]) == SIGNATURE


def check_header(head: Buffer) -> None:
    """Ask the IHDR chunk for size and kind, before Pillow sees the file.

    Raises
    ------
    UnreadableFile
        the picture is not 512 x 512, 8-bit RGB, is animated, or is no PNG beyond its signature; each has its code
    """
    try:
        chunk, columns, rows, depth, colour = unpack_from(">4sLLBB", head, 12)
    except StructError:
        raise UnreadableFile("corrupt_png") from None
    if chunk != b"IHDR":
        raise UnreadableFile("corrupt_png")
    if max(rows, columns) > _MAX_SIDE:
        raise UnreadableFile("too_large")
    if code := _other_kind(rows, columns, depth, colour):
        raise UnreadableFile(code)
    if _animated(bytes(head)):
        raise UnreadableFile("png_animated")


def decode(file: Buffer) -> NDArray[np.uint8]:
    """Read a picture.

    Returns
    -------
    (512, 512, 3) uint8, the channels as they are

    Raises
    ------
    UnreadableFile
        for whatever reason; no other exception leaves this function
    """
    check_header(file)
    try:
        with Image.open(BytesIO(file), formats=["PNG"]) as picture:
            pixels: NDArray[np.uint8] = np.array(picture)
    except Exception:  # noqa: BLE001 - a border: whatever a malformed file provokes, its words stay here
        raise UnreadableFile("corrupt_png") from None
    if pixels.shape != (SIDE, SIDE, 3) or pixels.dtype != np.uint8 or _behind(bytes(file)) > _MOST_BEHIND:
        raise UnreadableFile("corrupt_png")
    return pixels


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Write (rows, columns, 3) uint8 as a PNG, fast rather than small."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _other_kind(rows: int, columns: int, depth: int, colour: int) -> str | None:
    if depth == 16:  # noqa: PLR2004 - bits
        return "png_16_bit"
    if colour != _RGB or depth != 8:  # noqa: PLR2004 - bits
        return _OTHERS.get(colour, "corrupt_png")
    return None if (rows, columns) == (SIDE, SIDE) else "png_other_size"


def _behind(file: bytes) -> int:
    """How many bytes follow the picture: another file there would be left out."""
    return len(file.partition(_END)[2])


def _animated(file: bytes) -> bool:
    """Whether the animation chunk stands where it must, before the picture (PNG 11.3.6)."""
    return b"acTL" in file[: max(file.find(b"IDAT"), 0)]
