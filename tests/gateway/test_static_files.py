import gzip
import os
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from services.gateway.static_files import CompressedFiles, compress_mount

pytestmark = pytest.mark.anyio
TEXT = b"a text of the page; " * 200


async def _get(folder: Path, name: str, **headers: str) -> httpx.Response:
    app = Starlette(routes=[Mount("/files", StaticFiles(directory=folder))])
    compress_mount([*app.routes], "/files")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.get(f"/files/{name}", headers={"accept-encoding": "identity", **headers})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.js").write_bytes(TEXT)
    (tmp_path / "small.js").write_bytes(b"1")
    (tmp_path / "noise.png").write_bytes(os.urandom(5000))
    return tmp_path


async def test_a_client_that_accepts_gzip_gets_the_same_file_compressed(folder: Path) -> None:
    plain, packed = await _get(folder, "a.js"), await _get(folder, "a.js", **{"accept-encoding": "gzip"})
    assert plain.content == packed.content == TEXT
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert int(packed.headers["content-length"]) < len(TEXT) // 10
    for name in ("etag", "content-type", "last-modified"):
        assert packed.headers[name] == plain.headers[name]


@pytest.mark.parametrize("name", ["small.js", "noise.png"])
async def test_a_file_that_does_not_shrink_is_sent_as_it_is(folder: Path, name: str) -> None:
    assert "content-encoding" not in (await _get(folder, name, **{"accept-encoding": "gzip"})).headers


async def test_a_range_and_an_unchanged_file_are_not_compressed(folder: Path) -> None:
    part = await _get(folder, "a.js", **{"accept-encoding": "gzip", "range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, TEXT[2:6])
    known = await _get(folder, "a.js", **{"accept-encoding": "gzip", "if-none-match": part.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


async def test_a_changed_file_is_compressed_again(folder: Path) -> None:
    await _get(folder, "a.js", **{"accept-encoding": "gzip"})
    (folder / "a.js").write_bytes(TEXT.upper())
    assert (await _get(folder, "a.js", **{"accept-encoding": "gzip"})).content == TEXT.upper()


def test_a_file_is_compressed_once(folder: Path) -> None:
    files = CompressedFiles(directory=folder)
    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")]}
    path, found = files.lookup_path("a.js")
    assert found is not None
    one, other = (files.file_response(path, found, scope) for _ in range(2))
    assert one.body is other.body
    assert gzip.decompress(bytes(one.body)) == TEXT
