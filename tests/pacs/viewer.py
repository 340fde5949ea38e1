"""The prebuilt OHIF viewer on Orthanc, under one address, as deploy/ohif/nginx.conf serves them."""

import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tests.running import ROOT

PACKAGE: Final = "@ohif/app@3.13.2"
_FOLDER: Final = ROOT / ".run" / "ohif-3.13.2"
_SETTINGS: Final = ROOT / "deploy" / "ohif" / "app-config.js"
_ISOLATED: Final = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


def fetch_viewer(seconds: float = 300) -> Path | None:
    """Fetch the viewer by npm, once; its folder, or None where npm or its registry is missing."""
    if (_FOLDER / "package" / "dist").exists():
        return _FOLDER / "package" / "dist"
    npm = shutil.which("npm")
    if npm is None:
        return None
    _FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        packed = subprocess.run([npm, "pack", PACKAGE], cwd=_FOLDER, capture_output=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    if packed.returncode:
        return None
    (archive,) = _FOLDER.glob("*.tgz")
    with tarfile.open(archive) as package:
        package.extractall(_FOLDER, filter="data")
    archive.unlink()
    return _FOLDER / "package" / "dist"


class _Handler(SimpleHTTPRequestHandler):
    """Files of the viewer, its settings, and the DICOMweb of Orthanc."""

    def __init__(self, *arguments: Any, dicom_web: str, dist: Path) -> None:
        self._dicom_web, self._dist = dicom_web, dist
        super().__init__(*arguments, directory=str(dist))

    def do_GET(self) -> None:
        if self.path.startswith("/dicom-web/"):
            self._forward()
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        """The settings of deploy/ohif; the viewer's page for its own addresses."""
        name = urlsplit(path).path
        if name == "/app-config.js":
            return str(_SETTINGS)
        return super().translate_path(path if (self._dist / name.lstrip("/")).is_file() else "/index.html")

    def end_headers(self) -> None:
        for name, value in _ISOLATED.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        """Print nothing."""

    def _forward(self) -> None:
        headers = {"Accept": self.headers.get("Accept", "*/*"), "Host": self.headers["Host"]}
        answer = httpx.get(self._dicom_web + self.path.removeprefix("/dicom-web"), headers=headers, timeout=60)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("content-type", "application/octet-stream"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)


@contextmanager
def serving_viewer(dist: Path, dicom_web: str) -> Iterator[str]:
    """Serve the viewer on a free port; its address."""
    handler = partial(_Handler, dicom_web=dicom_web, dist=dist)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
