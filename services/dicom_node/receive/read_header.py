"""Reads the InstanceHeader of a file in Part 10 format, without its pixels.

The bytes are mapped, so that only the pages of the header are touched. Work is bounded by the number of elements.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from pydicom.charset import python_encoding
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian

from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.receive.elements import EXPLICIT, ElementReader, Encoding
from services.dicom_node.receive.supported import CT_CLASSES, TRANSFER_SYNTAXES
from services.dicom_node.receive.unreadable import UnreadableInstance
from services.dicom_node.software import SOFTWARE

_META_AT: Final = 132  # after preamble and prefix (PS3.10 7.1)
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_MAX_UID: Final = 64
_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_ORIENTATION_VALUES: Final = 6


def _tags(keywords: str) -> dict[int, str]:
    return {int(Tag(keyword)): keyword for keyword in keywords.split()}


_META: Final = _tags("MediaStorageSOPClassUID MediaStorageSOPInstanceUID TransferSyntaxUID")
_READ: Final = _tags(
    "SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID Modality StudyDescription SeriesDescription "
    "ManufacturerModelName BodyPartExamined SliceThickness ProtocolName ConvolutionKernel StudyInstanceUID "
    "SeriesInstanceUID PatientID PatientName InstanceNumber ImageOrientationPatient NumberOfFrames"
)
# Of frames (PS3.3 C.7.6.16): values, and the sequences that lead to them.
_READ_IN_FRAMES: Final = _tags("SliceThickness ConvolutionKernel ImageOrientationPatient CodeMeaning")
_ENTERED: Final = _tags(
    "PixelMeasuresSequence PlaneOrientationSequence CTReconstructionSequence FrameAnatomySequence "
    "AnatomicRegionSequence"
)
_FRAMES: Final = _tags("SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence AnatomicRegionSequence")
_PIXEL_DATA: Final = int(Tag("PixelData"))


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header of a file, and the byte at which its data set begins."""

    instance: InstanceHeader
    dataset_at: int


def read_header(path: Path) -> FileHeader:
    """Read the header of a whole file.

    Raises
    ------
    UnreadableInstance
        the file is no whole CT image in a supported transfer syntax, or its meta information contradicts it
    """
    with path.open("rb") as file:
        try:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError:  # an empty file
            raise UnreadableInstance("not_dicom") from None
    with data:
        return _read(ElementReader(data))


def _read(reader: ElementReader) -> FileHeader:
    if reader.data[_META_AT - 4 : _META_AT] != b"DICM":
        raise UnreadableInstance("not_dicom")
    meta, dataset_at = _read_meta(reader)
    named = meta.get("MediaStorageSOPClassUID", ""), meta.get("MediaStorageSOPInstanceUID", "")
    try:
        header = _header(reader, meta.get("TransferSyntaxUID", ""), dataset_at)
    except UnreadableInstance as error:
        raise UnreadableInstance(error.code, *map(_valid_uid, named)) from None
    found = header.sop_class_uid, header.sop_instance_uid
    if any(name not in ("", uid) for name, uid in zip(named, found, strict=True)):
        raise UnreadableInstance("meta_differs", *map(_valid_uid, named))
    return FileHeader(header, dataset_at)


def _valid_uid(text: str) -> str:
    return text if is_uid(text) else ""


def is_uid(text: str) -> bool:
    """Whether the text has the form of a UID (PS3.5 9.1), leading zeros aside."""
    return len(text) <= _MAX_UID and _UID.fullmatch(text) is not None


def _read_meta(reader: ElementReader) -> tuple[dict[str, str], int]:
    """Group 0002, and where the data set begins."""
    found: dict[str, str] = {}
    at = _META_AT
    while reader.data[at : at + 2] == b"\x02\x00":
        element = reader.element(at, EXPLICIT)
        if keyword := _META.get(element.tag):
            found[keyword] = reader.value(element).decode("latin-1").strip(" \0")
        at = reader.end(element, EXPLICIT)
    return found, at


def _header(reader: ElementReader, syntax: str, dataset_at: int) -> InstanceHeader:
    if not syntax:
        raise UnreadableInstance("no_transfer_syntax")
    if syntax not in TRANSFER_SYNTAXES:
        raise UnreadableInstance("unsupported_transfer_syntax")
    values = _Values(*_collect(reader, dataset_at, _encoding(reader, syntax, dataset_at)))
    if not all(is_uid(values.text(keyword)) for keyword in _UIDS):
        raise UnreadableInstance("invalid_uid")
    if values.text("SOPClassUID") not in CT_CLASSES:
        raise UnreadableInstance("unsupported_sop_class")
    if not values.has_pixels:
        raise UnreadableInstance("no_pixel_data")
    return values.header(syntax)


def _encoding(reader: ElementReader, syntax: str, at: int) -> Encoding:
    """Of a data set: some files state one of the little endian syntaxes and have the other, as pydicom notices, too."""
    vr = reader.data[at + 4 : at + 6]
    return Encoding(implicit=not (vr.isalpha() and vr.isupper()), little_endian=syntax != ExplicitVRBigEndian)


def _collect(reader: ElementReader, at: int, encoding: Encoding) -> tuple[dict[str, bytes], dict[str, bytes], bool]:
    """The values that are read, those of the first frame, and whether there are pixels."""
    found: dict[str, bytes] = {}
    of_frame: dict[str, bytes] = {}
    while at < len(reader.data):
        element = reader.element(at, encoding)
        if keyword := _READ.get(element.tag):
            found.setdefault(keyword, reader.value(element))
        elif element.tag in _FRAMES and (item := reader.first_item(element, encoding)):
            for name, value in _frame_values(reader, *item, encoding):
                of_frame.setdefault(name, value)
        at = reader.end(element, encoding)
        if element.tag == _PIXEL_DATA:  # data after them is not read
            return found, of_frame, element.length > 0
    return found, of_frame, False


def _frame_values(reader: ElementReader, at: int, stop: int, encoding: Encoding) -> Iterator[tuple[str, bytes]]:
    """The values of one frame, from the first item of each sequence on the way."""
    ranges = [(at, stop)]
    while ranges:
        at, stop = ranges.pop()
        while at < stop:
            element = reader.element(at, encoding)
            if element.tag in _ENTERED and (item := reader.first_item(element, encoding)):
                ranges.append(item)
            elif keyword := _READ_IN_FRAMES.get(element.tag):
                yield keyword, reader.value(element)
            at = reader.end(element, encoding)


class _Values:
    """Values as text and numbers; an absent or malformed one is empty or None."""

    def __init__(self, found: Mapping[str, bytes], of_frame: Mapping[str, bytes], has_pixels: bool) -> None:  # noqa: FBT001 - by keyword it would be as long
        self._found, self._of_frame, self.has_pixels = found, of_frame, has_pixels
        terms = found.get("SpecificCharacterSet", b"").decode("latin-1").split("\\")
        self._encoding = python_encoding.get(terms[-1].strip(" \0"), "latin-1")

    def texts(self, keyword: str) -> tuple[str, ...]:
        value = self._found.get(keyword) or self._of_frame.get(keyword, b"")
        return tuple(part.strip(" \0") for part in _decode(value, self._encoding).split("\\"))

    def text(self, keyword: str) -> str:
        return self.texts(keyword)[0]

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        try:
            found = tuple(float(part.replace(",", ".")) for part in self.texts(keyword))
        except ValueError:
            return None
        return found if len(found) == count and all(map(isfinite, found)) else None

    def number(self, keyword: str) -> float | None:
        return (self.numbers(keyword, 1) or (None,))[0]

    def integer(self, keyword: str) -> int | None:
        found = self.number(keyword)
        return int(found) if found is not None and found.is_integer() else None

    def header(self, syntax: str) -> InstanceHeader:
        return InstanceHeader(
            study_instance_uid=self.text("StudyInstanceUID"),
            series_instance_uid=self.text("SeriesInstanceUID"),
            sop_instance_uid=self.text("SOPInstanceUID"),
            sop_class_uid=self.text("SOPClassUID"),
            transfer_syntax_uid=syntax,
            modality=self.text("Modality").upper(),
            instance_number=self.integer("InstanceNumber"),
            number_of_frames=max(self.integer("NumberOfFrames") or 1, 1),
            image_type=tuple(map(str.upper, self.texts("ImageType"))) if self.text("ImageType") else (),
            body_part_examined=(self.text("BodyPartExamined") or self.text("CodeMeaning")).upper(),
            study_description=self.text("StudyDescription"),
            series_description=self.text("SeriesDescription"),
            protocol_name=self.text("ProtocolName"),
            convolution_kernel=self.text("ConvolutionKernel"),
            slice_thickness_mm=self.number("SliceThickness"),
            image_orientation=self.numbers("ImageOrientationPatient", _ORIENTATION_VALUES),
            software=SOFTWARE if self.text("ManufacturerModelName") == SOFTWARE else "",
            patient=self._patient(),
        )

    def _patient(self) -> str:
        """Of PatientID, or of the name without one. It tells patients of one series apart, and names nobody."""
        identity = self.text("PatientID") or self.text("PatientName")
        return sha256("\0".join((self.text("SeriesInstanceUID"), identity)).encode()).hexdigest()[:32]


def _decode(value: bytes, encoding: str) -> str:
    try:
        return value.decode(encoding, "replace")
    except (LookupError, UnicodeError):
        return value.decode("latin-1")
