import pytest
from pydicom.uid import (
    HTJ2K,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from services.preprocess.decoding_cost import decoding_cpu_s, decoding_timeout_s, frame_cost
from services.preprocess.header import FrameFormat
from services.preprocess.pipeline import Pipeline
from tests.preprocess.dicom_files import ct, enhanced, written


def _frame(syntax: str, rows: int, columns: int) -> FrameFormat:
    return FrameFormat(syntax, rows, columns, 16, 12, signed=False)


@pytest.mark.parametrize(
    ("syntax", "side", "cost"),
    [
        (ExplicitVRLittleEndian, 512, 1),
        (ExplicitVRLittleEndian, 1024, 1),
        (ExplicitVRLittleEndian, 4096, 3),
        (JPEG2000Lossless, 64, 1),
        (JPEG2000Lossless, 512, 1),
        (JPEG2000Lossless, 768, 3),
        (JPEG2000Lossless, 1024, 4),
        (JPEG2000Lossless, 4096, 64),
        (HTJ2K, 4096, 64),
        (JPEGLSLossless, 1024, 1),
        (JPEGLosslessSV1, 4096, 13),
        (RLELossless, 4096, 6),
    ],
)
def test_a_frame_costs_by_its_pixels_and_codec(syntax: str, side: int, cost: int) -> None:
    assert frame_cost(_frame(syntax, side, side)) == cost


def test_a_costly_frame_gets_more_time() -> None:
    assert decoding_timeout_s(_frame(JPEG2000Lossless, 512, 512)) == pytest.approx(8.2)
    assert decoding_timeout_s(_frame(JPEG2000Lossless, 4096, 4096)) == pytest.approx(20.8)


def test_cpu_time_is_limited_by_the_price() -> None:
    assert decoding_cpu_s(_frame(JPEG2000Lossless, 512, 512)) == pytest.approx(0.7)
    assert decoding_cpu_s(_frame(JPEG2000Lossless, 4096, 4096)) == pytest.approx(13.3)


def test_the_price_is_known_from_the_headers() -> None:
    small, large = ct(JPEG2000Lossless), ct(JPEG2000Lossless, Rows=1024, Columns=1024, SOPInstanceUID="1.2.3.2")
    (series,) = Pipeline.read_headers([small, large], [len(small), len(large)]).series
    assert sorted(item.cost for item in series.items) == [1, 4]
    assert series.cost == 5
    several = written(enhanced(3))
    (series,) = Pipeline.read_headers([several], [len(several)]).series
    assert series.cost == 3
