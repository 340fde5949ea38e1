"""Static files of the page and of the API's documentation, compressed once and not at each request."""

import gzip
import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_MIN_BYTES: Final = 1000
_MOST_FILES: Final = 100
_KEPT_HEADERS: Final = ("content-type", "etag", "last-modified")


class CompressedFiles(StaticFiles):
    """Files of a folder; a client that accepts gzip gets the compressed file from memory."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """As in the base class. It runs in a thread, so the first request of a file compresses it there."""
        full_path, found = super().lookup_path(path)
        if found is not None:
            _compressed(full_path, found.st_mtime_ns, found.st_size)
        return full_path, found

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The compressed file where the client accepts it, and asks for no range."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        packed = _compressed(os.fspath(full_path), stat_result.st_mtime_ns, stat_result.st_size)
        asked = Headers(scope=scope)
        if packed is None or "range" in asked or "gzip" not in asked.get("accept-encoding", ""):
            return response
        return _packed_response(response, packed) if isinstance(response, FileResponse) else response


def compress_mount(routes: list[object], path: str) -> None:
    """Serve the static files that a package mounted at a path as `CompressedFiles`."""
    for route in routes:
        if isinstance(route, Mount) and route.path == path and isinstance(route.app, StaticFiles):
            route.app = CompressedFiles(directory=route.app.directory)


def _packed_response(response: FileResponse, packed: bytes) -> Response:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS}
    return Response(packed, response.status_code, {**headers, "content-encoding": "gzip", "vary": "Accept-Encoding"})


@lru_cache(maxsize=_MOST_FILES)
def _compressed(path: str, changed_ns: int, size: int) -> bytes | None:  # noqa: ARG001 - a changed file is read again
    """A file by gzip; None of a small one, and where it does not shrink."""
    if size < _MIN_BYTES or not Path(path).is_file():
        return None
    data = Path(path).read_bytes()
    packed = gzip.compress(data, mtime=0)
    return packed if len(packed) < len(data) else None
