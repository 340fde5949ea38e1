"""DICOM files to Hounsfield units in patient orientation. pydicom's decoders see one compressed frame at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from services.common.orientation import IDENTITY, InPlaneTransform
from services.common.tensors import Buffer
from services.preprocess.codestream import check_codestream
from services.preprocess.dataset_reader import BoundedReader, pydicom_silenced
from services.preprocess.decompression import Decompress, decompress_in_process
from services.preprocess.encapsulated_pixel_data import count_frames, is_followed_by_file, join_fragments
from services.preprocess.errors import UnreadableFile
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import read_header
from services.preprocess.modality_lut import apply_modality_lut, stored_pixel_format
from services.preprocess.resample import apply_transform
from services.preprocess.slice_geometry import patient_orientation


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One decoded frame, brought into patient orientation by `transform`.

    hu : (rows, columns) int16, Hounsfield units; rows run towards the patient's left, columns towards the back
    row_spacing_mm, column_spacing_mm : of `hu`
    notes : codes of rules of acceptance
    """

    hu: NDArray[np.int16]
    row_spacing_mm: float
    column_spacing_mm: float
    compressed: bool
    notes: tuple[str, ...]
    transform: InPlaneTransform = IDENTITY


class PartialFile(NamedTuple):
    """The parts of a file that were sent: the bytes before its pixels, then the pixels from byte `pixels_from`.

    Of compressed pixels, these are the fragments of one frame, the only one that can be decoded.

    size : bytes of the whole file
    """

    size: int
    pixels_from: int


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file whose header is read: its frames can be decoded in any order, from several threads.

    skipped : bytes missing at the start of the pixels; of uncompressed ones a multiple of a frame's, and the end may be
        missing too; of compressed ones, all but the fragments of one frame are missing
    """

    header: DicomHeader
    data: memoryview
    skipped: int = 0

    def decode(self, frame: int, decompress: Decompress = decompress_in_process) -> DecodedFrame:
        """Decode one frame and bring it into patient orientation.

        Parameters
        ----------
        frame : counted from 0
        decompress : decompresses an encapsulated frame

        Raises
        ------
        UnreadableFile
            the file is no CT slice, or its pixels are incomplete or corrupt
        """
        if not 0 <= frame < self.header.number_of_frames:
            raise UnreadableFile("truncated")
        if not self.header.is_ct_slice or self.header.frames[frame].is_localizer:
            raise UnreadableFile("not_a_ct_slice")
        stored = self._native(frame) if self.header.native else self._decompressed(frame, decompress)
        frame_header, pixel_format = self.header.frames[frame], stored_pixel_format(self.header, frame)
        transform, row_spacing_mm, column_spacing_mm = patient_orientation(frame_header)
        return DecodedFrame(
            hu=apply_transform(self._hounsfield(stored, frame), transform),
            row_spacing_mm=row_spacing_mm,
            column_spacing_mm=column_spacing_mm,
            compressed=not self.header.native,
            notes=("intercept_repaired",) if pixel_format.faulty_intercept else (),
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
        """The fragments of one frame, by the basic or extended offset table (PS3.5 A.4); all fragments of a part."""
        if self.skipped:
            return join_fragments(self.data, self.header.pixel_data.start)
        header, file = self.header, BoundedReader(self.data, self.header.pixel_data.start, len(self.data))
        try:
            with pydicom_silenced():
                codestream = get_frame(
                    file, frame, extended_offsets=header.extended_offsets, number_of_frames=header.number_of_frames
                )
        except Exception:  # noqa: BLE001 - boundary: messages about malformed fragments may quote them
            raise UnreadableFile(file.fault or "corrupt_pixels") from None
        if file.cut:
            raise UnreadableFile("truncated")
        return codestream

    def _hounsfield(self, stored: NDArray[np.unsignedinteger], frame: int) -> NDArray[np.int16]:
        """Apply the modality LUT. Of the two readings of MONOCHROME1, take the one with air around the picture.

        PS3.3 C.7.6.3.1.2 inverts the display only; converters often inverted the values as well.
        """
        pixel_format = stored_pixel_format(self.header, frame)
        hu = apply_modality_lut(stored, pixel_format)
        if self.header.photometric_interpretation != "MONOCHROME1":
            return hu
        inverted = apply_modality_lut(stored, replace(pixel_format, inverted=True))
        return inverted if _border_hu(inverted) < _border_hu(hu) else hu


def open_dicom(
    file: Buffer, partial: PartialFile | None = None, read: Callable[[Buffer, int], DicomHeader] = read_header
) -> DicomFile:
    """Read the header of a whole file, or of the parts sent.

    Parameters
    ----------
    read : reads a header from bytes of a file, and the size of the whole file

    Raises
    ------
    UnreadableFile
        the file is no DICOM image, or an unusable one
    IncompleteHeader
        the bytes end before the pixels begin
    """
    data = memoryview(file)
    if partial is None:
        return _whole(read(data, len(data)), data)
    header = read(data, partial.size)
    return DicomFile(header, data, partial.pixels_from - header.pixel_data.start)


def _whole(header: DicomHeader, data: memoryview) -> DicomFile:
    if header.is_ct_slice and not header.native:
        frames = count_frames(data, header.pixel_data.start, header.transfer_syntax)
        if frames > header.number_of_frames or is_followed_by_file(data, header.pixel_data.start):
            raise UnreadableFile("surplus_pixels")
    return DicomFile(header, data)


def decode_frame(file: Buffer, frame: int) -> DecodedFrame:
    """Decode one frame, counted from 0, of a whole file; for several frames, call `open_dicom` once.

    Raises
    ------
    UnreadableFile
        for every fault; no other exception leaves this function
    """
    return open_dicom(file).decode(frame)


def _border_hu(hu: NDArray[np.int16]) -> float:
    return float(np.median(np.concatenate([hu[0], hu[-1], hu[:, 0], hu[:, -1]])))
