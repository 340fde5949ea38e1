import pickle
from pathlib import Path

import numpy as np
import pytest

from training.networks.imagenet import lite0_weights, read_weights


def test_the_wheel_holds_lite0() -> None:
    weights = lite0_weights()
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].shape == (1000, 1280)
    assert sum(values.size for values in weights.values()) == pytest.approx(4.69e6, rel=0.01)
    assert all(np.isfinite(values).all() for values in weights.values())
    assert np.all(weights["_bn0.running_var"] >= 0)


def test_the_last_layers_rows_are_classes() -> None:
    # Each class of ImageNet has weights of its own; a transposed or shifted tensor would not be centred by rows.
    rows = lite0_weights()["_fc.weight"]
    assert np.abs(rows.mean(axis=0)).max() < 0.05


def test_a_file_that_names_other_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "touched",))

    data = b"".join(pickle.dumps(value, protocol=2) for value in (1, 2, 3, Trap()))
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        read_weights(data)
    assert not (tmp_path / "touched").exists()
