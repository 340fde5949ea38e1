from pathlib import Path

import pytest

from tests.drill.disk import filled, small_disk


def test_a_small_disk_can_be_full_and_is_empty_again(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, 1) as small:
        if small:
            with filled(folder), pytest.raises(OSError, match="No space"):
                (folder / "more").write_bytes(b"x")
        (folder / "again").write_bytes(b"x")
    assert not folder.exists()
