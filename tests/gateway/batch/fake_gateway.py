"""A gateway with jobs in memory: a folder is a series, and each request for a job adds one report."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

NAME = re.compile(rb'filename="([^"]+)"')


@dataclass
class FakeJob:
    id: str
    query: dict[str, str]
    names: list[str]
    reported: list[int] = field(default_factory=list)
    status: str = "running"
    left_out_code: str = "not_dicom"
    warnings: list[dict[str, str]] = field(default_factory=list)
    series_present: int = 0
    series_with_warnings: int = 0
    failing: tuple[str, ...] = ()

    @property
    def series(self) -> list[str]:
        return sorted({name.rpartition("/")[0] for name in self.names if not name.endswith(".txt")})

    def advance(self) -> None:
        """Add one report, not in the order of the series: the second first."""
        left = [number for number in range(len(self.series)) if number not in self.reported]
        if left:
            self.reported.append(left[min(1, len(left) - 1)])
        if len(left) <= 1 and self.status == "running":
            self.status = "finished" if self.series else "failed"

    def document(self) -> dict[str, Any]:
        left_out = [name for name in self.names if name.endswith(".txt")]
        progress = {"series_done": len(self.reported), "series": len(self.series)}
        return {
            "id": self.id,
            "status": self.status,
            "progress": {**progress, "slices_done": len(self.reported), "slices": len(self.series)},
            "counts": {"assessed": len(self.reported), "not_assessed": 0, "failed": 0},
            "ended": None if self.status == "running" else "2026-01-01T00:00:00Z",
            "left_out": [{"file": name, "code": self.left_out_code, "reason": "why"} for name in left_out],
            "left_out_total": len(left_out),
            "problem": None,
            "warnings": self.warnings,
            "series_present": self.series_present,
            "series_with_warnings": self.series_with_warnings,
        }

    def reports(self, after: int) -> list[dict[str, Any]]:
        return [self.report(number) for number in sorted(self.reported) if number > after]

    def report(self, number: int) -> dict[str, Any]:
        series = {"study_instance_uid": "2.25.1", "series_instance_uid": self.series[number], "slices": 1}
        if self.series[number] in self.failing:
            problem = {"code": "unusable_files", "title": "A file cannot be read", "detail": "0.dcm: the file is cut"}
            return {"id": f"{self.id}-{number:06d}", "status": "failed", "series": series, "problem": problem}
        slices = [{"file": f"{self.series[number]}/0.dcm"}]
        return {
            "id": f"{self.id}-{number:06d}",
            "status": "assessed",
            "series": series,
            "slices": slices,
            "reasons": [],
        }


@dataclass
class FakeGateway:
    """`intercept(request)` may answer instead. `checkpoint()` may break the connection before or after the response."""

    intercept: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    checkpoint: Callable[[], None] = lambda: None
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    uploads: int = 0
    left_out_code: str = "not_dicom"
    warnings: list[dict[str, str]] = field(default_factory=list)
    series_present: int = 0
    series_with_warnings: int = 0
    failing: tuple[str, ...] = ()
    _numbers: Any = field(default_factory=count)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._handle), base_url="http://gateway")

    def delete(self, job_id: str) -> None:
        del self.jobs[job_id]
        self.by_key = {key: known for key, known in self.by_key.items() if known != job_id}

    def _handle(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.checkpoint()
        answer = self.intercept(request) or self._answer(request, body)
        self.checkpoint()
        return answer

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        if request.method == "POST":
            return self._accept(request, body)
        _, _, _, job_id, *rest = request.url.path.split("/")
        if (job := self.jobs.get(job_id)) is None:
            return problem(404, "not_found", "no such job")
        if request.method == "DELETE":
            self.delete(job_id)
            self.deleted.append(job_id)
            return httpx.Response(204)
        if rest:
            return httpx.Response(200, json={"reports": job.reports(int(request.url.params["after"])), "next": None})
        job.advance()
        return httpx.Response(200, json=job.document())

    def _accept(self, request: httpx.Request, body: bytes) -> httpx.Response:
        self.uploads += 1
        key, names = request.headers["idempotency-key"], [name.decode() for name in NAME.findall(body)]
        if key not in self.by_key:
            job = FakeJob(
                f"{next(self._numbers):028x}",
                dict(request.url.params),
                names,
                left_out_code=self.left_out_code,
                warnings=self.warnings,
                series_present=self.series_present,
                series_with_warnings=self.series_with_warnings,
                failing=self.failing,
            )
            self.jobs[job.id], self.by_key[key] = job, job.id
        assert self.jobs[self.by_key[key]].names == names
        return httpx.Response(202, json={"id": self.by_key[key]})


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    document = {"title": code.replace("_", " "), "status": status, "code": code, "detail": detail, **more}
    return httpx.Response(status, content=json.dumps(document), headers=headers)
