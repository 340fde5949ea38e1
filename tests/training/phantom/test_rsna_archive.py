import csv
import re
import zipfile
from collections import Counter
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation

from services.common.acceptance import is_refused, pixel_reasons
from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.dicom_file import decode_frame
from services.preprocess.pipeline import Pipeline
from training.phantom.rsna_archive import (
    KEPT_KEYWORDS,
    ROWS,
    Plan,
    StudyFiles,
    Task,
    _tasks,
    _with_faults,
    make_files,
    write_archive,
)
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyOptions
from training.rsna.archive import ROOT

SEED = 9_500_100


@cache
def files_of(task: Task) -> StudyFiles:
    """Make a study once for all tests."""
    return make_files(task)


@cache
def study_of(number: int) -> Study:
    """Draw the study behind the files of that number, once for all tests."""
    return make_study(draw_patient(SEED + number))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "new folder" / "phantoms.zip"
    write_archive(path, Plan(3, SEED, traps=True, masks=True))
    return path


def _table(path: Path, name: str) -> list[list[str]]:
    with zipfile.ZipFile(path) as opened:
        return list(csv.reader(StringIO(opened.read(f"{ROOT}/{name}").decode())))


def test_the_layout_is_the_challenges(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    folders = Counter(name.split("/")[1] for name in names)
    assert set(folders) <= {
        "stage_2_train",
        "stage_2_test",
        "phantom_masks",
        "stage_2_train.csv",
        "stage_2_sample_submission.csv",
    }
    header, *rows = _table(archive, "stage_2_train.csv")
    assert header == ["ID", "Label"]
    assert {row[0].rsplit("_", 1)[1] for row in rows} == set(ROWS)
    slices = {row[0].rsplit("_", 1)[0] for row in rows}
    in_zip = {Path(name).stem for name in names if "/stage_2_train/" in name}
    # One slice's rows are missing, and up to four slices have theirs twice.
    assert len(in_zip - slices) == 1
    assert slices < in_zip
    assert len(rows) > 6 * len(slices)


def test_the_same_plan_is_the_same_archive_on_any_number_of_cores(tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        write_archive(tmp_path / name, Plan(2, SEED), processes)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("number", range(6))
def test_the_services_read_what_the_phantom_was(number: int) -> None:
    """12 bits, 16 bits, and the lost intercept, which leaves 12 bits less 24 steps: all give the phantom's HU."""
    made = files_of(Task(number, number, Plan(8, SEED, traps=number > 2)))
    study = study_of(number)
    for (_, data), hu in list(zip(made.files, study.hu, strict=True))[5:8]:
        found = decode_frame(data, 0).hu
        rows = len(found)
        np.testing.assert_array_equal(np.clip(found, -1000, 3000), np.clip(hu[:rows], -1000, 3000))


@pytest.mark.parametrize("options", [StudyOptions(), StudyOptions(broad=True, small=0.5)])
def test_rows_are_the_labels(options: StudyOptions) -> None:
    made = files_of(Task(1, 1, Plan(8, SEED, options=options)))
    study = make_study(draw_patient(SEED + 1, options))
    for (_, values), labels in zip(made.rows, study.labels, strict=True):
        assert dict(zip(ROWS, values, strict=True)) == dict(zip(LABELS, labels.astype(int), strict=True))


def test_headers_have_the_challenges_habits() -> None:
    seen, windows = set(), set()
    for number in range(8):
        dataset = dcmread(BytesIO(files_of(Task(number, number, Plan(8, SEED))).files[0][1]))
        seen.add((dataset.BitsStored, dataset.PixelRepresentation, str(dataset.file_meta.TransferSyntaxUID)))
        windows.add(dataset["WindowCenter"].VM)
        with disable_value_validation():
            assert {element.keyword for element in dataset} == set(KEPT_KEYWORDS)
        lengths = {"PatientID": 8, "SOPInstanceUID": 9, "StudyInstanceUID": 10, "SeriesInstanceUID": 10}
        for keyword, digits in lengths.items():
            assert re.fullmatch(f"ID_[0-9a-f]{{{digits}}}", dataset[keyword].value)
    assert {(bits, signed) for bits, signed, _ in seen} == {(12, 0), (16, 1)}
    assert len({syntax for *_, syntax in seen}) == 2
    assert windows == {1, 2}


@pytest.mark.parametrize("size", [256, 512])
def test_the_service_assesses_a_study(size: int) -> None:
    """One series, nothing refused, nothing set aside, and the phantom's places."""
    files = [data for _, data in files_of(Task(2, 2, Plan(8, SEED, size=size))).files]
    position_mm = draw_patient(SEED + 2).scan.position_mm
    with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
        report = pipeline.read_headers(files, [len(file) for file in files])
        (series,) = report.series
        made = pipeline.make_slices(files, np.array([(item.file, item.frame) for item in series.items[:6]], np.int32))
    assert not report.set_aside
    assert not is_refused([*series.reasons, *pixel_reasons(made.evidence, headwards=True)])
    np.testing.assert_allclose(np.diff(series.position_mm), np.diff(position_mm), atol=1e-3)


def test_broken_files_are_found_out() -> None:
    plan = Plan(40, SEED, traps=True)
    for number, codes in ((7, {"truncated"}), (13, {"not_dicom"})):
        files = [data for _, data in make_files(Task(number, number, plan)).files]
        with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
            report = pipeline.read_headers(files, [len(file) for file in files])
            (series,) = report.series
            made = pipeline.make_slices(files, np.array([(item.file, item.frame) for item in series.items], np.int32))
        found = {aside.code for aside in report.set_aside} | {item.failed for item in made.evidence if item.failed}
        assert found == codes


def test_the_picture_is_the_same_at_both_sizes() -> None:
    small, large = (files_of(Task(0, 0, Plan(8, SEED, size=size))).files[8][1] for size in (256, 512))
    found = [decode_frame(data, 0) for data in (small, large)]
    assert found[1].hu.shape == (512, 512)
    assert found[1].row_spacing_mm == pytest.approx(found[0].row_spacing_mm / 2, rel=1e-5)
    mean = found[1].hu.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    assert np.median(np.abs(mean - found[0].hu)) < 2
    assert found[0].hu.min() <= found[1].hu.min()
    assert found[1].hu.max() <= found[0].hu.max()
    # Both squares have one centre.
    centres = []
    for data in (small, large):
        dataset = dcmread(BytesIO(data))
        across, down = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        half = (dataset.Rows - 1) / 2 * dataset.PixelSpacing[0]
        centres.append(np.array(dataset.ImagePositionPatient, float) + half * (across + down))
    np.testing.assert_allclose(centres[0], centres[1], atol=1e-3)


def test_an_archive_may_have_no_training_slices() -> None:
    assert _with_faults([], np.random.default_rng(0)) == []


def test_patients_come_again_with_traps() -> None:
    counts = Counter(task.patient for task in _tasks(Plan(200, SEED, traps=True)))
    assert max(counts.values()) >= 2
    assert 0.75 < len(counts) / 200 < 0.95
    assert len({task.patient for task in _tasks(Plan(200, SEED))}) == 200
