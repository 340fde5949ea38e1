from pathlib import Path

import numpy as np
import pytest

from training.io.errors import TrainingError
from training.rsna.submission import slice_name, write_submission


def test_six_rows_a_slice_and_the_usual_for_what_could_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    write_submission(path, {"ID_a": np.array([0.9, 0.1, 0.2, 0.3, 0.4, 0.5])}, ["ID_a", "ID_b"], [0.14] * 6)
    lines = path.read_text().splitlines()
    assert lines[:3] == ["ID,Label", "ID_a_any,0.900000", "ID_a_epidural,0.100000"]
    assert lines[7:] == [line for line in lines[7:] if line.startswith("ID_b_") and line.endswith(",0.140000")]
    assert len(lines) == 13


def test_names_are_those_of_the_table() -> None:
    assert slice_name("stage_2_test/ID_0123.dcm") == "ID_0123"


def test_without_test_slices_there_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        write_submission(tmp_path / "submission.csv", {}, [], [])
