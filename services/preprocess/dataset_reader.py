"""Reads a DICOM file as a pydicom data set up to its pixels, within limits.

`dcmread` inflates a deflated file without bound. Its parts are called here instead: preamble, file meta information and
data set. `plain_elements` reads most of them, and pydicom's own reader the others. pydicom may make a kilobyte of
objects from eight bytes, so `BoundedReader` limits its reads.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import BinaryIO, Final, NamedTuple, cast
from warnings import catch_warnings, simplefilter

from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble, read_sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.preprocess.element_values import text
from services.preprocess.errors import UnreadableFile
from services.preprocess.plain_elements import UNDEFINED_LENGTH, Limits, PlainElements, read_plain_elements

# Enough for 2000 frames of an enhanced CT; a hostile file of tiny items takes seconds to reach it.
MAX_READS: Final = 500_000
_READS_A_FILE: Final = 4000
MAX_VALUE_BYTES: Final = 16_384  # the longest value that is used: the offset table of 2000 frames

_READ: Final = (
    "ImageType SOPClassUID SOPInstanceUID Modality StudyDescription SeriesDescription ProtocolName ContrastBolusAgent "
    "ContrastBolusAgentSequence ContrastBolusVolume ContrastBolusRoute BodyPartExamined AnatomicRegionSequence "
    "SliceThickness KVP SpacingBetweenSlices SliceLocation ConvolutionKernel StudyInstanceUID SeriesInstanceUID "
    "InstanceNumber ImagePositionPatient ImageOrientationPatient SamplesPerPixel PhotometricInterpretation "
    "NumberOfFrames Rows Columns PixelSpacing BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue "
    "PixelPaddingRangeLimit RescaleIntercept RescaleSlope RescaleType SharedFunctionalGroupsSequence "
    "PerFrameFunctionalGroupsSequence ExtendedOffsetTable ExtendedOffsetTableLengths PatientID IssuerOfPatientID "
    "PatientName AcquisitionDate AcquisitionTime AcquisitionDateTime SeriesDate SeriesTime StudyDate StudyTime "
    "SpecificCharacterSet DirectoryRecordSequence"
)
_TAGS: Final = frozenset(int(Tag(keyword)) for keyword in _READ.split())  # ints hash and compare faster
_PIXELS: Final = frozenset(int(Tag(keyword)) for keyword in ("FloatPixelData", "DoubleFloatPixelData", "PixelData"))


class ReadBudget:
    """The reads that the headers of one request may take together: a hostile file may be one of thousands.

    Parameters
    ----------
    files : of the request; each has 4,000 reads, ten times those of a usual header
    """

    def __init__(self, files: int) -> None:
        self.left = 2 * MAX_READS + _READS_A_FILE * files


class PixelDataRange(NamedTuple):
    """The bytes of the pixel data's value in the file; a delimiter ends a value of undefined length."""

    start: int
    stop: int
    undefined_length: bool


class TooManyReads(Exception):
    """The file has more elements than any CT header."""


class BoundedReader:
    """A file for pydicom to read, uncopied, with a limit on the number of reads.

    Reads return at most `max_value_bytes` and skip the rest. `ended` is set by a read beyond the end of the bytes,
    `cut` by a read that starts before the end and exceeds it. `reached` is the end of the furthest read.
    """

    def __init__(
        self,
        data: memoryview,
        start: int = 0,
        max_value_bytes: int = MAX_VALUE_BYTES,
        max_reads: int = MAX_READS,
    ) -> None:
        self.data = data
        self.ended = self.cut = False
        self.reached = start
        self.reads_left = max_reads
        self._at = start
        self.max_value_bytes = max_value_bytes

    def read(self, size: int = MAX_VALUE_BYTES, /) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise TooManyReads
        stop = self._at + size
        if stop > len(self.data):
            self.ended = True
            self.cut |= self._at != len(self.data)
            stop = len(self.data)
        found = bytes(self.data[self._at : min(stop, self._at + self.max_value_bytes)])
        self._at = stop
        self.reached = max(self.reached, stop)
        return found

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = self._at + offset if whence else offset
        return self._at

    def peek(self, size: int) -> bytes:
        found = self.read(size)
        self._at -= len(found)
        return found

    def tell(self) -> int:
        return self._at

    @property
    def fault(self) -> str | None:
        """The code of a limit or end that pydicom met; None if the bytes themselves may be at fault."""
        return "too_large" if self.reads_left < 0 else "truncated" if self.ended else None


class _Silence:
    """Suppresses pydicom's warnings and logs from the first thread that enters until the last one leaves.

    The filters of warnings and pydicom's settings belong to the whole process. A lock around the work instead would let
    a header that takes seconds delay the headers of all other requests.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._context = ExitStack()

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                self._context.enter_context(_suppressed())
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._context.close()


@contextmanager
def _suppressed() -> Iterator[None]:
    with catch_warnings(), config.disable_value_validation():
        simplefilter("ignore")
        before, config.logger.disabled = config.logger.disabled, True
        try:
            yield
        finally:
            config.logger.disabled = before


_SILENCE: Final = _Silence()


@contextmanager
def pydicom_silenced() -> Iterator[None]:
    """Suppress pydicom's warnings and logs, which may hold values, in all threads."""
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()


def read_file_meta(file: BoundedReader) -> tuple[Dataset, str]:
    """The file meta information, group 0002, and the transfer syntax; the file is then at the data set.

    Raises
    ------
    UnreadableFile
        the file has neither a preamble (PS3.10 7.1) nor, without one, a first element
    EOFError
        no data set follows
    """
    if not _starts_as_dicom(file.peek(132)):
        raise UnreadableFile("not_dicom")
    read_preamble(_binary(file), force=True)
    plain = _read_plain(file, _is_after_meta, frozenset(), implicit=False)
    meta = plain.dataset if plain else _meta_by_pydicom(file)
    first = file.peek(6)
    if not first:
        raise EOFError
    return meta, text(meta, "TransferSyntaxUID") or _guess_transfer_syntax(first)


def read_until_pixel_data(file: BoundedReader, syntax: str) -> tuple[Dataset, PixelDataRange | None]:
    """The attributes that are used, and the range of the pixels; None where the bytes end before them."""
    return read_plain_until_pixels(file, syntax) or read_by_pydicom(file, syntax)


def read_plain_until_pixels(file: BoundedReader, syntax: str) -> tuple[Dataset, PixelDataRange] | None:
    """As `read_until_pixel_data`, for a file of plain elements; None, and nothing read, for any other."""
    if syntax == ExplicitVRBigEndian:
        return None
    plain = _read_plain(file, _PIXELS.__contains__, _TAGS, implicit=syntax == ImplicitVRLittleEndian)
    return (plain.dataset, _pixel_data_range(plain.value_at, plain.length)) if plain else None


def _read_plain(
    file: BoundedReader, ends_at: Callable[[int], bool], tags: Set[int], *, implicit: bool
) -> PlainElements | None:
    """Read plain elements, and count the reads that pydicom would have needed."""
    plain = read_plain_elements(
        file.data,
        file.tell(),
        implicit=implicit,
        ends_at=ends_at,
        tags=tags,
        limits=Limits(file.reads_left, file.max_value_bytes),
    )
    if plain:
        file.reads_left -= plain.reads
        file.seek(plain.end_at)
        file.reached = max(file.reached, plain.value_at)
    return plain


def _pixel_data_range(start: int, length: int) -> PixelDataRange:
    return PixelDataRange(start, start + length, length == UNDEFINED_LENGTH)


def read_by_pydicom(file: BoundedReader, syntax: str) -> tuple[Dataset, PixelDataRange | None]:
    """As `read_until_pixel_data`, by pydicom's own reader."""
    found: list[PixelDataRange] = []

    def at_pixels(tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag in _PIXELS:
            found.append(_pixel_data_range(file.tell(), length))
        return tag in _PIXELS

    try:
        dataset = read_dataset(
            _binary(file),
            is_implicit_VR=syntax == ImplicitVRLittleEndian,
            is_little_endian=syntax != ExplicitVRBigEndian,
            stop_when=at_pixels,
            specific_tags=list(_TAGS),
        )
    except Exception:
        if file.fault != "truncated":
            raise
        file.cut = True  # in a sequence
        return Dataset(), None
    return dataset, found[-1] if found else None


def sequence_items(file: BoundedReader, dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence (PS3.5 7.5), read through `file`, which counts; pydicom's own conversion does not."""
    element = cast("DataElement | RawDataElement | None", dataset.get_item(keyword))
    if element is None or element.VR not in (None, "SQ", "UN"):
        return ()
    if not isinstance(element, RawDataElement):
        return cast("Sequence[Dataset]", element.value)
    file.seek(element.value_tell)
    return read_sequence(
        _binary(file), element.is_implicit_VR, element.is_little_endian, element.length, encoding="iso8859"
    )


def _starts_as_dicom(head: bytes) -> bool:
    implicit = len(head) >= 8 and int.from_bytes(head[4:8], "little") <= 64  # noqa: PLR2004 - the longest UID
    little = head[:2] in (b"\x02\x00", b"\x08\x00") and (implicit or _has_vr(head))
    return head[128:] == b"DICM" or little or (head[:2] == b"\x00\x08" and _has_vr(head))


def _guess_transfer_syntax(element: bytes) -> str:
    """The native transfer syntax of a data set by its first element; its group number is below 0100."""
    if not _has_vr(element):
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if element[0] else ExplicitVRBigEndian


def _has_vr(element: bytes) -> bool:
    return element[4:6].isalpha() and element[4:6].isupper()


def _meta_by_pydicom(file: BoundedReader) -> Dataset:
    def after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return _is_after_meta(tag)

    return read_dataset(_binary(file), is_implicit_VR=False, is_little_endian=True, stop_when=after_meta)


def _is_after_meta(tag: int) -> bool:
    return tag >> 16 != 0x0002  # noqa: PLR2004 - the group of the file meta information


def _binary(file: BoundedReader) -> BinaryIO:
    """The type that pydicom's readers are annotated with; they read, seek and tell only."""
    return cast("BinaryIO", file)
