import errno
from pathlib import Path

import pytest

from training.io.errors import TrainingError, translate_write_errors


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_an_error_with_the_remedy(number: int) -> None:
    with (
        pytest.raises(TrainingError, match=r"No space is left for a\.bin: make room .* it resumes"),
        translate_write_errors(Path("a.bin")),
    ):
        raise OSError(number, "full")


def test_another_write_error_names_file_and_reason() -> None:
    with (
        pytest.raises(TrainingError, match=r"a\.bin cannot be written: Permission denied\."),
        translate_write_errors(Path("a.bin")),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_errors_of_the_program_are_not_translated() -> None:
    with pytest.raises(ValueError, match="ours"), translate_write_errors(Path("a.bin")):
        raise ValueError("ours")


def test_without_an_error_nothing_happens(tmp_path: Path) -> None:
    with translate_write_errors(tmp_path / "a.bin"):
        (tmp_path / "a.bin").write_bytes(b"1")
    assert (tmp_path / "a.bin").read_bytes() == b"1"
