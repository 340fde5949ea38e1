import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread

from training.cli.app import main
from training.rsna.archive import ROOT, open_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantoms") / "new" / "made.zip"
    main(["phantoms", "--studies", "2", "--seed", "7500000", "--masks", "--small", "1", "--out", str(path)])
    return path


def test_phantoms_are_an_archive_of_the_challenge(archive: Path) -> None:
    opened = open_archive(archive)
    names = opened.dicom_names("train") + opened.dicom_names("test")
    assert len(names) > 20
    assert not list(archive.parent.glob("*.part"))


def test_masks_are_beside_the_slices_on_request(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        masks = [name for name in opened.namelist() if name.startswith(f"{ROOT}/phantom_masks/")]
        slices = {Path(name).stem for name in opened.namelist() if name.endswith(".dcm")}
    assert {Path(name).stem for name in masks} <= slices


def test_the_samples_are_a_series_and_one_of_its_slices(tmp_path: Path) -> None:
    main(["samples", "--out", str(tmp_path)])
    series = sorted((tmp_path / "series").glob("*.dcm"))
    assert len({dcmread(path).SeriesInstanceUID for path in series}) == 1
    assert (tmp_path / "slice.dcm").read_bytes() in {path.read_bytes() for path in series}
    for path in series:
        assert path.read_bytes() == (Path("samples/series") / path.name).read_bytes()
