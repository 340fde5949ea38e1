"""The header of a DICOM file as values: everything that ordering, acceptance and decoding need."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydicom import uid

from services.preprocess.dataset_reader import PixelDataRange
from services.preprocess.description import StoredTexts
from services.preprocess.frame_header import FrameHeader

NATIVE: Final = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian})
JPEG_2000: Final = frozenset({uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})
SUPPORTED: Final = NATIVE | JPEG_2000 | {uid.RLELossless, *uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes}

CT_CLASSES: Final = frozenset(
    {uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage}
)


class FrameFormat(NamedTuple):
    """The attributes of a compressed frame that its decoder needs."""

    transfer_syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """Attributes of a file, named by their DICOM keywords. Absent attributes are empty text or None.

    little_endian, signed : byte order of the transfer syntax, and PixelRepresentation
    patient : a digest of PatientID, which tells patients apart and names none; empty where it is absent
    contrast_tags : keywords of the tags that record contrast agent
    pixel_padding : PixelPaddingValue and PixelPaddingRangeLimit, as 16-bit patterns
    axial_frames : indices into `frames` of the axial slices, from 0
    texts : about the series and its patient, as stored
    extended_offsets : ExtendedOffsetTable and ExtendedOffsetTableLengths
    """

    transfer_syntax: str
    little_endian: bool
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    patient: str
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
    texts: StoredTexts = field(repr=False)

    @property
    def is_ct_slice(self) -> bool:
        """Whether these are greyscale CT pixels; localizers, secondary captures and other modalities are not."""
        greyscale = self.samples_per_pixel == 1
        is_ct = greyscale and is_ct_image(self.sop_class_uid, self.modality, self.photometric_interpretation)
        return is_ct and not all(frame.is_localizer for frame in self.frames)

    @property
    def native(self) -> bool:
        """Whether the pixels are uncompressed (PS3.5 A.4: native or encapsulated)."""
        return self.transfer_syntax in NATIVE

    @property
    def frame_format(self) -> FrameFormat:
        """The attributes that a decoder needs."""
        return FrameFormat(
            self.transfer_syntax, self.rows, self.columns, self.bits_allocated, self.bits_stored, self.signed
        )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def is_ct_image(sop_class_uid: str, modality: str, photometric_interpretation: str) -> bool:
    """Whether class, modality and photometric interpretation denote CT; the RSNA files have no class."""
    is_ct = sop_class_uid in CT_CLASSES if sop_class_uid else modality == "CT"
    greyscale = photometric_interpretation in ("", "MONOCHROME1", "MONOCHROME2")
    return is_ct and greyscale and modality in ("", "CT")
