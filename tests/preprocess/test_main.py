"""The command line on a folder of files."""

from pathlib import Path

import pytest
from PIL import Image

from services.preprocess.__main__ import main
from tests.preprocess.dicom_files import ct, series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, file in enumerate(series(3)):
        (tmp_path / f"{index}.dcm").write_bytes(file)
    (tmp_path / "notes.txt").write_text("nothing")
    return tmp_path


def test_tables_and_sheet(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--sheet", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "3, 0 to 10 mm, every 5.00 mm" in printed
    assert "resampled" in printed
    assert "verdict  assessed" in printed
    assert "notes.txt: neither DICOM nor PNG" in printed
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (1536, 192)


def test_the_best_series_of_a_study_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soft = series(8, series_uid="1.2.4", ConvolutionKernel="H31s", SliceThickness=5)
    sharp = series(8, ConvolutionKernel="H70h", SliceThickness=1)
    for index, file in enumerate([*sharp, *soft]):
        (tmp_path / f"{index}.dcm").write_bytes(file)
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "kernel sharp, thickness 1 mm, plain" in printed
    assert "best       1.2.4: soft kernel, 5 mm, 8 slices, plain; chosen over the next because its kernel is" in printed


def test_nothing_to_assess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chest.dcm"
    file.write_bytes(ct(BodyPartExamined="CHEST"))
    assert main([str(file)]) == 1
    printed = capsys.readouterr().out
    assert "refuse   other_body_part" in printed
    assert "verdict  not assessed" in printed


def test_no_image_at_all(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert main([str(tmp_path)]) == 1


def test_no_file_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "nowhere")])
    assert "no file at" in capsys.readouterr().err


def test_copies_count_once_and_conflicts_are_not_assessed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "copy.dcm").write_bytes((folder / "1.dcm").read_bytes())
    assert main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"copy.dcm: a copy of {folder / '1.dcm'}; it counts once" in printed
    assert "3, 0 to 10 mm, every 5.00 mm" in printed
    (folder / "other.dcm").write_bytes(series(3, KVP=119)[2])
    assert main([str(folder)]) == 1
    printed = capsys.readouterr().out
    assert "failed   2 files have the SOPInstanceUID of another file and differ from it" in printed
