"""The gateway's jobs API, as far as the node needs it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

import httpx

from services.common.durable_files import fsync, write_file
from services.common.lazy_file import LazyFile
from services.common.private_folder import open_private
from services.common.tracing import method_span, trace_headers
from services.dicom_node.settings import Settings
from services.dicom_node.steps.gateway_errors import JobLost, NodeRefused, TemporaryFailure, checked

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_UPLOAD_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0, read=600.0)  # answered after all of it is on the disk
_DELETED: Final = 204
_CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of a job, under a name that says nothing."""

    name: str
    path: Path
    size: int


class GatewayJobs(Protocol):
    """Calls of `/v1/jobs`. Every method may raise the errors of `gateway_errors.py`."""

    def submit(self, key: str, files: Sequence[JobFile]) -> str:
        """Create a job; its id. The same key gives the same job."""

    def job(self, job_id: str) -> dict[str, Any]:
        """The job's document."""

    def reports(self, job_id: str) -> list[dict[str, Any]]:
        """The reports of a finished job."""

    def fetch_blood(self, job_id: str, number: int, size: int, file: Path) -> None:
        """Write the blood map of a series of the job, of so many bytes, to a file."""

    def fetch_picture(self, job_id: str, number: int, index: int, file: Path) -> None:
        """Write the picture of a key slice to a file."""

    def delete(self, job_id: str) -> bool:
        """Delete a job, or cancel it first: whether it is gone."""


class HttpGatewayJobs:
    """GatewayJobs over HTTP. The client may be used by several threads."""

    def __init__(self, http: httpx.Client, settings: Settings) -> None:
        self._http = http
        self._settings = settings

    def submit(self, key: str, files: Sequence[JobFile]) -> str:
        """Stream the files from the disk, one open at a time."""
        parts = [("files", (file.name, cast("Any", LazyFile(file.path, file.size)))) for file in files]
        query = {"blood": "true", "key_images": "true", "priority": self._settings.priority, "source": "dicom_node"}
        try:
            return str(
                self._request("POST", "/v1/jobs", params=query, files=parts, key=key, timeout=_UPLOAD_TIMEOUT).json()[
                    "id"
                ]
            )
        except JobLost as error:  # there is no job yet: the address is wrong
            raise NodeRefused(error.code) from None

    def job(self, job_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self._request("GET", f"/v1/jobs/{job_id}").json()
        return document

    def reports(self, job_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._request("GET", f"/v1/jobs/{job_id}/reports").json()["reports"]
        return found

    def fetch_blood(self, job_id: str, number: int, size: int, file: Path) -> None:
        """Stream the map to the disk; TemporaryFailure where it has another size."""
        address = f"/v1/jobs/{job_id}/series/{number}/blood"
        with self._stream(address) as response, open(file, "wb", opener=open_private) as written:
            written.writelines(response.iter_bytes(_CHUNK_BYTES))
        if file.stat().st_size != size:
            raise TemporaryFailure("blood_map_size")
        fsync(file)

    def fetch_picture(self, job_id: str, number: int, index: int, file: Path) -> None:
        response = self._request("GET", f"/v1/jobs/{job_id}/series/{number}/slices/{index}/image")
        write_file(file, response.content)

    def delete(self, job_id: str) -> bool:
        """A running job is cancelled by the first request, and deleted by the next."""
        try:
            return self._request("DELETE", f"/v1/jobs/{job_id}").status_code == _DELETED
        except JobLost:
            return True

    def _request(self, method: str, path: str, key: str | None = None, **arguments: Any) -> httpx.Response:
        headers = self._headers() if key is None else {**self._headers(), "idempotency-key": key}
        with _transport_errors(), method_span(method, "gateway") as span:
            response = self._http.request(method, path, headers={**headers, **trace_headers()}, **arguments)
            span.set("http.response.status_code", response.status_code)
        return checked(response)

    @contextmanager
    def _stream(self, path: str) -> Iterator[httpx.Response]:
        with (
            _transport_errors(),
            method_span("GET", "gateway") as span,
            self._http.stream("GET", path, headers={**self._headers(), **trace_headers()}) as response,
        ):
            span.set("http.response.status_code", response.status_code)
            if not response.is_success:
                response.read()
            yield checked(response)

    def _headers(self) -> dict[str, str]:
        """The key is read for each request: a site may renew it."""
        file = self._settings.gateway_key_file
        if file is None:
            return {}
        try:
            return {"authorization": f"Bearer {file.read_text().strip()}"}
        except OSError:
            raise NodeRefused("gateway_key_file_unreadable") from None


@contextmanager
def _transport_errors() -> Iterator[None]:
    """No connection, a time-out, or a response in another form than the gateway's."""
    try:
        yield
    except httpx.HTTPError as error:
        raise TemporaryFailure(type(error).__name__) from None
    except httpx.InvalidURL:
        raise NodeRefused("gateway_url_invalid") from None


def connect_gateway(settings: Settings) -> httpx.Client:
    """An HTTP client of the gateway, without the proxies of the environment."""
    return httpx.Client(base_url=settings.gateway_url, timeout=_TIMEOUT, trust_env=False)
