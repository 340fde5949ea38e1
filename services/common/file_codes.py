"""Codes of files and frames that make no slice, with their texts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.common.schemas import FramesCode

TOO_SLOW: Final = "too_slow"

# Beside a series, such a file is set aside with a note; alone, it is refused.
SET_ASIDE_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_dicom": "neither DICOM nor PNG",
        "system_file": "a file that macOS or Windows adds to folders",
        "dicomdir": "a DICOMDIR, which lists files and holds no image",
        "not_an_image": "a DICOM object without pixels",
        "not_a_ct_slice": "not an axial CT slice (a localizer, a secondary capture or another modality)",
    }
)

# Such frames are set aside beside the axial frames of their file, with a note.
SET_ASIDE_FRAMES: Final[Mapping[FramesCode, str]] = MappingProxyType(
    {"localizer": "localizer", "other_plane": "not axial"}
)

# Such a file makes the upload unusable: leaving it out could hide a haemorrhage.
UNUSABLE_FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "empty_file": "the file is empty",
        "truncated": "the file ends before its pixels do",
        "corrupt_header": "the DICOM header cannot be read",
        "unreadable_tag": "a tag that pixels or slice order depend on cannot be read as a number",
        "surplus_pixels": "another file, or more pixels than Rows, Columns and NumberOfFrames state, follow the image",
        "corrupt_pixels": "the pixels cannot be decoded",
        TOO_SLOW: "the pixels take too long to decode, or those of another file of the series do",
        "unsupported_syntax": "the transfer syntax is not supported",
        "too_large": "the image has more than 4096 rows or columns or 2000 frames, or its header too many elements",
        "corrupt_png": "the PNG cannot be decoded",
        **{
            code: f"{fault}; a PNG must be 512 x 512, 8-bit RGB: bone, subdural and soft-tissue window"
            for code, fault in {
                "png_other_size": "the PNG has another size",
                "png_16_bit": "the PNG has 16 bits per channel",
                "png_grey": "the PNG is grey",
                "png_palette": "the PNG has a palette",
                "png_transparent": "the PNG has an alpha channel",
                "png_animated": "the PNG is animated",
                "png_other_picture": "the channels of the PNG are not three windows of one slice",
            }.items()
        },
    }
)

_VALUES: Final[Mapping[str, str]] = MappingProxyType(
    {"PixelSpacing": "two numbers", "ImagePositionPatient": "three numbers", "ImageOrientationPatient": "six numbers"}
)


def describe_file_code(code: str, tag: str | None = None) -> str:
    """The text of a code, or of the unreadable tag with the keyword `tag`."""
    if tag is not None:
        return f"{tag} cannot be read as {_VALUES.get(tag, 'a number')}"
    return {**SET_ASIDE_FILES, **UNUSABLE_FILES}[code]
