import logging
from dataclasses import fields

import numpy as np
import pytest

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.dicom_file import decode_frame
from services.preprocess.resample import resample_and_pad
from services.preprocess.windowing import apply_windows
from training.data.pictures import (
    BRAIN_HU,
    BRIGHT_HU,
    GRID,
    Pictures,
    count_baselines,
    count_inside,
    log_progress,
    make_pictures,
    make_stream_pictures,
    make_study_pictures,
    picture,
    pictures_of,
)
from training.networks.shrink import shrink
from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions, StudyRequest

SEED = 9_300_000


def test_training_pixels_are_the_services_byte_for_byte() -> None:
    """A phantom as a DICOM file, through the service's own decoding, is the picture that the networks learn from."""
    study = make_study(draw_patient(SEED), [2, 8, 15])
    for file, hu in zip(dicom_files(study, "recipe"), study.hu, strict=True):
        image = decode_frame(file, 0)
        np.testing.assert_array_equal(image.hu, hu)
        served = apply_windows(
            resample_and_pad(image.hu, image.row_spacing_mm, image.column_spacing_mm), DEFAULT_RECIPE
        )
        np.testing.assert_array_equal(served, picture(hu, study.scan.pixel_mm))


def test_one_study() -> None:
    made = make_study_pictures(StudyRequest(SEED + 1, slices=5))
    assert made.small.shape == (5, 256, 256, 2)
    assert made.small.dtype == np.uint8
    assert made.blood.shape == (5, GRID, GRID, 5)
    assert np.all(np.diff(made.position_mm) > 0)
    assert [part.stop - part.start for part in made.series()] == [5]


def test_small_pictures_are_the_shrunk_ones_of_the_service() -> None:
    study = make_study(draw_patient(SEED + 2), [3, 9])
    large = np.stack([picture(hu, study.scan.pixel_mm) for hu in study.hu])
    made = pictures_of(study, SEED + 2)
    np.testing.assert_array_equal(made.small, shrink(large.astype(np.uint16)))
    for count, counted in zip(count_baselines(large), (made.bright, made.brain), strict=True):
        np.testing.assert_array_equal(count, counted)


def test_the_stream_shows_the_same_slices_without_counts() -> None:
    wanted = StudyRequest(SEED + 3, slices=2)
    streamed, counted = make_stream_pictures(wanted), make_study_pictures(wanted)
    for field in fields(Pictures):
        np.testing.assert_array_equal(getattr(streamed, field.name), getattr(counted, field.name))


def test_many_processes_make_the_same_in_the_same_order() -> None:
    wanted = [StudyRequest(SEED + number, slices=2) for number in range(2)]
    together = make_pictures(wanted, name="test")
    for part, one in zip(together.series(), wanted, strict=True):
        np.testing.assert_array_equal(together.small[part], make_study_pictures(one).small)


def test_the_blood_grid_keeps_the_area_of_the_masks() -> None:
    study = make_study(draw_patient(SEED + 4, StudyOptions(kinds=("epidural",))))
    cells = study.masks.reshape(len(study.hu), GRID, 8, GRID, 8, 5).mean(axis=(2, 4))
    np.testing.assert_allclose(cells.mean(axis=(1, 2)), study.masks.mean(axis=(1, 2)), rtol=1e-9)


def test_the_baselines_count_inside_the_skull_alone() -> None:
    hu = np.full((512, 512), -1000, np.int16)
    hu[100:400, 100:400] = 1000
    hu[120:380, 120:380] = 30
    hu[200:210, 200:220] = 70
    hu[50:60, 50:60] = 70
    shown = apply_windows(hu, DEFAULT_RECIPE)
    assert count_inside(shown, BRIGHT_HU) == 200
    assert count_inside(shown, BRAIN_HU) == 260 * 260 - 200


def test_both_baselines_are_counted_slice_by_slice() -> None:
    slices = apply_windows(np.full((2, 512, 512), 30, np.int16), DEFAULT_RECIPE)
    bright, brain = count_baselines(slices)
    assert (bright.tolist(), brain.tolist()) == ([0, 0], [0, 0]), "without bone nothing is inside"
    assert bright.dtype == brain.dtype == np.int32


def test_progress_is_logged_ten_times_and_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(log_progress(([0] * number for number in range(25)), total=25, name="studies")) == [
            [0] * number for number in range(25)
        ]
    counts = [int(record.getMessage().split(" of ")[0].split()[-1]) for record in caplog.records]
    assert counts == [*range(2, 25, 2), 25]
