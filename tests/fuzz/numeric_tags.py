"""Series with invalid values in numeric tags: every such tag, many values, in one file or in all files."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.preprocess.dicom_files import dataset, enhanced, functional_group, head_hu, macro, written

SLICES: Final = 6
_VECTORS: Final = {"PixelSpacing": 2, "ImagePositionPatient": 3, "ImageOrientationPatient": 6}
_STRINGS: Final = (
    *("SliceThickness", "KVP", "SpacingBetweenSlices", "InstanceNumber", "SliceLocation", "NumberOfFrames"),
    *("RescaleIntercept", "RescaleSlope", *_VECTORS),
)
_SHORTS: Final = (
    *("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
)
_PIXELS: Final = b"\xe0\x7f\x10\0"
_TEXTS: Final = (
    *(b"1e308", b"-1e308", b"1e-308", b"-1e-308", b"1e307", b"1e39", b"-1e39", b"1e9", b"-1e9", b"1e-9", b"1e400"),
    *(
        b"nan",
        b"inf",
        b"-inf",
        b"",
        b" ",
        b"\0",
        b"\\",
        b"1/2",
        b"0,5",
        b"0,97",
        b"1.0\0",
        b"text",
        b"\xff",
        b"1_0",
        b"0x10",
    ),
    *(b"0", b"-0", b"-1", b"9" * 20, b"-" + b"9" * 20, b"2147483648", b"1\\1", b"1 2", b"1e", b"+-1", b"5.5"),
)
_NUMBERS: Final = (0, 1, 2, 3, 7, 8, 11, 12, 13, 15, 16, 17, 32, 63, 65, 255, 4095, 32767, 32768, 63536, 65534, 65535)


class Case(NamedTuple):
    """One series with a changed tag."""

    seed: str
    keyword: str
    value: bytes
    vr: bytes
    everywhere: bool

    @property
    def is_another_scale(self) -> bool:
        """Whether the whole series is on another plausible scale, which may change the report."""
        rescale = self.everywhere and self.keyword in ("RescaleSlope", "RescaleIntercept")
        return rescale and bool(re.fullmatch(rb"[-+]?[0-9]+([.,][0-9]+)?(e[-+]?[0-9])?\0*", self.value))

    @property
    def name(self) -> str:
        """The name of the case in a list of failures."""
        where = "everywhere" if self.everywhere else "once"
        return f"{self.seed}: {self.keyword} = {self.value!r} {where}"


def cases(random: Random) -> list[Case]:
    """All cases, in an order drawn from `random`."""
    values = [(keyword, value, b"") for keyword in _STRINGS for value in _text_values(keyword)]
    values += [(keyword, number.to_bytes(2, "little"), b"US") for keyword in _SHORTS for number in _NUMBERS]
    values += [
        (keyword, value, vr) for keyword in _SHORTS for value, vr in ((b"", b"US"), (b"x", b"US"), (b"12", b"DS"))
    ]
    found = [
        Case(seed, keyword, value, vr, everywhere)
        for (keyword, value, vr), seed, everywhere in product(values, seeds(), (False, True))
    ]
    random.shuffle(found)
    return found


def changed(case: Case) -> dict[str, bytes]:
    """The files of a case, by name."""
    files = dict(seeds()[case.seed])
    for number, (name, file) in enumerate(files.items()):
        if case.everywhere or number == len(files) // 2:
            files[name] = _with_value(file, case)
    return files


@cache
def seeds() -> dict[str, dict[str, bytes]]:
    """Valid series by kind: 12-bit, signed 16-bit, and an enhanced file."""
    return {
        "12 bits": {f"{index}.dcm": written(_slice(index, **_twelve_bits(index))) for index in range(SLICES)},
        "16 bits": {f"{index}.dcm": written(_slice(index, **_sixteen_bits(index))) for index in range(SLICES)},
        "enhanced": {"e.dcm": written(_enhanced())},
    }


def _text_values(keyword: str) -> Iterator[bytes]:
    """Values that replace each component of a vector, and all components."""
    count = _VECTORS.get(keyword, 1)
    for value in _TEXTS:
        if count > 1:
            yield b"\\".join([value] * count)
        for place in range(count):
            parts = [b"1"] * count
            parts[place] = value
            yield b"\\".join(parts)


def _with_value(file: bytes, case: Case) -> bytes:
    """The file with new bytes as the value of every element of the tag, or of the middle one."""
    head, tag = file.index(_PIXELS), _element(case.keyword)
    places, at = [], file.find(tag, 0, head)
    while at >= 0:
        places.append(at)
        at = file.find(tag, at + 1, head)
    for at in reversed(places if case.everywhere else places[len(places) // 2 :][:1]):
        length = int.from_bytes(file[at + 6 : at + 8], "little")
        padded = case.value + b" " * (len(case.value) % 2)
        element = file[at : at + 4] + (case.vr or file[at + 4 : at + 6]) + len(padded).to_bytes(2, "little") + padded
        file = file[:at] + element + file[at + 8 + length :]
    return file


def _element(keyword: str) -> bytes:
    """The first bytes of the element: its tag and, where unambiguous, its VR (PS3.5 7.1.2)."""
    tag, vr = Tag(keyword), dictionary_VR(keyword)
    known = vr.encode() if len(vr) == 2 else b""
    return tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + known


def _hu(index: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A head whose brain identifies the slice."""
    hu = head_hu()
    return np.where(abs(hu - 33) < 30, hu - 20 + 8 * index, hu).astype(np.int16)


def _twelve_bits(index: int) -> dict[str, Any]:
    return {"PixelData": (_hu(index) + 1024).astype("<u2").tobytes(), "PixelPaddingValue": 0}


def _sixteen_bits(index: int) -> dict[str, Any]:
    how = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleIntercept": 0}
    return {**how, "PixelData": _hu(index).astype("<i2").tobytes()}


def _slice(index: int, **changes: Any) -> Dataset:
    return dataset(
        SOPInstanceUID=f"1.2.3.{index + 1}",
        InstanceNumber=index + 1,
        ImagePositionPatient=[-112, -112, index * 5],
        SliceLocation=index * 5,
        NumberOfFrames=1,
        **_COMMON,
        **changes,
    )


_COMMON: Final[dict[str, Any]] = {
    "PixelSpacing": [3.5, 3.5],
    "SliceThickness": 5,
    "SpacingBetweenSlices": 5,
    "KVP": 120,
    "BodyPartExamined": "HEAD",
    "RescaleType": "HU",
}


def _enhanced() -> Dataset:
    found = enhanced(SLICES, BodyPartExamined="HEAD", InstanceNumber=1)
    found.PixelData = b"".join((_hu(index) + 1024).astype("<u2").tobytes() for index in range(SLICES))
    for index in range(SLICES):
        group = functional_group(found, index)
        group.PixelValueTransformationSequence = macro(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
        group.PixelMeasuresSequence = macro(PixelSpacing=[3.5, 3.5], SliceThickness=5, SpacingBetweenSlices=5)
        group.CTXRayDetailsSequence = macro(KVP=120)
        group.PlaneOrientationSequence = macro(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
        group.PlanePositionSequence = macro(ImagePositionPatient=[-112, -112, index * 5])
    _undefined_lengths(found)
    return found


def _undefined_lengths(found: Dataset) -> None:
    """Give all sequences and items undefined lengths, so that a value can change its length."""
    for element in found:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _undefined_lengths(item)
