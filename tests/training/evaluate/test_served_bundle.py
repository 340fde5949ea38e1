from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.common.card import open_bundle
from tests.scans import ct_slice, head, series
from training.evaluate.labelled_files import File
from training.evaluate.served_bundle import CHUNK, HEAD_BYTES, ServedBundle, read_bundle
from training.io.errors import TrainingError

BUNDLE = Path("models/default")


@pytest.fixture(scope="module")
def served() -> Iterator[ServedBundle]:
    with ServedBundle(open_bundle(BUNDLE)) as bundle:
        yield bundle


def _files(contents: dict[str, bytes]) -> list[File]:
    return [File.of_bytes(name, data) for name, data in contents.items()]


def test_copies_are_left_out_and_counted(served: ServedBundle) -> None:
    found = served.read_series(
        _files({**series(3), "copy.dcm": series(3)["001.dcm"], "other.dcm": ct_slice(2, head(brain_hu=70))})
    )
    assert [file.name for file in found.files] == ["000.dcm", "001.dcm", "002.dcm", "other.dcm"]
    assert [item.file for item in found.headers.series[0].items] == [0, 1, 2, 3]
    assert found.copies == 1


def test_different_files_of_one_slice_are_refused_unless_forced(served: ServedBundle) -> None:
    found = served.read_series(_files({**series(3), "other.dcm": ct_slice(2, head(brain_hu=70))}))
    (header,) = found.headers.series
    assert served.predict_series(found.files, header) is None
    forced = served.predict_series(found.files, header, refuse=False)
    assert forced
    assert forced[0].shape == (4, 6)


def test_a_series_without_a_head_is_refused(served: ServedBundle) -> None:
    water = np.zeros((512, 512), np.int16)
    found = served.read_series(_files({"water.dcm": ct_slice(hu=water)}))
    assert served.predict_series(found.files, found.headers.series[0]) is None


def test_a_slice_that_cannot_be_decoded_refuses_its_series(served: ServedBundle) -> None:
    files = _files(series(3))
    found = served.read_series(files)
    broken = [*files[:2], File("002.dcm", 10, lambda _: b"broken")]
    assert served.predict_series(broken, found.headers.series[0], refuse=False) is None


def test_features_do_not_depend_on_the_chunk(served: ServedBundle) -> None:
    slices = np.random.default_rng(0).integers(0, 256, (CHUNK + 1, 8, 8, 3), np.uint8).repeat(64, 1).repeat(64, 2)
    features = served.features(slices)
    assert features.shape == (CHUNK + 1, served.card.feature_size)
    np.testing.assert_allclose(served.features(slices[-1:])[0], features[-1], rtol=1e-4, atol=1e-4)


def test_a_single_slice_is_predicted_as_a_series_of_one(served: ServedBundle) -> None:
    features = np.random.default_rng(0).normal(0, 1, (3, served.card.feature_size)).astype(np.float32)
    slices, whole = served.predict_single_slices(features)
    alone, _ = served.predict(features[1:2], np.zeros(1, np.float32))
    np.testing.assert_allclose(slices[1], alone[0], rtol=1e-5)
    np.testing.assert_array_equal(whole, slices.max(axis=0))


def test_a_file_longer_than_its_head_is_read_whole_where_the_header_needs_it(served: ServedBundle) -> None:
    contents = series(1)
    limits: list[int | None] = []

    def read(limit: int | None) -> bytes:
        limits.append(limit)
        return contents["000.dcm"][: 600 if limit else None]

    found = served.read_series([File("000.dcm", len(contents["000.dcm"]), read)])
    assert len(found.headers.series) == 1
    assert limits == [HEAD_BYTES, None]


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no readable card\.json"):
        read_bundle(tmp_path)
