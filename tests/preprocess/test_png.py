"""PNG of 512 x 512, 8-bit RGB, and all other kinds."""

from io import BytesIO
from struct import pack
from typing import Any
from zlib import compress, crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess import png
from services.preprocess.errors import UnreadableFile
from services.preprocess.windowing import apply_windows
from tests.preprocess.dicom_files import head_hu

PIXELS = apply_windows(head_hu(512, 512), DEFAULT_RECIPE)


def saved(picture: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def code_of(file: bytes) -> str:
    with pytest.raises(UnreadableFile) as caught:
        png.decode(file)
    return caught.value.code


def chunk(name: bytes, data: bytes) -> bytes:
    return pack(">L", len(data)) + name + data + pack(">L", crc32(name + data))


def test_another_file_after_the_picture_is_refused() -> None:
    file = png.encode(PIXELS)
    assert code_of(file + file) == "corrupt_png"
    assert (png.decode(file + bytes(100)) == PIXELS).all()


def test_round_trip() -> None:
    file = png.encode(PIXELS)
    assert png.is_png(file)
    assert (png.decode(file) == PIXELS).all()
    assert (png.decode(memoryview(file)) == PIXELS).all()


def test_first_bytes_suffice_for_the_check() -> None:
    png.check_header(png.encode(PIXELS)[:40])


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (Image.new("RGB", (511, 512)), "png_other_size"),
        (Image.new("RGB", (1920, 1080)), "png_other_size"),
        (Image.new("L", (512, 512)), "png_grey"),
        (Image.new("1", (512, 512)), "png_grey"),
        (Image.new("LA", (512, 512)), "png_grey"),
        (Image.new("P", (512, 512)), "png_palette"),
        (Image.new("RGBA", (512, 512)), "png_transparent"),
        (Image.new("I;16", (512, 512)), "png_16_bit"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.mode} {value.size}",
)
def test_other_kinds(picture: Image.Image, code: str) -> None:
    assert code_of(saved(picture)) == code


def test_animation() -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    assert code_of(saved(frames[0], save_all=True, append_images=frames[1:])) == "png_animated"


def test_interlaced_pictures_are_decoded() -> None:
    header = chunk(b"IHDR", pack(">LLBBBBB", 512, 512, 8, 2, 0, 0, 1))
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = [row for y, x, down, right in passes for row in PIXELS[y::down, x::right]]
    picture = chunk(b"IDAT", compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    assert (png.decode(png.SIGNATURE + header + picture + chunk(b"IEND", b"")) == PIXELS).all()


@pytest.mark.parametrize("length", [8, 20, 33, 60, 1000, 5000])
def test_truncated(length: int) -> None:
    assert code_of(png.encode(PIXELS)[:length]) == "corrupt_png"


def test_other_bytes_after_the_signature() -> None:
    assert code_of(png.SIGNATURE + b"and then something quite different, no chunk at all") == "corrupt_png"


def test_bomb_is_refused_by_its_dimensions() -> None:
    header = chunk(b"IHDR", pack(">LLBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    file = png.SIGNATURE + header + chunk(b"IDAT", compress(bytes(100_000))) + chunk(b"IEND", b"")
    assert code_of(file) == "too_large"


def test_text_that_inflates_without_bound() -> None:
    file = png.encode(PIXELS)
    bomb = chunk(b"zTXt", b"comment\0\0" + compress(bytes(100_000_000), 9))
    assert code_of(file[:33] + bomb + file[33:]) == "corrupt_png"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(8, 2000), st.integers(0, 255)), min_size=1, max_size=8))
def test_mutated_pictures_raise_nothing_but_codes(changes: list[tuple[int, int]]) -> None:
    file = bytearray(png.encode(PIXELS))
    for place, byte in changes:
        file[place] = byte
    try:
        found = png.decode(bytes(file))
    except UnreadableFile:
        return
    assert found.shape == (512, 512, 3)
    assert found.dtype == np.uint8
