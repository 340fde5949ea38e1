import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from services.common.problems import PayloadTooLarge
from services.gateway.archives import Limits
from services.gateway.spool import Spool, SpoolFolder, SpoolFull, UploadedFile
from services.gateway.uploads import receive

LIMITS = Limits(max_bytes=10_000, max_files=5, max_ratio=100)
DATA = st.binary(max_size=300).filter(lambda data: not data.startswith(b"PK"))
NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"\\'), min_size=1, max_size=20)


def _body(files: Sequence[tuple[str, bytes]]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + b"--b--\r\n"


def _request(body: bytes, piece_bytes: int) -> Request:
    pieces = [body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]

    async def read() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    return Request({"type": "http", "method": "POST", "headers": headers}, read)


async def _received(root: Path, body: bytes, piece_bytes: int = 100) -> list[tuple[str, bytes, int]]:
    spool = Spool(root)
    spool.open()
    async with spool.folder() as folder:
        files = await receive(_request(body, piece_bytes), folder, LIMITS)
        return [(file.name, file.path.read_bytes(), file.size) for file in files]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(files=st.lists(st.tuples(NAMES, DATA), min_size=1, max_size=5), piece=st.integers(1, 400))
def test_files_arrive_as_they_were_sent_however_the_body_is_cut(
    tmp_path: Path, files: list[tuple[str, bytes]], piece: int
) -> None:
    got = anyio.run(_received, tmp_path, _body(files), piece)
    assert [(name, data) for name, data, _ in got] == files
    assert all(len(data) == size for _, data, size in got)


def test_names_never_become_paths(tmp_path: Path) -> None:
    (got,) = anyio.run(_received, tmp_path, _body([("../../etc/passwd", b"x")]))
    assert got[0] == "../../etc/passwd"
    assert not list(tmp_path.iterdir()), "the request's folder is gone, and nothing was written beside it"


@pytest.mark.parametrize("files", [[("a", bytes(10_001))], [(str(index), b"") for index in range(6)]])
def test_more_than_the_limits_is_refused_and_leaves_nothing(tmp_path: Path, files: list[tuple[str, bytes]]) -> None:
    with pytest.raises(PayloadTooLarge):
        anyio.run(_received, tmp_path, _body(files))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told() -> None:
    class FullFolder(SpoolFolder):
        def create(self) -> BinaryIO:
            return open("/dev/full", "wb", buffering=0)  # noqa: PTH123 - a device that is always full

    with pytest.raises(SpoolFull):
        anyio.run(receive, _request(_body([("a", b"x" * 100)]), 50), FullFolder(Path("/")), LIMITS)


async def _use(spool: Spool) -> None:
    async with spool.folder():
        pass


def test_a_disk_without_room_for_a_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("services.gateway.spool.tempfile.mkdtemp", full)
    with pytest.raises(SpoolFull):
        anyio.run(_use, Spool(tmp_path))


def test_what_a_crash_left_is_swept_at_the_next_start_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "upload-left").mkdir()
    (tmp_path / "upload-left" / "000001").write_bytes(b"x")
    (tmp_path / "mine.txt").write_text("kept")
    Spool(tmp_path).open()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_limits_shrink_by_what_is_used() -> None:
    used = [UploadedFile("a", Path("a"), 4_000)]
    assert LIMITS.less(used) == Limits(max_bytes=6_000, max_files=4, max_ratio=100)
