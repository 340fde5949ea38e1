"""Files to slices: everything that the service does, without its HTTP. Training and the command line call it too."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import Recipe
from services.common.schemas import Evidence, HeadersReport
from services.common.tensors import Buffer
from services.preprocess import png
from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.dicom_file import DicomFile, PartialFile, open_dicom
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import read_header
from services.preprocess.pixel_evidence import measure_png, measure_slice
from services.preprocess.resample import resample_and_pad
from services.preprocess.series import PngEntry, group_into_series
from services.preprocess.slab_averaging import InvalidSlabs, SliceMean, slab_rows
from services.preprocess.windowing import apply_windows, could_be_windowed

Source = DicomFile | Buffer | UnreadableFile
_ALL_WHOLE: Final[Mapping[int, PartialFile]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Slices:
    """Row i of `slices` and `pictures` is the i-th wanted frame, or slab; item i of `evidence` always the i-th frame.

    `slices` is (m, 512, 512, 3) uint8. A slice that failed is black, its evidence says why, and its picture is empty;
    so is the slab that it belongs to.
    """

    slices: NDArray[np.uint8]
    evidence: list[Evidence]
    pictures: list[bytes]


class Pipeline:
    """Makes slices by one recipe, on its own threads, for numpy leaves the interpreter free, and decoders."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        self.recipe = recipe
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="slices")
        self._decoders = DecoderProcesses()

    def make_slices(
        self,
        files: Sequence[Buffer],
        frames: NDArray[np.int32],
        *,
        excerpts: Mapping[int, PartialFile] = _ALL_WHOLE,
        slabs: NDArray[np.int32] | None = None,
        pictures: bool = False,
    ) -> Slices:
        """Decode, fit and render the wanted frames, or slabs of them.

        Parameters
        ----------
        files : whole files, but for `excerpts`
        frames : (m, 2) int32, file and frame of each wanted slice, both counted from 0
        excerpts : what was sent of a file, counted from 0, that is not whole
        slabs : (m,) int32, ascending from 0: frames of one slab are averaged in Hounsfield units, and the slab is shown
        pictures : whether to encode each slice as a PNG too

        Raises
        ------
        IndexError
            `frames` names a file that is not there
        InvalidSlabs
            `slabs` are not as many as frames or do not ascend, or an uploaded picture is in one
        """
        wanted = [(int(file), int(frame)) for file, frame in frames]
        if any(not 0 <= file < len(files) for file, _ in wanted):
            raise IndexError("frames name a file that was not sent")
        sources = {file: _source(files[file], excerpts.get(file)) for file in {file for file, _ in wanted}}
        rows = _rows(len(wanted), slabs)
        if slabs is not None and not all(
            isinstance(source, (DicomFile, UnreadableFile)) for source in sources.values()
        ):
            raise InvalidSlabs("pictures have no place in a slab")
        slices = np.empty((len(rows), self.recipe.rows, self.recipe.columns, 3), dtype=np.uint8)

        def make(row: int) -> list[Evidence]:
            own = [(sources[file], frame) for file, frame in wanted[rows[row].start : rows[row].stop]]
            return [self._make(*own[0], slices[row])] if slabs is None else self._average(own, slices[row])

        made = list(self._threads.map(make, range(len(rows))))
        shown = self._threads.map(_picture, slices, made) if pictures else ()
        return Slices(slices, [item for row in made for item in row], list(shown))

    @staticmethod
    def read_headers(heads: Sequence[Buffer], sizes: Sequence[int]) -> HeadersReport:
        """What the first bytes of each file, whose whole size is given, tell about series.

        The files listed as `incomplete` are to be sent whole.
        """
        return group_into_series([_entry(head, size) for head, size in zip(heads, sizes, strict=True)])

    def close(self) -> None:
        """End the threads and decoders, after the work in hand."""
        self._threads.shutdown()
        self._decoders.close()

    def _make(self, source: Source, frame: int, out: NDArray[np.uint8]) -> Evidence:
        """Write one slice into `out`, (512, 512, 3) uint8, and measure it."""
        try:
            return self._render(source, frame, out)
        except UnreadableFile as failure:
            out[:] = 0
            return Evidence(failed=failure.code)

    def _render(self, source: Source, frame: int, out: NDArray[np.uint8]) -> Evidence:
        if isinstance(source, UnreadableFile):
            raise UnreadableFile(source.code)
        if not isinstance(source, DicomFile):
            out[:] = png.decode(source)
            if not could_be_windowed(out, self.recipe):
                raise UnreadableFile("png_other_picture")
            return measure_png(out, self.recipe)
        hu, evidence = self._hounsfield(source, frame)
        apply_windows(hu, self.recipe, out)
        return evidence

    def _average(self, frames: Sequence[tuple[Source, int]], out: NDArray[np.uint8]) -> list[Evidence]:
        """Write the mean of frames into `out`, (512, 512, 3) uint8, and measure each of them before."""
        mean, seen = SliceMean(self.recipe.rows, self.recipe.columns), []
        for source, frame in frames:
            try:
                hu, evidence = self._hounsfield(source, frame)
                mean.add(hu)
            except UnreadableFile as failure:
                evidence = Evidence(failed=failure.code)
            seen.append(evidence)
        if any(item.failed for item in seen):
            out[:] = 0
        else:
            apply_windows(mean.hu(), self.recipe, out)
        return seen

    def _hounsfield(self, source: Source, frame: int) -> tuple[NDArray[np.int16], Evidence]:
        """A frame as it is averaged and windowed, (512, 512) int16, and what was measured of it before it was fitted.

        All that is made of Hounsfield units starts here: pixels, slabs, and what maps them back onto the source grid.
        """
        if not isinstance(source, DicomFile):
            raise UnreadableFile(source.code if isinstance(source, UnreadableFile) else "not_dicom")
        image = source.decode(frame, self._decoders.decompress)
        fitted = resample_and_pad(
            image.hu, image.row_spacing_mm, image.column_spacing_mm, self.recipe.rows, self.recipe.columns
        )
        return fitted, measure_slice(image.hu, compressed=image.compressed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _entry(head: Buffer, size: int) -> DicomHeader | PngEntry | UnreadableFile | IncompleteHeader:
    try:
        if not png.is_png(head):
            return read_header(head, size)
        png.check_header(head)
    except (UnreadableFile, IncompleteHeader) as failure:
        return failure
    return PngEntry()


def _source(file: Buffer, excerpt: PartialFile | None) -> Source:
    """A file's header, read once for all its frames; a PNG as it is; or why it cannot be used."""
    try:
        return file if png.is_png(file) else open_dicom(file, excerpt)
    except UnreadableFile as failure:
        return failure
    except IncompleteHeader:
        return UnreadableFile("truncated")


def _rows(frames: int, slabs: NDArray[np.int32] | None) -> list[range]:
    """Which frames each row of the answer shows."""
    if slabs is None:
        return [range(index, index + 1) for index in range(frames)]
    if slabs.shape != (frames,):
        raise InvalidSlabs(f"{frames} frames need as many slab numbers, not {len(slabs)}")
    return slab_rows(slabs)


def _picture(pixels: NDArray[np.uint8], evidence: Sequence[Evidence]) -> bytes:
    return b"" if any(item.failed for item in evidence) else png.encode(pixels)
