from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.preprocess.dicom_file import decode_frame
from services.preprocess.header_reader import read_header
from services.preprocess.series import group_into_series
from training.data.pictures import picture
from training.data.samples import SLICES, write

SAMPLES = Path("samples")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write(folder)
    return folder


def test_the_repository_holds_what_is_written_again(written: Path) -> None:
    names = sorted(path.relative_to(written) for path in written.rglob("*") if path.suffix == ".dcm")
    assert names == sorted(path.relative_to(SAMPLES) for path in SAMPLES.rglob("*.dcm"))
    for name in names:
        theirs, ours = (decode_frame((folder / name).read_bytes(), 0).hu for folder in (SAMPLES, written))
        # A processor of another kind may round a pixel otherwise.
        assert np.abs(theirs.astype(int) - ours).max() <= 1


def test_the_repository_holds_the_same_readme(written: Path) -> None:
    assert (SAMPLES / "README.md").read_text() == (written / "README.md").read_text()


def test_the_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 5_000_000


def test_the_series_is_one_series(written: Path) -> None:
    files = [path.read_bytes() for path in sorted((written / "series").iterdir())]
    (series,) = group_into_series([read_header(file, len(file)) for file in files]).series
    assert [item.file for item in series.items] == list(range(SLICES))
    assert {reason.code for reason in series.reasons} <= {"resampled"}
    np.testing.assert_allclose(np.diff(series.position_mm), 5, atol=1e-3)


def test_the_picture_is_the_slice(written: Path) -> None:
    image = decode_frame((written / "slice.dcm").read_bytes(), 0)
    with Image.open(written / "slice.png") as shown:
        assert (shown.size, shown.mode) == ((512, 512), "RGB")
        np.testing.assert_array_equal(np.asarray(shown), picture(image.hu, image.row_spacing_mm))
