from pathlib import Path

import pytest

from tests.drill.disk import filled, small_disk


def test_a_small_disk_is_filled_and_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, 1) as small:
        if small:
            with filled(folder), pytest.raises(OSError, match="No space"):
                (folder / "more").write_bytes(b"x")
        (folder / "again").write_bytes(b"x")
    assert not folder.exists()
