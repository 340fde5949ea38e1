"""Features of shards on disk: an interrupted run resumes, and other shards are refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.fakes import FakeShards
from tests.training.small_networks import small_cnn
from training.data.features import open_features, starts_of, write_features
from training.io.errors import TrainingError


class Interrupted(FakeShards):
    """Fails at the given series, as a run that is killed there."""

    def __init__(self, fail_at: int) -> None:
        super().__init__()
        self.fail_at, self.read = fail_at, 0

    def slices(self, entry: Any, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        self.read += 1
        if entry is self.entries[self.fail_at]:
            raise RuntimeError("killed")
        return super().slices(entry, indices)


@pytest.fixture(scope="module")
def cnn() -> Any:
    return small_cnn()


def test_every_series_has_the_features_of_its_slices(tmp_path: Path, cnn: Any) -> None:
    shards = FakeShards()
    assert write_features(cnn, shards, shards.entries, tmp_path / "features.npy", readers=2) > 0
    found = open_features(tmp_path / "features.npy", shards.entries)
    series = found.series(range(len(shards.entries)))
    for entry, one in zip(shards.entries, series, strict=True):
        expected = np.asarray(cnn.serving(shards.slices(entry), training=False)[0])
        np.testing.assert_allclose(one.features, expected, rtol=2e-2, atol=2e-2)
        np.testing.assert_array_equal(one.labels, entry.labels)
    assert found.values.dtype == np.float16


def test_an_interrupted_run_resumes_at_its_last_written_series(tmp_path: Path, cnn: Any) -> None:
    path, shards = tmp_path / "features.npy", Interrupted(fail_at=2)
    with pytest.raises(RuntimeError):
        write_features(cnn, shards, shards.entries, path, readers=1, save_every=1)
    assert json.loads((tmp_path / "features.json").read_text()) == {"series": 2}
    rest = Interrupted(fail_at=0)
    write_features(cnn, rest, rest.entries, path, readers=1)
    assert rest.read == len(rest.entries) - 2
    whole = FakeShards()
    write_features(cnn, whole, whole.entries, tmp_path / "whole.npy", readers=1)
    np.testing.assert_array_equal(np.load(path), np.load(tmp_path / "whole.npy"))


def test_features_of_other_shards_are_refused(tmp_path: Path) -> None:
    shards = FakeShards()
    np.save(tmp_path / "features.npy", np.zeros((3, 4), np.float16))
    with pytest.raises(TrainingError, match="run `python -m training features` again"):
        open_features(tmp_path / "features.npy", shards.entries)


def test_an_array_of_another_size_is_replaced(tmp_path: Path, cnn: Any) -> None:
    shards, path = FakeShards(), tmp_path / "features.npy"
    np.save(path, np.zeros((3, 4), np.float16))
    (tmp_path / "features.json").write_text('{"series": 3}')
    write_features(cnn, shards, shards.entries, path, readers=2)
    assert len(np.load(path)) == starts_of(shards.entries)[-1]
