"""Files to slices: the work of the service without HTTP, also used by training and the command line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from types import MappingProxyType, TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from services.common.deadline import current_deadline
from services.common.file_codes import TOO_SLOW
from services.common.recipe import Recipe
from services.common.schemas import Evidence, HeadersReport
from services.common.tensors import Buffer
from services.preprocess import png
from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.dicom_file import DecodedFrame, DicomFile, PartialFile
from services.preprocess.errors import UnreadableFile
from services.preprocess.fair_threads import FairThreads
from services.preprocess.header_reader import read_header
from services.preprocess.hounsfield_png import encode_hounsfield
from services.preprocess.midline import find_midline
from services.preprocess.pixel_evidence import measure_png, measure_slice
from services.preprocess.resample import resample_and_pad
from services.preprocess.series import group_into_series
from services.preprocess.slab_averaging import InvalidSlabs, SliceMean, slab_rows
from services.preprocess.sources import ReadHeader, Source, open_source, places_of_frames, read_entries
from services.preprocess.windowing import apply_windows, could_be_windowed

Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
_NONE_PARTIAL: Final[Mapping[int, PartialFile]] = MappingProxyType({})


def _allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


@dataclass(frozen=True, slots=True)
class Slices:
    """Row i of `slices` and `pictures` is requested frame i, or slab i; item i of `evidence` is always frame i.

    `slices` is (m, 512, 512, 3) uint8. A slice that failed is black, its evidence has a code, and its picture is empty;
    the same holds for its slab.
    """

    slices: NDArray[np.uint8]
    evidence: list[Evidence]
    pictures: list[bytes]


@dataclass(frozen=True, slots=True)
class HounsfieldPictures:
    """Item i is of requested frame i: a 16-bit PNG, empty where the evidence has a code of a failure."""

    pictures: list[bytes]
    evidence: list[Evidence]


class Pipeline:
    """Makes slices by one recipe, in threads (numpy releases the interpreter's lock) and decoder processes.

    Concurrent requests take turns, slice by slice.

    Parameters
    ----------
    read : reads the header of a file, perhaps from a cache
    """

    def __init__(
        self,
        recipe: Recipe,
        threads: int,
        decoders: DecoderProcesses | None = None,
        read: ReadHeader = read_header,
    ) -> None:
        self.recipe = recipe
        self._read = read
        self._threads = FairThreads(threads)
        self._decoders = decoders or DecoderProcesses()

    def make_slices(  # noqa: PLR0913 - each is an option of the request
        self,
        files: Sequence[Buffer],
        frames: NDArray[np.int32],
        *,
        partial: Mapping[int, PartialFile] = _NONE_PARTIAL,
        slabs: NDArray[np.int32] | None = None,
        pictures: bool = False,
        midlines: bool = False,
        allocate: Allocate = _allocate,
    ) -> Slices:
        """Decode, resample and window the requested frames, or slabs of them.

        Parameters
        ----------
        files : whole files, except for `partial`
        frames : (m, 2) int32, file and frame of each slice, both counted from 0
        partial : by index in `files`, the parts that were sent
        slabs : (m,) int32, ascending from 0: frames of one slab are averaged in Hounsfield units
        pictures : also encode each slice as a PNG
        midlines : also find the head's midline in each slice; not in PNGs
        allocate : returns the array of the slices, uint8 of the given shape

        Raises
        ------
        IndexError
            `frames` holds an index beyond `files`
        InvalidSlabs
            `slabs` has not one number per frame, does not ascend, or covers a PNG
        DeadlineExceeded, ClientClosedRequest
            the current deadline ended the work: no further frame was begun, and decoders were killed
        """
        requested = [(int(file), int(frame)) for file, frame in frames]
        sources = self._open(files, requested, partial)
        rows = _rows(len(requested), slabs)
        if slabs is not None and any(isinstance(source, Buffer) for source in sources.values()):
            raise InvalidSlabs("a slab must not hold PNG slices")
        slices = allocate((len(rows), self.recipe.rows, self.recipe.columns, 3))

        too_slow = Event()  # the series is refused: its other slices need not be decoded

        def make(row: int) -> list[Evidence]:
            own = [(sources[file], frame) for file, frame in requested[rows[row].start : rows[row].stop]]
            if too_slow.is_set():
                slices[row] = 0
                return [Evidence(failed=TOO_SLOW)] * len(own)
            out = slices[row]
            if slabs is None:
                made = [self._make_slice(*own[0], out, midlines=midlines)]
            else:
                made = self._make_slab(own, out, midlines=midlines)
            if any(item.failed == TOO_SLOW for item in made):
                too_slow.set()
            return made

        made = self._threads.map(make, range(len(rows)))
        encoded = self._threads.map(lambda row: _picture(slices[row], made[row]), range(len(rows))) if pictures else []
        return Slices(slices, [item for row in made for item in row], encoded)

    def encode_hu(
        self, files: Sequence[Buffer], frames: NDArray[np.int32], partial: Mapping[int, PartialFile] = _NONE_PARTIAL
    ) -> HounsfieldPictures:
        """Decode the requested frames and encode their Hounsfield units, in patient orientation, not resampled.

        Takes and raises as `make_slices`.
        """
        requested = [(int(file), int(frame)) for file, frame in frames]
        sources = self._open(files, requested, partial)

        def encode(place: tuple[int, int]) -> tuple[bytes, str | None]:
            source, frame = sources[place[0]], place[1]
            try:
                return encode_hounsfield(self._decode(source, frame).hu), None
            except UnreadableFile as error:
                return b"", error.code

        made = self._threads.map(encode, requested)
        return HounsfieldPictures([picture for picture, _ in made], [Evidence(failed=code) for _, code in made])

    def _open(
        self, files: Sequence[Buffer], requested: Sequence[tuple[int, int]], partial: Mapping[int, PartialFile]
    ) -> dict[int, Source]:
        """The requested files with their headers read, by index."""
        used = {file for file, _ in requested}
        if any(not 0 <= file < len(files) for file in used):
            raise IndexError(f"frames must hold file indices from 0 to {len(files) - 1}")
        return {file: open_source(files[file], partial.get(file), self._read) for file in used}

    @staticmethod
    def read_headers(heads: Sequence[Buffer], sizes: Sequence[int], read: ReadHeader = read_header) -> HeadersReport:
        """Group files into series by their first bytes; files listed as `incomplete` must be sent whole.

        Parameters
        ----------
        sizes : bytes of each whole file
        """
        entries = read_entries(heads, sizes, read)
        sent = zip(heads, sizes, entries, strict=True)
        places = {number: places_of_frames(head, size, entry) for number, (head, size, entry) in enumerate(sent)}
        return group_into_series(entries, places)

    def report_on(self, files: Sequence[Buffer]) -> HeadersReport:
        """Group whole files into series by their headers."""
        return self.read_headers(files, [len(file) for file in files], self._read)

    def close(self) -> None:
        """End the threads and decoder processes, after the work in progress."""
        self._threads.close()
        self._decoders.close()

    def _make_slice(self, source: Source, frame: int, out: NDArray[np.uint8], *, midlines: bool) -> Evidence:
        """Write one slice into `out`, (512, 512, 3) uint8, and measure it."""
        try:
            return self._window(source, frame, out, midlines=midlines)
        except UnreadableFile as error:
            out[:] = 0
            return Evidence(failed=error.code)

    def _window(self, source: Source, frame: int, out: NDArray[np.uint8], *, midlines: bool) -> Evidence:
        if isinstance(source, Buffer):
            out[:] = png.decode(source)
            if not could_be_windowed(out, self.recipe):
                raise UnreadableFile("png_other_picture")
            return measure_png(out, self.recipe)
        hu, evidence = self._hounsfield(source, frame, midlines=midlines)
        apply_windows(hu, self.recipe, out)
        return evidence

    def _make_slab(
        self, frames: Sequence[tuple[Source, int]], out: NDArray[np.uint8], *, midlines: bool
    ) -> list[Evidence]:
        """Write the mean of frames into `out`, (512, 512, 3) uint8, and measure each frame."""
        mean, measured = SliceMean(self.recipe.rows, self.recipe.columns), []
        for source, frame in frames:
            current_deadline().check()
            try:
                hu, evidence = self._hounsfield(source, frame, midlines=midlines)
                mean.add(hu)
            except UnreadableFile as error:
                evidence = Evidence(failed=error.code)
            measured.append(evidence)
            if evidence.failed == TOO_SLOW:
                measured += [evidence] * (len(frames) - len(measured))
                break
        if any(item.failed for item in measured):
            out[:] = 0
        else:
            apply_windows(mean.hu(), self.recipe, out)
        return measured

    def _hounsfield(self, source: Source, frame: int, *, midlines: bool) -> tuple[NDArray[np.int16], Evidence]:
        """A frame resampled to (512, 512) int16 Hounsfield units, and its evidence from before resampling.

        The midline is that of the resampled picture.

        Pixels, slabs and the mapping back onto the source grid all start here.
        """
        image = self._decode(source, frame)
        spacing_mm = image.row_spacing_mm, image.column_spacing_mm
        resampled = resample_and_pad(image.hu, *spacing_mm, self.recipe.rows, self.recipe.columns)
        evidence = measure_slice(image.hu, compressed=image.compressed)
        return resampled, evidence.model_copy(update={"midline": find_midline(resampled)}) if midlines else evidence

    def _decode(self, source: Source, frame: int) -> DecodedFrame:
        if not isinstance(source, DicomFile):
            raise UnreadableFile(source.code if isinstance(source, UnreadableFile) else "not_dicom")
        return source.decode(frame, self._decoders.decompress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rows(frames: int, slabs: NDArray[np.int32] | None) -> list[range]:
    """The frames of each row of the slices."""
    if slabs is None:
        return [range(index, index + 1) for index in range(frames)]
    if slabs.shape != (frames,):
        raise InvalidSlabs(f"slabs must hold {frames} numbers, one per frame, not {len(slabs)}")
    return slab_rows(slabs)


def _picture(pixels: NDArray[np.uint8], evidence: Sequence[Evidence]) -> bytes:
    return b"" if any(item.failed for item in evidence) else png.encode(pixels)
