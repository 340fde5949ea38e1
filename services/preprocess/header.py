"""What a DICOM file says about itself, read from its first bytes and before any pixel is decoded."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from pydicom import uid
from pydicom.dataset import Dataset

from services.common.tensors import Buffer
from services.preprocess.contrast_agent import frame_contrast_tags
from services.preprocess.dataset_reader import (
    BoundedReader,
    PixelDataRange,
    pydicom_silenced,
    read_file_meta,
    read_until_pixel_data,
    sequence_items,
)
from services.preprocess.element_values import binary, integer, text, texts, unsigned_short
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.frame_header import FrameHeader, frame_datasets, frame_header

MAX_SIDE: Final = 4096
MAX_FRAMES: Final = 2000

NATIVE: Final = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian})
JPEG_2000: Final = frozenset({uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})
SUPPORTED: Final = NATIVE | JPEG_2000 | {uid.RLELossless, *uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes}

# RSNA's files name no class, only the modality.
CT_CLASSES: Final = frozenset(
    {uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage}
)


class FrameFormat(NamedTuple):
    """What a decoder needs to know of a compressed frame."""

    transfer_syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """All that ordering, acceptance and decoding need. Empty text and None stand for what the file does not say.

    `slices` are the numbers of the `frames` that are axial slices, counted from 0.
    """

    transfer_syntax: str
    little_endian: bool
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    body_part_examined: str
    contrast_tags: tuple[str, ...]
    instance_number: int | None
    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    pixel_padding: tuple[int, int] | None
    number_of_frames: int
    frames: tuple[FrameHeader, ...]
    axial_frames: tuple[int, ...]
    pixel_data: PixelDataRange
    extended_offsets: tuple[bytes, bytes] | None

    @property
    def is_ct_slice(self) -> bool:
        """Whether these are grey CT pixels; localizers, secondary captures and other modalities are not."""
        is_ct = self.samples_per_pixel == 1 and _is_ct(
            self.sop_class_uid, self.modality, self.photometric_interpretation
        )
        return is_ct and not all(frame.is_localizer for frame in self.frames)

    @property
    def native(self) -> bool:
        """Whether the pixels are uncompressed."""
        return self.transfer_syntax in NATIVE

    @property
    def frame_format(self) -> FrameFormat:
        """What a decoder needs to know."""
        return FrameFormat(
            self.transfer_syntax, self.rows, self.columns, self.bits_allocated, self.bits_stored, self.signed
        )

    @property
    def frame_bytes(self) -> int:
        """The size of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def read_header(head: Buffer, size: int) -> DicomHeader:
    """Read a file's header from its first bytes.

    Parameters
    ----------
    head : the file's first bytes, or all of them
    size : bytes of the whole file

    Raises
    ------
    UnreadableFile
        this is no DICOM image, or one that cannot be used
    IncompleteHeader
        the pixel data begins after the end of `head`, and the file is longer
    """
    data = memoryview(head)
    if size == 0:
        raise UnreadableFile("empty_file")
    file, whole = BoundedReader(data), len(data) >= size
    try:
        with pydicom_silenced():
            header = _read(file, whole=whole)
    except (UnreadableFile, IncompleteHeader):
        raise
    except Exception:  # noqa: BLE001 - a border: whatever a malformed file provokes, its words stay here
        if file.ended and not whole:
            raise IncompleteHeader from None
        raise UnreadableFile(file.fault or "corrupt_header") from None
    if header.is_ct_slice:
        try:
            _check(header, size)
        except UnreadableFile as failure:
            failure.uids = header.study_instance_uid, header.series_instance_uid
            raise
    return header


def _read(file: BoundedReader, *, whole: bool) -> DicomHeader:
    meta, syntax = read_file_meta(file)
    stated = text(meta, "MediaStorageSOPClassUID")
    if stated == uid.MediaStorageDirectoryStorage:
        raise UnreadableFile("dicomdir")
    foreign = stated not in {"", *CT_CLASSES}
    if syntax not in SUPPORTED:
        raise UnreadableFile("not_a_ct_slice" if foreign else "unsupported_syntax")
    dataset, pixels = read_until_pixel_data(file, syntax)
    if pixels:
        try:
            return _header(file, dataset, pixels, syntax)
        except UnreadableFile as failure:
            raise _in_its_series(failure, dataset) from None
    if "DirectoryRecordSequence" in dataset:
        raise UnreadableFile("dicomdir")
    if not whole:  # what is no CT by its class is not worth sending
        raise (UnreadableFile("not_a_ct_slice") if foreign else IncompleteHeader)
    is_ct = (text(dataset, "SOPClassUID") or stated) in CT_CLASSES or text(dataset, "Modality") == "CT"
    raise UnreadableFile("truncated" if file.cut or is_ct else "not_an_image")


def _header(file: BoundedReader, dataset: Dataset, pixels: PixelDataRange, syntax: str) -> DicomHeader:
    frame_count = integer(dataset, "NumberOfFrames") or 1
    if frame_count < 1:
        raise UnreadableFile("unreadable_tag", "NumberOfFrames")
    datasets = tuple(frame_datasets(file, dataset, min(frame_count, MAX_FRAMES)))
    frames = tuple(map(frame_header, datasets))
    bits_allocated = _one_of(dataset, "BitsAllocated", (16, 8, 32, 64))
    bits_stored = _short(dataset, "BitsStored", bits_allocated)
    offsets = binary(dataset, "ExtendedOffsetTable"), binary(dataset, "ExtendedOffsetTableLengths")
    return DicomHeader(
        transfer_syntax=syntax,
        little_endian=syntax != uid.ExplicitVRBigEndian,
        sop_class_uid=text(dataset, "SOPClassUID"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        series_instance_uid=text(dataset, "SeriesInstanceUID"),
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        modality=text(dataset, "Modality").upper(),
        body_part_examined=_body_part(file, datasets[0]).upper(),
        contrast_tags=frame_contrast_tags(file, datasets),
        instance_number=integer(dataset, "InstanceNumber"),
        rows=_short(dataset, "Rows", 0),
        columns=_short(dataset, "Columns", 0),
        samples_per_pixel=_samples(dataset),
        photometric_interpretation=text(dataset, "PhotometricInterpretation"),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=_short(dataset, "HighBit", bits_stored - 1),
        signed=_one_of(dataset, "PixelRepresentation", (0, 1)) == 1,
        pixel_padding=_padding(dataset),
        number_of_frames=frame_count,
        frames=frames,
        axial_frames=tuple(number for number, frame in enumerate(frames) if frame.is_slice),
        pixel_data=pixels,
        extended_offsets=offsets if all(offsets) else None,
    )


def _body_part(file: BoundedReader, frame: Dataset) -> str:
    """BodyPartExamined, or else what the anatomic region is called, as enhanced files have it (PS3.3 C.7.6.16.2.8)."""
    regions = sequence_items(file, frame, "AnatomicRegionSequence")[:1]
    return text(frame, "BodyPartExamined") or next((text(region, "CodeMeaning") for region in regions), "")


def _in_its_series(failure: UnreadableFile, dataset: Dataset) -> UnreadableFile:
    """The failure with its series' UIDs; what is no CT slice by its words is set aside, whatever its numbers."""
    localizer = "LOCALIZER" in map(str.upper, texts(dataset, "ImageType"))
    named = (text(dataset, keyword) for keyword in ("SOPClassUID", "Modality", "PhotometricInterpretation"))
    sop_class_uid, modality, photometric = named
    if localizer or not _is_ct(sop_class_uid, modality.upper(), photometric):
        return UnreadableFile("not_a_ct_slice")
    failure.uids = text(dataset, "StudyInstanceUID"), text(dataset, "SeriesInstanceUID")
    return failure


def _is_ct(sop_class_uid: str, modality: str, photometric: str) -> bool:
    is_ct = sop_class_uid in CT_CLASSES if sop_class_uid else modality == "CT"
    grey = photometric in ("", "MONOCHROME1", "MONOCHROME2")
    return is_ct and grey and modality in ("", "CT")


def _short(dataset: Dataset, keyword: str, absent: int) -> int:
    found = unsigned_short(dataset, keyword)
    return absent if found is None else found


def _one_of(dataset: Dataset, keyword: str, known: tuple[int, ...]) -> int:
    """One of the values that the standard knows; the first of them where the tag is absent."""
    found = _short(dataset, keyword, known[0])
    if found not in known:
        raise UnreadableFile("unreadable_tag", keyword)
    return found


def _samples(dataset: Dataset) -> int:
    """SamplesPerPixel, which must be 1 where PhotometricInterpretation is grey (PS3.3 C.7.6.3.1.1)."""
    grey = text(dataset, "PhotometricInterpretation").startswith("MONOCHROME")
    return _one_of(dataset, "SamplesPerPixel", (1,) if grey else (1, 3, 4))


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    """PixelPaddingValue and PixelPaddingRangeLimit as 16-bit patterns (PS3.3 C.7.5.1.1.2)."""
    value = unsigned_short(dataset, "PixelPaddingValue")
    limit = unsigned_short(dataset, "PixelPaddingRangeLimit")
    return None if value is None else (value, value if limit is None else limit)


def _check(header: DicomHeader, size: int) -> None:
    """Refuse what would be decoded in vain, or at too great a cost."""
    if max(header.rows, header.columns) > MAX_SIDE or header.number_of_frames > MAX_FRAMES:
        raise UnreadableFile("too_large")
    shift = header.high_bit + 1 - header.bits_stored
    bits_fit = 0 < header.bits_stored <= header.bits_allocated - shift and shift >= 0
    if not (header.rows and header.columns and bits_fit and header.bits_allocated in (8, 16)):
        raise UnreadableFile("corrupt_header")
    if header.native == header.pixel_data.undefined_length:
        raise UnreadableFile("corrupt_pixels")
    held = min(header.pixel_data.stop, size) - header.pixel_data.start
    wanted = header.frame_bytes * header.number_of_frames
    if header.native and held < wanted:
        raise UnreadableFile("truncated")
    behind = size - header.pixel_data.stop  # padding, a signature and private data are shorter than a frame
    if header.native and (held - wanted >= header.columns * header.bits_allocated // 8 or behind >= header.frame_bytes):
        raise UnreadableFile("surplus_pixels")
