"""The batch client's requests to `/v1/jobs`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from services.common.lazy_file import LazyFile
from services.gateway.batch.uploads import Upload
from services.gateway.client import GatewayClient, RequestRefused
from services.gateway.client_files import file_part

_PAGE: Final = 50
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class JobsClient:
    """Creates, reads and deletes jobs. Every call raises the errors of `GatewayClient.request`."""

    gateway: GatewayClient

    def create(self, upload: Upload, key: str, query: dict[str, str], on_read: Callable[[int], None]) -> str:
        """Send a job; its id. The same idempotency key gives the same id."""
        parts = [file_part(file.name, LazyFile(file.path, file.size, on_read)) for file in upload.files]
        headers = {"idempotency-key": key}
        response = self.gateway.request("POST", "/v1/jobs", params=query, files=parts, headers=headers)
        return str(response.json()["id"])

    def get(self, job_id: str) -> dict[str, Any] | None:
        """The job's document; None where the gateway has deleted the job."""
        return self._unless_deleted("GET", f"/v1/jobs/{job_id}")

    def reports(self, job_id: str, after: int, *, gaps: bool = False) -> list[tuple[int, dict[str, Any]]]:
        """One page of reports with their numbers, beginning behind the number `after`.

        gaps : also return reports behind one that is still missing
        """
        query = {"after": after, "limit": _PAGE}
        page = self._unless_deleted("GET", f"/v1/jobs/{job_id}/reports", params=query)
        found = [(report_number(report), report) for report in page["reports"]] if page else []
        return [item for expected, item in enumerate(found, start=after + 1) if gaps or item[0] == expected]

    def delete(self, job_id: str) -> None:
        """Delete a job that has ended."""
        self._unless_deleted("DELETE", f"/v1/jobs/{job_id}")

    def _unless_deleted(self, method: str, path: str, **arguments: Any) -> dict[str, Any] | None:
        try:
            response = self.gateway.request(method, path, **arguments)
        except RequestRefused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None
        document: dict[str, Any] | None = response.json() if response.content else None
        return document


def report_number(report: dict[str, Any]) -> int:
    """The number of a report's series in its job: the end of the report's id."""
    return int(report["id"].rpartition("-")[2])
