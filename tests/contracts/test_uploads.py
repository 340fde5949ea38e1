"""Each part of a random upload is assessed, set aside or refused by name."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contracts.conftest import Chain
from tests.contracts.random_uploads import CONTENT_TYPE, Upload, uploads

pytestmark = pytest.mark.anyio


def named(problem: dict[str, Any]) -> set[str]:
    """The files that a problem names."""
    return {file["file"] for file in problem.get("files", ())}


def _noted(report: dict[str, Any]) -> list[str]:
    notes = (reason["detail"] for reason in report["reasons"] if reason["code"] == "file_set_aside")
    return [note.rpartition(": ")[0] for note in notes]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(upload=uploads())
async def test_every_part_is_assessed_set_aside_or_refused_by_name(chain: Chain, upload: Upload) -> None:
    answer = await chain.client.post("/v1/predictions", content=upload.body, headers=CONTENT_TYPE)
    document = answer.json()
    if answer.status_code == 200:
        assert not upload.parts | upload.archives | upload.corrupt | upload.cut
        assert {item["file"] for item in document["slices"]} == upload.slices
        shown = _noted(document)
        more = sum(int(note.split()[-2]) for note in shown if note.endswith(" more"))
        assert len(shown) + more == len(upload.aside)
        assert {note.partition(" and ")[0] for note in shown} <= upload.aside
        return
    expected = [upload.parts, upload.archives, upload.corrupt | upload.cut, set() if upload.slices else upload.aside]
    bad = next(filter(None, expected), set())
    assert answer.status_code in (400, 415, 422)
    assert named(document) == bad
    assert bad or document["code"] == "no_files"
