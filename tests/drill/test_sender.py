"""Tests of the tally, with a gateway that loses and duplicates reports."""

import json

import httpx
import pytest

from tests.drill.sender import Sender, Tally


def _gateway(reports: dict[str, list[tuple[str, str]]]) -> httpx.Client:
    """A gateway with these jobs, each with (series UID, status) of its reports."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/jobs":
            return httpx.Response(200, json={"jobs": [{"id": job_id} for job_id in reports], "next": None})
        found = reports[request.url.path.split("/")[3]]
        lines = [json.dumps({"status": status, "series": {"series_instance_uid": uid}}) for uid, status in found]
        return httpx.Response(200, text="".join(f"{line}\n" for line in lines))

    return httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(respond))


@pytest.mark.parametrize(
    ("reports", "tally"),
    [
        ({"a": [("1", "assessed"), ("2", "assessed")]}, Tally(2, 2, 0, 0)),
        ({"a": [("1", "assessed")]}, Tally(2, 1, 1, 0)),
        ({"a": [("1", "assessed"), ("2", "failed")]}, Tally(2, 1, 1, 0)),
        ({"a": [("1", "assessed"), ("1", "assessed"), ("2", "assessed")]}, Tally(2, 2, 0, 1)),
        ({"a": [("1", "assessed"), ("2", "assessed")], "b": []}, Tally(2, 2, 0, 1)),
        ({}, Tally(2, 0, 2, 0)),
    ],
    ids=["good", "lost", "failed", "duplicate", "duplicate job", "lost job"],
)
def test_lost_and_duplicate_series_are_counted(reports: dict[str, list[tuple[str, str]]], tally: Tally) -> None:
    with _gateway(reports) as client:
        assert Sender(client, 0.0, jobs={"a": {"1", "2"}}).tally() == tally


def test_a_refused_job_is_sent_again_with_the_same_key_and_content() -> None:
    seen = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["idempotency-key"], request.content))
        if len(seen) == 1:
            return httpx.Response(503, json={"code": "no_space"})
        return httpx.Response(202, json={"id": "a"})

    with httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(respond)) as client:
        sender = Sender(client, float("inf"))
        assert sender.send(1, slices=1) == "a"
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert sender.refusals == ["503 no_space"]
