"""Parametric maps, read back by highdicom."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom.image import imread
from numpy.typing import NDArray
from pydicom import Dataset

from services.dicom_node.results import parametric_map
from services.dicom_node.results.blood_map import blood_on_source
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.omitted import Omitted, TooLarge
from services.dicom_node.results.parametric_map import build_parametric_maps
from tests.dicom_node.results.assessments import assessment
from tests.scans import ct_slice, head, series


def random_blood(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).random((count, 32, 32, 5), np.float32)


def written(context: ResultContext) -> list[bytes]:
    files = []
    for item in build_parametric_maps(context):
        assert isinstance(item.content, Dataset)
        file = io.BytesIO()
        item.content.save_as(file, enforce_file_format=True)
        files.append(file.getvalue())
    return files


def test_values_read_back_are_the_largest_share_of_any_subtype(tmp_path: Path) -> None:
    files = [ct_slice(index, hu=head(64), ImageOrientationPatient=[0, 1, 0, 1, 0, 0]) for index in range(3)]
    context = assessment(tmp_path, files, blood=random_blood(3))
    (file,) = written(context)
    image = imread(io.BytesIO(file))
    expected = np.stack([blood_on_source(context, index, "any") for index in range(3)])
    np.testing.assert_array_equal(image.get_frames(apply_real_world_transform=False), expected[::-1])
    sources = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for group in image.PerFrameFunctionalGroupsSequence
    ]
    assert sources == [source.sop_instance_uid for source in context.slices[::-1]], (
        "along the normal, which points down"
    )


def test_the_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    context = assessment(tmp_path, [ct_slice(0, hu=head(64))], blood=random_blood(1))
    assert written(context) == written(context)


def test_each_grid_has_an_object(tmp_path: Path) -> None:
    context = assessment(tmp_path, [ct_slice(0, hu=head(64)), ct_slice(1, hu=head(32))], blood=random_blood(2))
    assert [imread(io.BytesIO(file)).Rows for file in written(context)] == [64, 32]


def test_without_a_blood_map_there_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(Omitted, match="no blood map"):
        build_parametric_maps(assessment(tmp_path, list(series(2).values())))


def test_a_map_beyond_the_limit_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    one = assessment(tmp_path, [ct_slice(0)], blood=random_blood(1))
    count = parametric_map.MOST_BYTES // (512 * 512 * 4) + 1
    many = replace(
        one,
        slices=one.slices * count,
        geometry=one.geometry * count,
        report=one.report.model_copy(update={"slices": one.report.slices * count}),
    )
    with pytest.raises(TooLarge, match="512 MiB"):
        build_parametric_maps(many)
