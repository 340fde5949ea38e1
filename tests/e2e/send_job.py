"""Sends jobs to the product as a program does."""

import time
from collections.abc import Mapping

import httpx

from tests.running import Service


def finished_job(service: Service, files: Mapping[str, bytes], **query: str) -> str:
    """Send files as a job and wait until it has ended; its id."""
    parts = [("files", (name, content)) for name, content in files.items()]
    with httpx.Client(base_url=service.url, timeout=120) as client:
        response = client.post("/v1/jobs", files=parts, params={"blood": "true", **query})
        assert response.status_code == 202, response.text
        job = str(response.json()["id"])
        deadline = time.monotonic() + 120
        while client.get(f"/v1/jobs/{job}").json()["status"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    return job
