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
from services.preprocess.decoders import Decoders
from services.preprocess.dicom import Dicom, Excerpt, open_dicom
from services.preprocess.evidence import measure, measure_picture
from services.preprocess.failures import HeaderGoesOn, Unreadable
from services.preprocess.header import Header, read_header
from services.preprocess.recipe import could_make, render
from services.preprocess.resample import fit
from services.preprocess.series import Picture, arrange

_ALL_WHOLE: Final[Mapping[int, Excerpt]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Slices:
    """Row i of everything is the i-th wanted frame.

    `slices` is (m, 512, 512, 3) uint8. A slice that failed is black, its evidence says why, and its picture is empty.
    """

    slices: NDArray[np.uint8]
    evidence: list[Evidence]
    pictures: list[bytes]


class Pipeline:
    """Makes slices by one recipe, on its own threads, for numpy leaves the interpreter free, and decoders."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        self.recipe = recipe
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="slices")
        self._decoders = Decoders()

    def make_slices(
        self,
        files: Sequence[Buffer],
        frames: NDArray[np.int32],
        *,
        excerpts: Mapping[int, Excerpt] = _ALL_WHOLE,
        pictures: bool = False,
    ) -> Slices:
        """Decode, fit and render the wanted frames.

        Parameters
        ----------
        files : whole files, but for `excerpts`
        frames : (m, 2) int32, file and frame of each wanted slice, both counted from 0
        excerpts : what was sent of a file, counted from 0, that is not whole
        pictures : whether to encode each slice as a PNG too

        Raises
        ------
        IndexError
            `frames` names a file that is not there
        """
        wanted = [(int(file), int(frame)) for file, frame in frames]
        if any(not 0 <= file < len(files) for file, _ in wanted):
            raise IndexError("frames name a file that was not sent")
        sources = {file: _source(files[file], excerpts.get(file)) for file in {file for file, _ in wanted}}
        slices = np.empty((len(wanted), self.recipe.rows, self.recipe.columns, 3), dtype=np.uint8)

        def make(row: int) -> Evidence:
            file, frame = wanted[row]
            return self._make(sources[file], frame, slices[row])

        evidence = list(self._threads.map(make, range(len(wanted))))
        shown = self._threads.map(_picture, slices, evidence) if pictures else ()
        return Slices(slices, evidence, list(shown))

    @staticmethod
    def read_headers(heads: Sequence[Buffer], sizes: Sequence[int]) -> HeadersReport:
        """What the first bytes of each file, whose whole size is given, tell about series.

        The files listed as `incomplete` are to be sent whole.
        """
        return arrange([_entry(head, size) for head, size in zip(heads, sizes, strict=True)])

    def close(self) -> None:
        """End the threads and decoders, after the work in hand."""
        self._threads.shutdown()
        self._decoders.close()

    def _make(self, source: Dicom | Buffer | Unreadable, frame: int, out: NDArray[np.uint8]) -> Evidence:
        """Write one slice into `out`, (512, 512, 3) uint8, and measure it."""
        try:
            return self._render(source, frame, out)
        except Unreadable as failure:
            out[:] = 0
            return Evidence(failed=failure.code)

    def _render(self, source: Dicom | Buffer | Unreadable, frame: int, out: NDArray[np.uint8]) -> Evidence:
        if isinstance(source, Unreadable):
            raise Unreadable(source.code)
        if not isinstance(source, Dicom):
            out[:] = png.decode(source)
            if not could_make(out, self.recipe):
                raise Unreadable("png_other_picture")
            return measure_picture(out, self.recipe)
        image = source.image(frame, self._decoders.decompress)
        fitted = fit(image.hu, image.row_spacing_mm, image.column_spacing_mm, self.recipe.rows, self.recipe.columns)
        render(fitted, self.recipe, out)
        return measure(image.hu, compressed=image.compressed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _entry(head: Buffer, size: int) -> Header | Picture | Unreadable | HeaderGoesOn:
    try:
        if not png.is_png(head):
            return read_header(head, size)
        png.check_head(head)
    except (Unreadable, HeaderGoesOn) as failure:
        return failure
    return Picture()


def _source(file: Buffer, excerpt: Excerpt | None) -> Dicom | Buffer | Unreadable:
    """A file's header, read once for all its frames; a PNG as it is; or why it cannot be used."""
    try:
        return file if png.is_png(file) else open_dicom(file, excerpt)
    except Unreadable as failure:
        return failure
    except HeaderGoesOn:
        return Unreadable("truncated")


def _picture(pixels: NDArray[np.uint8], evidence: Evidence) -> bytes:
    return b"" if evidence.failed else png.encode(pixels)
