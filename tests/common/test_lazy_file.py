from pathlib import Path

import pytest

from services.common.lazy_file import LazyFile, UnreadableFile


def test_a_file_is_open_only_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    sizes: list[int] = []
    file = LazyFile(path, 10, sizes.append)
    assert file.seek(0, 2) == file.tell() == 10
    for _ in range(2):  # a retry reads the file again
        file.seek(0)
        assert [file.read(4), file.read(4), file.read(4), file.read(4)] == [b"0123", b"4567", b"89", b""]
    assert sum(sizes) == 20


@pytest.mark.parametrize("now", [b"short", b"longer than it was", None])
def test_a_file_that_changes_is_an_error(tmp_path: Path, now: bytes | None) -> None:
    path = tmp_path / "a"
    file = LazyFile(path, 10)
    if now is not None:
        path.write_bytes(now)
    with pytest.raises(UnreadableFile, match="changed while it was sent" if now else "No such file"):
        list(iter(lambda: file.read(8), b""))
