from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.client import Failure
from services.gateway.openapi import PREDICTION_ANSWERS
from services.gateway.send import predict, table

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
