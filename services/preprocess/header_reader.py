"""Reads the header of a DICOM file from its first bytes, before any pixel is decoded."""

from hashlib import blake2b
from typing import Final, NamedTuple

from pydicom import uid
from pydicom.dataset import Dataset

from services.common.tensors import Buffer
from services.preprocess.contrast_agent import frame_contrast_tags
from services.preprocess.dataset_reader import (
    MAX_READS,
    BoundedReader,
    PixelDataRange,
    ReadBudget,
    pydicom_silenced,
    read_file_meta,
    read_until_pixel_data,
    sequence_items,
)
from services.preprocess.description import StoredTexts
from services.preprocess.element_values import binary, integer, text, texts, unsigned_short
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.frame_header import frame_datasets, frame_header
from services.preprocess.header import CT_CLASSES, SUPPORTED, DicomHeader, is_ct_image

MAX_SIDE: Final = 4096
MAX_FRAMES: Final = 2000
_DIGEST_BYTES: Final = 16


def read_header(head: Buffer, size: int, budget: ReadBudget | None = None) -> DicomHeader:
    """Read a file's header from its first bytes.

    Parameters
    ----------
    head : the file's first bytes, or all of them
    size : bytes of the whole file
    budget : of the request's headers

    Raises
    ------
    UnreadableFile
        the file is no DICOM image, or an unusable one, or the budget is used up
    IncompleteHeader
        the pixel data begins after the end of `head`, and the file is longer
    """
    return read_traced_header(head, size, budget).header


class TracedHeader(NamedTuple):
    """A header, and the part of the file that it depends on, beside the file's size.

    reached : number of first bytes; None where it depends on the number of bytes sent, too
    reads : taken from the budget
    """

    header: DicomHeader
    reached: int | None
    reads: int


def read_traced_header(head: Buffer, size: int, budget: ReadBudget | None = None) -> TracedHeader:
    """Read a header as `read_header` does, with the same errors."""
    data = memoryview(head)
    if size == 0:
        raise UnreadableFile("empty_file")
    reads = MAX_READS if budget is None else min(MAX_READS, budget.left)
    file, whole = BoundedReader(data, max_reads=reads), len(data) >= size
    try:
        with pydicom_silenced():
            header = _read(file, whole=whole)
    except (UnreadableFile, IncompleteHeader):
        raise
    except Exception:  # noqa: BLE001 - boundary: messages about a malformed file may quote it
        if file.ended and not whole:
            raise IncompleteHeader from None
        raise UnreadableFile(file.fault or "corrupt_header") from None
    finally:
        if budget:
            budget.left -= reads - max(file.reads_left, 0)
    if header.is_ct_slice:
        try:
            _check_pixel_data(header, size)
        except UnreadableFile as error:
            error.uids = header.study_instance_uid, header.series_instance_uid
            raise
    return TracedHeader(header, None if file.ended else file.reached, reads - file.reads_left)


def _read(file: BoundedReader, *, whole: bool) -> DicomHeader:
    meta, transfer_syntax = read_file_meta(file)
    media_class = text(meta, "MediaStorageSOPClassUID")
    if media_class == uid.MediaStorageDirectoryStorage:
        raise UnreadableFile("dicomdir")
    other_class = media_class not in {"", *CT_CLASSES}
    if transfer_syntax not in SUPPORTED:
        raise UnreadableFile("not_a_ct_slice" if other_class else "unsupported_syntax")
    dataset, pixel_data = read_until_pixel_data(file, transfer_syntax)
    if pixel_data:
        try:
            return _header(file, dataset, pixel_data, transfer_syntax)
        except UnreadableFile as error:
            raise _with_uids(error, dataset) from None
    if "DirectoryRecordSequence" in dataset:
        raise UnreadableFile("dicomdir")
    if not whole:  # a file of another class need not be sent whole
        raise (UnreadableFile("not_a_ct_slice") if other_class else IncompleteHeader)
    is_ct = (text(dataset, "SOPClassUID") or media_class) in CT_CLASSES or text(dataset, "Modality") == "CT"
    raise UnreadableFile("truncated" if file.cut or is_ct else "not_an_image")


def _header(file: BoundedReader, dataset: Dataset, pixel_data: PixelDataRange, transfer_syntax: str) -> DicomHeader:
    number_of_frames = integer(dataset, "NumberOfFrames") or 1
    if number_of_frames < 1:
        raise UnreadableFile("unreadable_tag", "NumberOfFrames")
    datasets = tuple(frame_datasets(file, dataset, min(number_of_frames, MAX_FRAMES)))
    frames = tuple(map(frame_header, datasets))
    bits_allocated = _one_of(dataset, "BitsAllocated", (16, 8, 32, 64))
    bits_stored = _short(dataset, "BitsStored", bits_allocated)
    offsets = binary(dataset, "ExtendedOffsetTable"), binary(dataset, "ExtendedOffsetTableLengths")
    return DicomHeader(
        transfer_syntax=transfer_syntax,
        little_endian=transfer_syntax != uid.ExplicitVRBigEndian,
        sop_class_uid=text(dataset, "SOPClassUID"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        series_instance_uid=text(dataset, "SeriesInstanceUID"),
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        patient=_patient(dataset),
        modality=text(dataset, "Modality").upper(),
        body_part_examined=_body_part(file, datasets[0]).upper(),
        contrast_tags=frame_contrast_tags(file, datasets),
        instance_number=integer(dataset, "InstanceNumber"),
        rows=_short(dataset, "Rows", 0),
        columns=_short(dataset, "Columns", 0),
        samples_per_pixel=_samples_per_pixel(dataset),
        photometric_interpretation=text(dataset, "PhotometricInterpretation"),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=_short(dataset, "HighBit", bits_stored - 1),
        signed=_one_of(dataset, "PixelRepresentation", (0, 1)) == 1,
        pixel_padding=_pixel_padding(dataset),
        number_of_frames=number_of_frames,
        frames=frames,
        axial_frames=tuple(number for number, frame in enumerate(frames) if frame.is_slice),
        pixel_data=pixel_data,
        extended_offsets=offsets if all(offsets) else None,
        texts=StoredTexts.of(dataset),
    )


def _patient(dataset: Dataset) -> str:
    patient_id = text(dataset, "PatientID").encode(errors="surrogatepass")
    return blake2b(patient_id, digest_size=_DIGEST_BYTES).hexdigest() if patient_id else ""


def _body_part(file: BoundedReader, frame: Dataset) -> str:
    """BodyPartExamined, or the anatomic region of an enhanced file (PS3.3 C.7.6.16.2.8)."""
    regions = sequence_items(file, frame, "AnatomicRegionSequence")[:1]
    return text(frame, "BodyPartExamined") or next((text(region, "CodeMeaning") for region in regions), "")


def _with_uids(error: UnreadableFile, dataset: Dataset) -> UnreadableFile:
    """The error with its UIDs; a file that is no CT slice by its texts is set aside, even with unreadable numbers."""
    localizer = "LOCALIZER" in map(str.upper, texts(dataset, "ImageType"))
    keywords = ("SOPClassUID", "Modality", "PhotometricInterpretation")
    sop_class_uid, modality, photometric_interpretation = (text(dataset, keyword) for keyword in keywords)
    if localizer or not is_ct_image(sop_class_uid, modality.upper(), photometric_interpretation):
        return UnreadableFile("not_a_ct_slice")
    error.uids = text(dataset, "StudyInstanceUID"), text(dataset, "SeriesInstanceUID")
    return error


def _short(dataset: Dataset, keyword: str, absent: int) -> int:
    found = unsigned_short(dataset, keyword)
    return absent if found is None else found


def _one_of(dataset: Dataset, keyword: str, defined: tuple[int, ...]) -> int:
    """A value that the standard defines; the first of `defined` where the tag is absent."""
    found = _short(dataset, keyword, defined[0])
    if found not in defined:
        raise UnreadableFile("unreadable_tag", keyword)
    return found


def _samples_per_pixel(dataset: Dataset) -> int:
    """SamplesPerPixel, which is 1 where PhotometricInterpretation is monochrome (PS3.3 C.7.6.3.1.1)."""
    monochrome = text(dataset, "PhotometricInterpretation").startswith("MONOCHROME")
    return _one_of(dataset, "SamplesPerPixel", (1,) if monochrome else (1, 3, 4))


def _pixel_padding(dataset: Dataset) -> tuple[int, int] | None:
    """PixelPaddingValue and PixelPaddingRangeLimit as 16-bit patterns (PS3.3 C.7.5.1.1.2)."""
    value = unsigned_short(dataset, "PixelPaddingValue")
    limit = unsigned_short(dataset, "PixelPaddingRangeLimit")
    return None if value is None else (value, value if limit is None else limit)


def _check_pixel_data(header: DicomHeader, size: int) -> None:
    """Refuse pixel data that cannot be decoded, or only at too great a cost.

    Raises
    ------
    UnreadableFile
        the size, the bits or the length of the pixel data contradict each other or exceed a limit
    """
    if max(header.rows, header.columns) > MAX_SIDE or header.number_of_frames > MAX_FRAMES:
        raise UnreadableFile("too_large")
    shift = header.high_bit + 1 - header.bits_stored
    bits_fit = 0 < header.bits_stored <= header.bits_allocated - shift and shift >= 0
    if not (header.rows and header.columns and bits_fit and header.bits_allocated in (8, 16)):
        raise UnreadableFile("corrupt_header")
    if header.native == header.pixel_data.undefined_length:
        raise UnreadableFile("corrupt_pixels")
    if header.native:
        _check_native_length(header, size)


def _check_native_length(header: DicomHeader, size: int) -> None:
    present = min(header.pixel_data.stop, size) - header.pixel_data.start
    expected = header.frame_bytes * header.number_of_frames
    if present < expected:
        raise UnreadableFile("truncated")
    row_bytes = header.columns * header.bits_allocated // 8
    trailing = size - header.pixel_data.stop  # padding, a signature and private data are shorter than a frame
    if present - expected >= row_bytes or trailing >= header.frame_bytes:
        raise UnreadableFile("surplus_pixels")
