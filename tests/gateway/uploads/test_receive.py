import asyncio
import errno
import io
import threading
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio
import pytest
from anyio import to_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from services.common.problems import BadRequest, ContentTooLarge, Problem
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.multipart_form import UnknownField, UnsupportedEncoding
from services.gateway.uploads.receive import receive
from services.gateway.uploads.spool import Spool, SpoolFolder, SpoolFull, UploadedFile

LIMITS = Limits(max_bytes=10_000, max_files=5, max_ratio=100)
DATA = st.binary(max_size=300).map(lambda data: b"slice" + data)  # never the signature of an archive
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


def _part(headers: str, data: bytes = b"data") -> bytes:
    return f"--b\r\n{headers}\r\n\r\n".encode() + data + b"\r\n"


FILE = _part('Content-Disposition: form-data; name="files"; filename="a.dcm"', b"first")
END = b"--b--\r\n"


async def _received(root: Path, body: bytes, piece_bytes: int = 100) -> list[tuple[str, bytes, int]]:
    spool = Spool(root)
    spool.open()
    async with spool.folder() as folder:
        files = await receive(_request(body, piece_bytes), folder, LIMITS)
        return [(file.name, file.path.read_bytes(), file.size) for file in files]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(files=st.lists(st.tuples(NAMES, DATA), min_size=1, max_size=5), piece=st.integers(1, 400))
def test_files_are_received_unchanged_in_pieces_of_any_size(
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
def test_an_upload_beyond_the_limits_is_refused_and_removed(tmp_path: Path, files: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ContentTooLarge):
        anyio.run(_received, tmp_path, _body(files))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_problem() -> None:
    class FullFolder(SpoolFolder):
        def create(self) -> BinaryIO:
            return open("/dev/full", "wb", buffering=0)  # noqa: PTH123 - a device that is always full

    with pytest.raises(SpoolFull):
        anyio.run(receive, _request(_body([("a", b"x" * 100)]), 50), FullFolder(Path("/")), LIMITS)


class BlockedFile(io.FileIO):
    """Each write waits until `resume` is set; notes whether it was closed during one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self.begun, self.resume = threading.Event(), threading.Event()
        self.closed_during_write = False

    def write(self, data: Any) -> int:
        self.begun.set()
        self.resume.wait(10)
        return len(data)

    def close(self) -> None:
        self.closed_during_write |= self.begun.is_set() and not self.resume.is_set()
        super().close()


def test_a_cancelled_upload_closes_its_file_after_the_write_in_progress(tmp_path: Path) -> None:
    file = BlockedFile(tmp_path / "file")

    class Folder(SpoolFolder):
        def create(self) -> BinaryIO:
            return cast("BinaryIO", file)

    async def cancel() -> None:
        receiving = asyncio.create_task(receive(_request(_body([("a", b"x")]), 1000), Folder(tmp_path), LIMITS))
        await to_thread.run_sync(file.begun.wait, 10)
        receiving.cancel()
        for _ in range(100):  # the cancellation reaches the upload
            await asyncio.sleep(0)
        file.resume.set()
        await asyncio.gather(receiving, return_exceptions=True)

    anyio.run(cancel)
    assert (file.closed, file.closed_during_write) == (True, False)


async def _use(spool: Spool) -> None:
    async with spool.folder():
        pass


def test_a_disk_without_room_for_a_folder_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("services.gateway.uploads.spool.tempfile.mkdtemp", full)
    with pytest.raises(SpoolFull):
        anyio.run(_use, Spool(tmp_path))


def test_only_folders_of_a_crash_are_removed_at_start(tmp_path: Path) -> None:
    (tmp_path / "upload-left").mkdir()
    (tmp_path / "upload-left" / "000001").write_bytes(b"x")
    (tmp_path / "mine.txt").write_text("kept")
    Spool(tmp_path).open()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


async def _turns(root: Path, body: bytes) -> int:
    """How often an upload waits for its turn to unpack."""
    spool, turns = Spool(root), list[int]()
    spool.open()

    @asynccontextmanager
    async def unpacking() -> AsyncIterator[None]:
        turns.append(1)
        yield

    async with spool.folder() as folder:
        await receive(_request(body, 100), folder, LIMITS, unpacking())
    return len(turns)


def test_only_an_upload_with_an_archive_waits_for_a_turn_to_unpack(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("b.dcm", b"slice")
    assert anyio.run(_turns, tmp_path, _body([("a.dcm", b"slice")])) == 0
    assert anyio.run(_turns, tmp_path, _body([("a.dcm", b"slice"), ("b.zip", packed.getvalue())])) == 1


def test_limits_shrink_by_the_files() -> None:
    used = [UploadedFile("a", Path("a"), 4_000)]
    rest = Limits(max_bytes=6_000, max_files=4, max_ratio=100, max_entries=25, upload=LIMITS)
    assert LIMITS.minus(used) == rest
    assert rest.minus(used).upload == LIMITS
    assert LIMITS.minus(used).plus(*used) == LIMITS.minus([])


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("form-data; name=files; filename*=utf-8''Sch%C3%A4del.dcm", "Schädel.dcm"),
        ('form-data; name=files; filename=""', "part 2"),
        ("form-data; name=files", "part 2"),
        ("form-data; name=scan; filename=b.dcm", "b.dcm"),
        ('form-data; name=scan; filename=""', "part 2"),
        ("attachment; filename=b.dcm", "b.dcm"),
    ],
)
def test_file_parts_of_any_name_and_field_are_received(tmp_path: Path, disposition: str, name: str) -> None:
    body = FILE + _part(f"Content-Disposition: {disposition}") + END
    got = anyio.run(_received, tmp_path, body)
    assert [(file, data) for file, data, _ in got] == [("a.dcm", b"first"), (name, b"data")]


@pytest.mark.parametrize("disposition", ['form-data; name=files; filename=""', "form-data; name=note", "form-data"])
def test_a_part_without_name_and_data_is_ignored(tmp_path: Path, disposition: str) -> None:
    body = FILE + _part(f"Content-Disposition: {disposition}", b"") + END
    assert [file[:2] for file in anyio.run(_received, tmp_path, body)] == [("a.dcm", b"first")]


@pytest.mark.parametrize(
    ("headers", "kind", "words"),
    [
        ("Content-Disposition: form-data; name=operating_point", UnknownField, "part 1: the form field 'operating_poi"),
        ("Content-Disposition: form-data", UnknownField, "part 1: a part without a field name"),
        ("Content-Type: application/dicom", UnknownField, "part 1: a part without a field name"),
        ("Content-Disposition: form-data; name=files; filename=b.dcm\r\nContent-Transfer-Encoding: base64",
         UnsupportedEncoding, "b.dcm: Content-Transfer-Encoding base64"),
        ("Content-Disposition: form-data; name=files\r\nContent-Encoding: gzip",
         UnsupportedEncoding, "part 1: Content-Encoding gzip"),
        ("Content-Disposition: form-data; name=files\r\nContent-Type: multipart/mixed; boundary=c",
         UnsupportedEncoding, "part 1: Content-Type multipart/mixed"),
    ],
)  # fmt: skip
def test_a_part_that_is_no_file_is_refused_by_name(
    tmp_path: Path, headers: str, kind: type[Problem], words: str
) -> None:
    with pytest.raises(kind) as refused:
        anyio.run(_received, tmp_path, _part(headers) + FILE + END)
    assert refused.value.detail.startswith(words)
    (named,) = refused.value.extra["files"]
    assert f"{named['file']}: {named['reason']}" == refused.value.detail.removesuffix(".")
    assert named["code"] == kind.code


def test_every_refused_part_is_named_up_to_a_hundred(tmp_path: Path) -> None:
    for sent, named in ((3, 3), (500, 100)):
        with pytest.raises(UnknownField) as refused:
            anyio.run(_received, tmp_path, _part("Content-Disposition: form-data; name=x") * sent + FILE + END)
        assert len(refused.value.extra["files"]) == named


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    "body", [FILE + END + FILE + END, FILE + END + b"\r\nmore", b"\r\nmore\r\n" + FILE + END, b"more" + FILE + END]
)
def test_a_preamble_or_epilogue_is_refused(tmp_path: Path, body: bytes, piece_bytes: int) -> None:
    with pytest.raises(BadRequest):
        anyio.run(_received, tmp_path, body, piece_bytes)


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 10_000])
def test_blank_lines_around_the_parts_are_ignored(tmp_path: Path, piece_bytes: int) -> None:
    (got,) = anyio.run(_received, tmp_path, b"\r\n" + FILE + END + b"\r\n\r\n", piece_bytes)
    assert got[:2] == ("a.dcm", b"first")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip"])
def test_an_encoded_body_is_refused(tmp_path: Path, coding: str) -> None:
    request = _request(_body([("a", b"x")]), 100)
    request.scope["headers"].append((b"content-encoding", coding.encode()))
    with pytest.raises(UnsupportedEncoding) as refused:
        anyio.run(receive, request, SpoolFolder(tmp_path), LIMITS)
    assert coding in refused.value.detail
    assert refused.value.headers() == {"accept-encoding": "identity"}


def test_a_boundary_that_is_too_long_is_400(tmp_path: Path) -> None:
    request = _request(b"", 100)
    request.scope["headers"] = [(b"content-type", b"multipart/form-data; boundary=" + b"b" * 300)]
    with pytest.raises(BadRequest):
        anyio.run(receive, request, SpoolFolder(tmp_path), LIMITS)
