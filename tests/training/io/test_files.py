from pathlib import Path

import pyarrow as pa
import pytest

from training.io.errors import TrainingError
from training.io.files import write_atomically
from training.io.tables import read_table, table_digest, write_table

TABLE = pa.table({"number": [1, 2]})


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("before")

    def fail(part: Path) -> None:
        part.write_text("half of")
        raise InterruptedError

    with pytest.raises(TrainingError):
        write_atomically(path, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]
    assert path.read_text() == "before"


def test_a_folder_that_is_not_writable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot be written: .+\.$"):
        write_atomically(tmp_path / "file" / "inside.txt", lambda part: part.write_text("no"))


def test_a_table_carries_the_digest_of_its_inputs(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "table.parquet"
    write_table(path, TABLE, "abc")
    assert table_digest(path) == "abc"
    assert read_table(path, "index").equals(TABLE)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_a_missing_or_damaged_table_is_an_error_that_names_its_step(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "table.parquet"
    if content is not None:
        path.write_bytes(content)
    assert table_digest(path) is None
    with pytest.raises(TrainingError, match="`python -m training index` makes it"):
        read_table(path, "index")
