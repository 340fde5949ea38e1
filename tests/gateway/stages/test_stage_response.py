import json

import pytest

from services.common.schemas import Evidence
from services.common.tensors import Message, Tensor, bytes_tensor
from services.gateway.stages.stage_problems import StageFailed
from services.gateway.stages.stage_response import StageResponse

FEATURES = Tensor("features", "FP32", (2, 3), (bytes(24),))
EVIDENCE = bytes_tensor("evidence", [b"{}", b'{"failed": "truncated"}'])
RESPONSE = StageResponse("cnn", Message((FEATURES, EVIDENCE), {"recipe": "r1", "rows": 2}), 1.5)


def test_a_tensor_fits_its_datatype_and_shape() -> None:
    assert RESPONSE.tensor("features", "FP32", (2, None)) is FEATURES


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "reason"),
    [
        ("scores", "FP32", (2, 3), "the tensor 'scores' is missing"),
        ("features", "INT32", (2, 3), "'features' is FP32 [2, 3]; it must be INT32 [2, 3]"),
        ("features", "FP32", (3, None), "'features' is FP32 [2, 3]; it must be FP32 [3, 'any']"),
        ("features", "FP32", (2,), "'features' is FP32 [2, 3]; it must be FP32 [2]"),
    ],
)
def test_another_tensor_names_stage_and_difference(name: str, datatype: str, shape: tuple[int], reason: str) -> None:
    with pytest.raises(StageFailed) as failed:
        RESPONSE.tensor(name, datatype, shape)
    assert failed.value.detail == f"malformed response of cnn: {reason}"
    assert (failed.value.status, failed.value.extra) == (502, {"stage": "cnn"})


def test_documents_are_read_by_their_schema() -> None:
    assert [item.failed for item in RESPONSE.documents("evidence", 2, Evidence)] == [None, "truncated"]


@pytest.mark.parametrize("element", [b"", b"{", b"[]", b'{"bone": "much"}', b"\xff"])
def test_an_invalid_document_fails_without_its_content(element: bytes) -> None:
    response = StageResponse("preprocess", Message((bytes_tensor("evidence", [element]),)), 0)
    with pytest.raises(StageFailed) as failed:
        response.documents("evidence", 1, Evidence)
    assert failed.value.detail == "malformed response of preprocess: 'evidence' holds an invalid Evidence"


def test_a_broken_bytes_tensor_fails() -> None:
    broken = Tensor("evidence", "BYTES", (1,), (b"\x09\0\0\0x",))
    with pytest.raises(StageFailed, match="stage_failed"):
        StageResponse("preprocess", Message((broken,)), 0).elements("evidence", 1)


@pytest.mark.parametrize("name", ["card_sha256", "rows"])
def test_a_parameter_must_be_text(name: str) -> None:
    assert RESPONSE.parameter("recipe") == "r1"
    with pytest.raises(StageFailed):
        RESPONSE.parameter(name)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", json.dumps({"outputs": [{"name": "x"}]}).encode()])
def test_a_body_that_is_no_message_fails(body: bytes) -> None:
    with pytest.raises(StageFailed):
        StageResponse.decode("rnn", body, None, 0)
