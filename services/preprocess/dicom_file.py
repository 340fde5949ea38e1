"""DICOM files to Hounsfield units. pydicom and its decoders see what is compressed, a frame at a time, and no more."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from imagecodecs import jpeg8_decode
from numpy.typing import NDArray
from openjpeg.utils import decode as decode_jpeg_2000
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from services.common.tensors import Buffer
from services.preprocess.codestream import check_codestream
from services.preprocess.dataset_reader import BoundedReader, pydicom_silenced
from services.preprocess.encapsulated_pixel_data import count_frames, is_followed_by_file
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.geometry import IDENTITY, InPlaneTransform, to_patient_orientation
from services.preprocess.header import JPEG_2000, DicomHeader, FrameFormat, read_header
from services.preprocess.modality_lut import apply_modality_lut, stored_pixel_format
from services.preprocess.resample import apply_transform, usable_spacing_mm

__all__ = [
    "DecodedFrame",
    "DicomFile",
    "DicomHeader",
    "IncompleteHeader",
    "PartialFile",
    "UnreadableFile",
    "decode_frame",
    "open_dicom",
    "read_header",
]

_PLUGINS: Final[dict[str, str]] = {
    **dict.fromkeys(JPEGTransferSyntaxes, "gdcm"),
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    RLELossless: "pydicom",
}
_UNSIGNED: Final = {1: np.uint8, 2: np.uint16}  # by bytes; CT has no more

Decompress = Callable[[bytes, FrameFormat], NDArray[np.unsignedinteger]]


def decompress_in_process(codestream: bytes, codec: FrameFormat) -> NDArray[np.unsignedinteger]:
    """Decode one frame in this process. A decoder may abort it: gdcm does on some corrupt JPEGs.

    Returns
    -------
    (rows, columns) uint8 or uint16, the bits of the stored values

    Raises
    ------
    UnreadableFile
        the frame cannot be decoded
    """
    try:
        # pydicom reaches openjpeg only through one more package, so it is called at first hand.
        if codec.transfer_syntax in JPEG_2000:
            stored = decode_jpeg_2000(codestream)
        elif codec.transfer_syntax == JPEGExtended12Bit and codec.bits_stored > 8:  # noqa: PLR2004 - gdcm decodes no more of it
            stored = jpeg8_decode(codestream)
        else:
            stored = _by_pydicom(codestream, codec)
        bits: NDArray[np.unsignedinteger] = stored.view(_UNSIGNED[stored.itemsize])
        return bits.reshape(codec.rows, codec.columns)
    except Exception:  # noqa: BLE001 - a border: whatever a decoder says of malformed pixels, its words stay here
        raise UnreadableFile("corrupt_pixels") from None


def _by_pydicom(codestream: bytes, codec: FrameFormat) -> NDArray[np.integer]:
    options: dict[str, Any] = {
        "rows": codec.rows,
        "columns": codec.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": codec.bits_allocated,
        "bits_stored": codec.bits_stored,
        "pixel_representation": int(codec.signed),
        "pixel_keyword": "PixelData",
        "decoding_plugin": _PLUGINS[codec.transfer_syntax],
    }
    stored, _ = get_decoder(codec.transfer_syntax).as_array(encapsulate([codestream]), index=0, **options)
    return stored


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One decoded frame, its pixels brought into patient orientation by `transform`.

    `hu` is (rows, columns) int16, Hounsfield units: along a row towards the patient's left, down a column towards the
    back. The spacings are those of `hu`. `notes` are codes of acceptance's rules.
    """

    hu: NDArray[np.int16]
    row_spacing_mm: float
    column_spacing_mm: float
    compressed: bool
    notes: tuple[str, ...]
    transform: InPlaneTransform = IDENTITY


class PartialFile(NamedTuple):
    """What was sent of a file: all up to its pixels, then those from byte `pixels_from` of the `size` bytes on."""

    size: int
    pixels_from: int


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file whose header is read: its frames can be decoded in any order, from several threads.

    Of uncompressed pixels the first `skipped` bytes, whole frames, may be missing, and any at the end.
    """

    header: DicomHeader
    data: memoryview
    skipped: int = 0

    def decode(self, frame: int, decompress: Decompress = decompress_in_process) -> DecodedFrame:
        """Decode one frame, and bring it into patient orientation.

        Parameters
        ----------
        frame : counted from 0
        decompress : where to decode what is compressed; in this process, unless told

        Raises
        ------
        UnreadableFile
            the file is no CT slice, its pixels are not all there, or cannot be decoded
        """
        if not 0 <= frame < self.header.number_of_frames:
            raise UnreadableFile("truncated")
        if not self.header.is_ct_slice or self.header.frames[frame].is_localizer:
            raise UnreadableFile("not_a_ct_slice")
        stored = self._native(frame) if self.header.native else self._decompressed(frame, decompress)
        found, how = self.header.frames[frame], stored_pixel_format(self.header, frame)
        transform = to_patient_orientation(found.image_orientation)
        spacing_mm = usable_spacing_mm(found.row_spacing_mm, found.column_spacing_mm)
        row_spacing_mm, column_spacing_mm = reversed(spacing_mm) if transform.transpose else spacing_mm
        return DecodedFrame(
            hu=apply_transform(self._hounsfield(stored, frame), transform),
            row_spacing_mm=row_spacing_mm,
            column_spacing_mm=column_spacing_mm,
            compressed=not self.header.native,
            notes=("intercept_repaired",) if how.faulty_intercept else (),
            transform=transform,
        )

    def _native(self, frame: int) -> NDArray[np.unsignedinteger]:
        header = self.header
        dtype = np.dtype(f"{'<' if header.little_endian else '>'}u{header.bits_allocated // 8}")
        start = header.pixel_data.start + frame * header.frame_bytes - self.skipped
        whole_frames = self.skipped >= 0 and self.skipped % header.frame_bytes == 0
        if not (whole_frames and header.pixel_data.start <= start <= len(self.data) - header.frame_bytes):
            raise UnreadableFile("truncated")
        flat = np.frombuffer(self.data, dtype, header.rows * header.columns, start)
        return flat.reshape(header.rows, header.columns)

    def _decompressed(self, frame: int, decompress: Decompress) -> NDArray[np.unsignedinteger]:
        codestream = self._codestream(frame)
        check_codestream(codestream, self.header.frame_format)
        return decompress(codestream, self.header.frame_format)

    def _codestream(self, frame: int) -> bytes:
        """One frame's fragments, found by whichever offset table there is (PS3.5 A.4)."""
        header, file = self.header, BoundedReader(self.data, self.header.pixel_data.start, len(self.data))
        try:
            with pydicom_silenced():
                codestream = get_frame(
                    file, frame, extended_offsets=header.extended_offsets, number_of_frames=header.number_of_frames
                )
        except Exception:  # noqa: BLE001 - a border: whatever malformed fragments provoke, its words stay here
            raise UnreadableFile(file.fault or "corrupt_pixels") from None
        if file.cut:
            raise UnreadableFile("truncated")
        return codestream

    def _hounsfield(self, stored: NDArray[np.unsignedinteger], frame: int) -> NDArray[np.int16]:
        """Look the values up; of MONOCHROME1's two uses in the wild, take the one with air around the picture.

        By PS3.3 C.7.6.3.1.2 only its display is inverted; converters that write it have often inverted the values.
        """
        how = stored_pixel_format(self.header, frame)
        hu = apply_modality_lut(stored, how)
        if self.header.photometric_interpretation != "MONOCHROME1":
            return hu
        mirrored = apply_modality_lut(stored, replace(how, inverted=True))
        return mirrored if _border_hu(mirrored) < _border_hu(hu) else hu


def open_dicom(file: Buffer, excerpt: PartialFile | None = None) -> DicomFile:
    """Read the header of a whole file, or of an excerpt of one.

    Raises
    ------
    UnreadableFile
        this is no DICOM image, or one that cannot be used
    IncompleteHeader
        the excerpt ends before the pixels begin
    """
    data = memoryview(file)
    if excerpt is None:
        return _whole(read_header(data, len(data)), data)
    header = read_header(data, excerpt.size)
    return DicomFile(header, data, excerpt.pixels_from - header.pixel_data.start)


def _whole(header: DicomHeader, data: memoryview) -> DicomFile:
    if header.is_ct_slice and not header.native:
        held = count_frames(data, header.pixel_data.start, header.transfer_syntax)
        if held > header.number_of_frames or is_followed_by_file(data, header.pixel_data.start):
            raise UnreadableFile("surplus_pixels")
    return DicomFile(header, data)


def decode_frame(file: Buffer, frame: int) -> DecodedFrame:
    """Decode one frame, counted from 0, of a whole file; for several frames, `open_dicom` once.

    Raises
    ------
    UnreadableFile
        for whatever reason; no other exception leaves this function
    """
    return open_dicom(file).decode(frame)


def _border_hu(hu: NDArray[np.int16]) -> float:
    return float(np.median(np.concatenate([hu[0], hu[-1], hu[:, 0], hu[:, -1]])))
