import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.openapi import PREDICTION_ANSWERS
from services.gateway.send import Failure, files_of, predict, table, wait_until_ready

EXAMPLES = PREDICTION_ANSWERS[200]["content"]["application/json"]["examples"]


def _client(status: int, document: Any) -> httpx.Client:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json=document))
    return httpx.Client(transport=answer, base_url="http://gateway")


def test_a_report_as_a_table() -> None:
    lines = "\n".join(table(EXAMPLES["assessed"]["value"]))
    assert "intraparenchymal   0.9600  present" in lines
    assert "slice.dcm" in lines
    assert "Research software, not a medical device" in lines


def test_what_is_not_assessed_says_why_and_shows_no_number() -> None:
    lines = "\n".join(table(EXAMPLES["not_assessed"]["value"]))
    assert lines.startswith("not_assessed")
    assert "refuse: The pixels do not look like a head." in lines
    assert "present" not in lines


def test_a_problem_is_told_in_the_gateway_s_words(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"text")
    problem = {"title": "This is no DICOM", "detail": "a.dcm: neither DICOM nor PNG"}
    with pytest.raises(Failure, match=r"415 This is no DICOM: a\.dcm: neither DICOM nor PNG"):
        predict(_client(415, problem), [tmp_path / "a.dcm"], None)


def test_waiting_ends_with_the_reason() -> None:
    with pytest.raises(Failure, match="cnn cannot be reached"):
        wait_until_ready(_client(503, {"detail": "cnn cannot be reached"}), 0.4)
    wait_until_ready(_client(200, {}), 0)


def test_folders_are_walked_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b.dcm", "sub/a.dcm", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(name))
    assert [path.name for path in files_of([tmp_path])] == ["b.dcm", "a.dcm"]
    with pytest.raises(Failure, match="no such file"):
        files_of([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(Failure, match="no files"):
        files_of([tmp_path / "empty"])
