"""Files to slices, evidence and pictures, row by row."""

import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.uid import JPEG2000Lossless, RLELossless

from services.common.acceptance import pixel_reasons
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess import png
from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.dicom_file import PartialFile
from services.preprocess.pipeline import Pipeline
from services.preprocess.resample import resample_and_pad
from services.preprocess.slab_averaging import InvalidSlabs
from services.preprocess.windowing import apply_windows
from tests.preprocess.dicom_files import (
    COMPRESSED,
    NATIVE,
    ct,
    dataset,
    encapsulated,
    enhanced,
    head_hu,
    series,
    written,
)

HEAD = apply_windows(resample_and_pad(head_hu(), 0.5, 0.5), DEFAULT_RECIPE)


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(DEFAULT_RECIPE, threads=2) as found:
        yield found


def rows(*requested: tuple[int, int]) -> NDArray[np.int32]:
    return np.array(requested, dtype=np.int32).reshape(-1, 2)


def test_slices_equal_those_of_training(pipeline: Pipeline) -> None:
    made = pipeline.make_slices([ct()], rows((0, 0)))
    assert made.slices.dtype == np.uint8
    assert (made.slices == HEAD).all()
    assert made.pictures == []
    assert pixel_reasons(made.evidence) == []


def test_rows_follow_the_requested_order(pipeline: Pipeline) -> None:
    files = [ct(RescaleIntercept=-1024 + 10 * index) for index in range(4)]
    wanted = [(2, 0), (0, 0), (3, 0), (2, 0)]
    made = pipeline.make_slices(files, rows(*wanted))
    for row, (file, _) in enumerate(wanted):
        assert (made.slices[row] == pipeline.make_slices(files, rows((file, 0))).slices[0]).all()


def test_headers_to_slices(pipeline: Pipeline) -> None:
    files = series(5)[::-1]
    report = pipeline.read_headers([file[:700] for file in files], [len(file) for file in files])
    assert [item.file for item in report.series[0].items] == [4, 3, 2, 1, 0]
    made = pipeline.make_slices(files, rows(*((item.file, item.frame) for item in report.series[0].items)))
    assert made.slices.shape == (5, 512, 512, 3)


def test_first_bytes_that_are_too_short(pipeline: Pipeline) -> None:
    file = ct()
    assert pipeline.read_headers([file[:300], file], [len(file)] * 2).incomplete == (0,)


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_slices(pipeline: Pipeline, syntax: str) -> None:
    made = pipeline.make_slices([ct(syntax)], rows((0, 0)))
    assert (made.slices == HEAD).all()
    assert made.evidence[0].compressed


def test_frames_of_one_file(pipeline: Pipeline) -> None:
    file = written(enhanced(3))
    made = pipeline.make_slices([file], rows((0, 2), (0, 0)))
    assert (made.slices[1] == HEAD).all()
    assert (made.slices[0] != HEAD).any()


def test_a_partial_file_suffices_for_its_frames(pipeline: Pipeline) -> None:
    file, frame_bytes = written(enhanced(4)), 64 * 64 * 2
    pixels_at = len(file) - 4 * frame_bytes
    first = pixels_at + frame_bytes
    partial_file = file[:pixels_at] + file[first : first + 2 * frame_bytes]
    whole = pipeline.make_slices([file], rows((0, 2), (0, 1)))
    made = pipeline.make_slices([partial_file], rows((0, 2), (0, 1)), partial={0: PartialFile(len(file), first)})
    assert (made.slices == whole.slices).all()
    assert made.evidence == whole.evidence


@pytest.mark.parametrize("frame", [0, 3])
def test_frames_that_were_not_sent(pipeline: Pipeline, frame: int) -> None:
    file, frame_bytes = written(enhanced(4)), 64 * 64 * 2
    pixels_at = len(file) - 4 * frame_bytes
    partial_file, first = file[: pixels_at + 2 * frame_bytes], pixels_at + frame_bytes
    made = pipeline.make_slices([partial_file], rows((0, frame)), partial={0: PartialFile(len(file), first)})
    assert made.evidence[0].failed == "truncated"


@settings(deadline=None)
@given(size=st.integers(-(2**63), 2**63 - 1), first=st.integers(-9000, 40_000), sent=st.integers(0, 40_000))
def test_a_false_offset_never_shifts_the_pixels(pipeline: Pipeline, size: int, first: int, sent: int) -> None:
    """The result is a frame of the file, or a failure."""
    file = written(enhanced(3))
    made = pipeline.make_slices([file[:sent]], rows((0, 1)), partial={0: PartialFile(size, first)})
    whole = pipeline.make_slices([file], rows((0, 1)))  # all frames hold the same stored values
    assert made.evidence[0].failed or (made.slices == whole.slices).all()


def test_a_file_is_opened_once_for_all_its_frames(pipeline: Pipeline) -> None:
    class Files(list[bytes]):
        opened = 0

        def __getitem__(self, index):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN204 - a list's own
            self.opened += 1
            return super().__getitem__(index)

    files = Files([written(enhanced(frames=9))])
    pipeline.make_slices(files, np.array([(0, frame) for frame in range(9)], np.int32))
    assert files.opened == 1


def test_png_slices_are_unchanged(pipeline: Pipeline) -> None:
    picture = png.encode(HEAD)
    report = pipeline.read_headers([picture[:100]], [len(picture)])
    assert report.series[0].uid is None
    made = pipeline.make_slices([picture], rows((0, 0)), pictures=True)
    assert (made.slices[0] == HEAD).all()
    assert (png.decode(made.pictures[0]) == HEAD).all()
    assert pixel_reasons(made.evidence) == []


def test_a_screenshot_of_the_right_size_is_refused(pipeline: Pipeline) -> None:
    grey = png.encode(np.repeat(HEAD[..., 2:], 3, axis=-1))
    made = pipeline.make_slices([grey, png.encode(HEAD)], rows((0, 0), (1, 0)))
    assert [item.failed for item in made.evidence] == ["png_other_picture", None]


def test_other_png_files_are_set_aside(pipeline: Pipeline) -> None:
    small = png.encode(HEAD[:256])
    assert [aside.code for aside in pipeline.read_headers([small], [len(small)]).set_aside] == ["png_other_size"]


def test_failures_keep_their_rows(pipeline: Pipeline) -> None:
    corrupt = encapsulated(dataset(), JPEG2000Lossless, [b"\xff\x4f\xff\x51 no picture \xff\xd9"])
    files = [ct(), ct()[:-50], corrupt, b"text", png.encode(HEAD)[:5000], b""]
    made = pipeline.make_slices(files, rows(*((index, 0) for index in range(6)), (0, 7)), pictures=True)
    codes = [item.failed for item in made.evidence]
    assert codes == [None, "truncated", "corrupt_pixels", "not_dicom", "corrupt_png", "empty_file", "truncated"]
    assert (made.slices[0] == HEAD).all()
    assert not made.slices[1:].any()
    assert [bool(picture) for picture in made.pictures] == [True] + [False] * 6


def test_all_zero_decode_is_refused(pipeline: Pipeline) -> None:
    file = encapsulated(dataset(), RLELossless, [_empty_run_lengths()])
    made = pipeline.make_slices([file, ct()], rows((0, 0), (1, 0)))
    assert [reason.code for reason in pixel_reasons(made.evidence)] == ["constant_image"]


def test_a_uniform_slice_stays_uniform_beside_its_padding(pipeline: Pipeline) -> None:
    """An oblong picture is padded; its decoded pixels are still uniform."""
    file = ct(Rows=32, Columns=64, PixelData=bytes(32 * 64 * 2))
    assert pipeline.make_slices([file], rows((0, 0))).evidence[0].constant


def test_a_file_index_beyond_the_files(pipeline: Pipeline) -> None:
    for wrong in ((1, 0), (-1, 0)):
        with pytest.raises(IndexError):
            pipeline.make_slices([ct()], rows(wrong))


def test_no_frames(pipeline: Pipeline) -> None:
    made = pipeline.make_slices([ct()], rows())
    assert made.slices.shape == (0, 512, 512, 3)
    assert made.evidence == []


def _empty_run_lengths() -> bytes:
    """Two segments of 4,096 zeros each (PS3.5 G.3)."""
    segment = b"\x81\x00" * 32
    header = np.zeros(16, dtype="<u4")
    header[:3] = 2, 64, 64 + len(segment)
    return header.tobytes() + segment * 2


def test_frames_of_a_slab_are_averaged_in_hounsfield_units(pipeline: Pipeline) -> None:
    files = [
        ct(syntax, RescaleIntercept=-1024 + rise)
        for syntax, rise in ((RLELossless, 0), (NATIVE[1], 30), (NATIVE[1], 61))
    ]
    made = pipeline.make_slices(
        files, rows((0, 0), (1, 0), (2, 0), (1, 0)), slabs=np.array([0, 0, 0, 1], np.int32), pictures=True
    )
    fitted = [resample_and_pad(head_hu() + np.int16(rise), 0.5, 0.5) for rise in (0, 30, 61)]
    mean = np.rint(np.mean(fitted, axis=0)).astype(np.int16)
    assert (made.slices[0] == apply_windows(mean, DEFAULT_RECIPE)).all()
    assert (made.slices[1] == pipeline.make_slices(files, rows((1, 0))).slices[0]).all()
    assert (len(made.slices), len(made.pictures), len(made.evidence)) == (2, 2, 4)
    assert [item.compressed for item in made.evidence] == [True, False, False, False]
    assert (png.decode(made.pictures[0]) == made.slices[0]).all()


def test_slices_of_several_sizes_are_averaged_after_resampling(pipeline: Pipeline) -> None:
    files = [ct(), ct(Rows=128, Columns=128, PixelSpacing=[0.25, 0.25])]
    made = pipeline.make_slices(files, rows((0, 0), (1, 0)), slabs=np.zeros(2, np.int32))
    fitted = [resample_and_pad(head_hu(side, side), 0.5, 0.5).astype(np.int32) for side in (64, 128)]
    assert (made.slices[0] == apply_windows(np.rint(sum(fitted) / 2).astype(np.int16), DEFAULT_RECIPE)).all()


def test_a_slab_with_a_failed_frame_is_black_and_names_it(pipeline: Pipeline) -> None:
    made = pipeline.make_slices(
        [ct(), ct()[:-100]], rows((0, 0), (1, 0), (0, 0)), slabs=np.array([0, 0, 1], np.int32), pictures=True
    )
    assert [item.failed for item in made.evidence] == [None, "truncated", None]
    assert not made.slices[0].any()
    assert made.slices[1].any()
    assert made.pictures[0] == b""


@pytest.mark.parametrize("slabs", [[0], [1, 1], [0, 1, 2]])
def test_slabs_that_do_not_match_the_frames_are_refused(pipeline: Pipeline, slabs: list[int]) -> None:
    with pytest.raises(InvalidSlabs):
        pipeline.make_slices([ct()], rows((0, 0), (0, 0)), slabs=np.array(slabs, np.int32))


def test_png_slices_are_never_averaged(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidSlabs, match="PNG slices"):
        pipeline.make_slices([png.encode(HEAD)], rows((0, 0), (0, 0)), slabs=np.zeros(2, np.int32))


def test_a_slab_needs_memory_for_a_sum_only(pipeline: Pipeline) -> None:
    file, frames = written(enhanced(64)), rows(*((0, frame) for frame in range(64)))
    slabs = np.repeat(np.arange(2), 32).astype(np.int32)
    pipeline.make_slices([file], frames, slabs=slabs)  # caches the modality LUTs
    tracemalloc.start()
    made = pipeline.make_slices([file], frames, slabs=slabs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made.slices) == 2
    assert peak < 20 * 1024**2, "64 slices of 512 x 512 take 32 MB even as int16"


_HANGING = """
import sys, time
open(sys.argv[1], "a").write("x")
sys.stdout.buffer.write(bytes([0]))
sys.stdout.buffer.flush()
time.sleep(60)
"""


@pytest.mark.parametrize("slabs", [None, [0] * 8 + [1] * 8])
def test_after_a_slow_frame_no_other_is_decoded(tmp_path: Path, slabs: list[int] | None) -> None:
    """A crafted frame may take any time, and a request may hold a hundred of them."""
    started = tmp_path / "started"
    decoders = DecoderProcesses(timeout_s=0.5, command=(sys.executable, "-c", _HANGING, str(started)))
    frames = np.array([(file, 0) for file in range(16)], np.int32)
    with Pipeline(DEFAULT_RECIPE, 2, decoders) as pipeline:
        made = pipeline.make_slices(
            [ct(RLELossless)] * 16, frames, slabs=None if slabs is None else np.array(slabs, np.int32)
        )
    assert [item.failed for item in made.evidence] == ["too_slow"] * 16
    assert not made.slices.any()
    assert len(started.read_text() if started.exists() else "") <= 4
