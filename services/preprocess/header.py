"""What a DICOM file says about itself, read from its first bytes and before any pixel is decoded."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from services.common.tensors import Buffer
from services.preprocess import tags
from services.preprocess.elements import PIXELS, Element, Ended, Reader, TooManyElements
from services.preprocess.failures import HeaderGoesOn, Unreadable
from services.preprocess.fields import Fields
from services.preprocess.frames import FrameHeader, frame_fields, frame_header
from services.preprocess.part10 import JPEG_EXTENDED, NATIVE, encoding_of, file_meta, first_element

MAX_SIDE: Final = 4096
MAX_FRAMES: Final = 2000

# CT, enhanced CT and legacy converted enhanced CT. RSNA's files name no class, only the modality.
CT_CLASSES: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("2", "2.1", "2.2"))
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_NO_CONTRAST: Final = frozenset({"", "NONE", "NO", "N", "0", "NO CONTRAST", "WITHOUT", "WITHOUT CONTRAST", "NATIVE"})


class Codec(NamedTuple):
    """What a decoder needs to know of a compressed frame."""

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Header:
    """All that ordering, acceptance and decoding need. Empty text and None stand for what the file does not say."""

    syntax: str
    little_endian: bool
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    modality: str
    image_type: tuple[str, ...]
    body_part: str
    kernel: str
    contrast: bool
    kvp: float | None
    instance_number: int | None
    slice_thickness_mm: float | None
    slice_spacing_mm: float | None
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None
    frame_count: int
    frames: tuple[FrameHeader, ...]
    pixels: Element

    @property
    def is_ct_slice(self) -> bool:
        """Whether these are grey CT pixels; localizers, secondary captures and other modalities are not."""
        is_ct = self.sop_class_uid in CT_CLASSES if self.sop_class_uid else self.modality == "CT"
        grey = self.samples == 1 and self.photometric in ("", "MONOCHROME1", "MONOCHROME2")
        return is_ct and grey and self.modality in ("", "CT") and "LOCALIZER" not in self.image_type

    @property
    def native(self) -> bool:
        """Whether the pixels are uncompressed."""
        return self.syntax in NATIVE

    @property
    def codec(self) -> Codec:
        """What a decoder needs to know."""
        return Codec(self.syntax, self.rows, self.columns, self.bits_allocated, self.bits_stored, self.signed)

    @property
    def frame_bytes(self) -> int:
        """The size of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def read_header(head: Buffer, size: int) -> Header:
    """Read a file's header from its first bytes.

    Parameters
    ----------
    head : the file's first bytes, or all of them
    size : bytes of the whole file

    Raises
    ------
    Unreadable
        this is no DICOM image, or one that cannot be used
    HeaderGoesOn
        the pixel data begins after the end of `head`, and the file is longer
    """
    data = memoryview(head)
    if size == 0:
        raise Unreadable("empty_file")
    try:
        header = _parse(data, whole=len(data) >= size)
    except (Unreadable, HeaderGoesOn):
        raise
    except TooManyElements:
        raise Unreadable("too_large") from None
    except Ended:
        raise (Unreadable("truncated") if len(data) >= size else HeaderGoesOn) from None
    except Exception:  # noqa: BLE001 - a border: whatever a malformed file provokes, its words stay here
        raise Unreadable("corrupt_header") from None
    if header.is_ct_slice:
        _check(header, size)
    return header


def _parse(data: memoryview, *, whole: bool) -> Header:
    meta, start = file_meta(data, first_element(data))
    if meta.text(tags.MEDIA_STORAGE_SOP_CLASS_UID) == _DIRECTORY:
        raise Unreadable("dicomdir")
    foreign = meta.text(tags.MEDIA_STORAGE_SOP_CLASS_UID) not in {"", *CT_CLASSES}
    syntax, encoding = encoding_of(meta.text(tags.TRANSFER_SYNTAX_UID), data, start, foreign=foreign)
    reader = Reader(data, encoding)
    try:
        fields = Fields(reader, {element.tag: element for element in reader.elements(start, len(data))})
    except Ended:
        # Not worth sending the whole of it: its class says that it is no CT.
        raise (Unreadable("not_a_ct_slice") if foreign and not whole else Ended) from None
    pixels = fields.last
    if pixels is not None and pixels.tag in PIXELS:
        return _header(fields, pixels, syntax)
    if tags.DIRECTORY_RECORD_SEQUENCE in fields.elements:
        raise Unreadable("dicomdir")
    if not whole:
        raise HeaderGoesOn
    raise Unreadable("truncated" if fields.text(tags.SOP_CLASS_UID) in CT_CLASSES else "not_an_image")


def _header(fields: Fields, pixels: Element, syntax: str) -> Header:
    frame_count = max(int(fields.number(tags.NUMBER_OF_FRAMES) or 1), 1)
    frames = list(frame_fields(fields, min(frame_count, MAX_FRAMES)))
    first = frames[0]
    bits_allocated = fields.short(tags.BITS_ALLOCATED) or 16
    bits_stored = fields.short(tags.BITS_STORED) or bits_allocated
    instance_number = fields.number(tags.INSTANCE_NUMBER)
    return Header(
        syntax=syntax,
        little_endian=fields.reader.encoding.little,
        sop_class_uid=fields.text(tags.SOP_CLASS_UID),
        sop_instance_uid=fields.text(tags.SOP_INSTANCE_UID),
        series_uid=fields.text(tags.SERIES_INSTANCE_UID),
        study_uid=fields.text(tags.STUDY_INSTANCE_UID),
        modality=fields.text(tags.MODALITY).upper(),
        image_type=tuple(part.upper() for part in fields.texts(tags.IMAGE_TYPE)),
        body_part=fields.text(tags.BODY_PART_EXAMINED).upper(),
        kernel=first.text(tags.CONVOLUTION_KERNEL),
        contrast=_contrast(fields),
        kvp=first.number(tags.KVP),
        instance_number=None if instance_number is None else int(instance_number),
        slice_thickness_mm=first.number(tags.SLICE_THICKNESS),
        slice_spacing_mm=first.number(tags.SPACING_BETWEEN_SLICES),
        rows=fields.short(tags.ROWS) or 0,
        columns=fields.short(tags.COLUMNS) or 0,
        samples=fields.short(tags.SAMPLES_PER_PIXEL) or 1,
        photometric=fields.text(tags.PHOTOMETRIC_INTERPRETATION),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=fields.short(tags.HIGH_BIT) or bits_stored - 1,
        signed=fields.short(tags.PIXEL_REPRESENTATION) == 1,
        padding=_padding(fields),
        frame_count=frame_count,
        frames=tuple(frame_header(frame) for frame in frames),
        pixels=pixels,
    )


def _padding(fields: Fields) -> tuple[int, int] | None:
    """PixelPaddingValue and PixelPaddingRangeLimit as 16-bit patterns (PS3.3 C.7.5.1.1.2)."""
    value = fields.short(tags.PIXEL_PADDING_VALUE)
    limit = fields.short(tags.PIXEL_PADDING_RANGE_LIMIT)
    return None if value is None else (value, value if limit is None else limit)


def _contrast(fields: Fields) -> bool:
    agent = fields.text(tags.CONTRAST_BOLUS_AGENT).upper()
    return agent not in _NO_CONTRAST or any(fields.items(tags.CONTRAST_BOLUS_AGENT_SEQUENCE))


def _check(header: Header, size: int) -> None:
    """Refuse what would be decoded in vain, or at too great a cost."""
    if max(header.rows, header.columns) > MAX_SIDE or header.frame_count > MAX_FRAMES:
        raise Unreadable("too_large")
    shift = header.high_bit + 1 - header.bits_stored
    bits_fit = 0 < header.bits_stored <= header.bits_allocated - shift and shift >= 0
    if not (header.rows and header.columns and bits_fit and header.bits_allocated in (8, 16)):
        raise Unreadable("corrupt_header")
    if header.syntax == JPEG_EXTENDED and header.bits_stored > 8:  # noqa: PLR2004 - gdcm decodes no more of it
        raise Unreadable("unsupported_syntax")
    if header.native == header.pixels.undefined:
        raise Unreadable("corrupt_pixels")
    held = min(header.pixels.stop, size) - header.pixels.start
    if header.native and held < header.frame_bytes * header.frame_count:
        raise Unreadable("truncated")
