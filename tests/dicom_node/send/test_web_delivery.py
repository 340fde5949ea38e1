"""Result objects reach destinations by STOW-RS and FHIR: what the response does not name is sent again."""

import json
from pathlib import Path

import pytest

from services.dicom_node.peers import Peer
from services.dicom_node.send.sender import destinations
from tests.dicom_node.send.built import BuiltRegistry
from tests.dicom_node.send.sending import all_at, sending, until
from tests.dicom_node.web_peer import WebAnswer, WebRequest, answering


def _module(stored: list[str], failed: dict[str, int] | None = None) -> bytes:
    document = {
        "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in stored]},
        "00081198": {
            "vr": "SQ",
            "Value": [
                {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
                for uid, reason in (failed or {}).items()
            ],
        },
    }
    return json.dumps(document).encode()


def _peer(url: str, **options: object) -> Peer:
    values = {"name": "pacs", "dicom_web_url": url, "by": "stow-rs", "send": {"sr", "segmentation"}}
    return Peer.model_validate({**values, **options})


def _uid(request: WebRequest, uids: list[str]) -> str:
    return next(uid for uid in uids if uid.encode() in request.body)


def _part(request: WebRequest) -> bytes:
    return request.body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]


def test_each_object_is_posted_with_its_bytes_and_the_token(registry: BuiltRegistry, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    uids: list[str] = []
    with answering(lambda request: WebAnswer(200, _module([_uid(request, uids)]))) as web:
        peer = _peer(f"{web.url}/dicom-web", token_file=tmp_path / "token")
        uids += registry.add(["sr", "segmentation"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(all_at(registry, "sent"))
    files = [path.read_bytes() for path in sorted(tmp_path.glob("assessments/*.dcm"))]
    assert sorted(request.body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0] for request in web.requests) == sorted(
        files
    )
    assert {request.path for request in web.requests} == {"/dicom-web/studies"}
    assert {request.headers["authorization"] for request in web.requests} == {"Bearer secret"}
    assert registry.assessment_steps() == ["committed"]


@pytest.mark.parametrize(
    "unclear",
    [
        WebAnswer(200, b"{}"),
        WebAnswer(200, b"stored"),
        WebAnswer(200, _module(["1.2.3"])),
        WebAnswer(202, b""),
        WebAnswer(503),
        WebAnswer(401),
        WebAnswer(409, _module([], {"1.2.3": 0xA900})),
    ],
)
def test_an_object_that_no_response_names_is_sent_again(registry: BuiltRegistry, unclear: WebAnswer) -> None:
    answers: list[WebAnswer] = [unclear] * 4
    with answering(lambda _: answers.pop()) as web:
        peer = _peer(web.url)
        (uid,) = registry.add(["sr"], destinations({"pacs": peer}))
        answers.insert(0, WebAnswer(200, _module([uid])))
        with sending(registry, peer, send_max_refusals=1):
            until(all_at(registry, "sent"))
    assert len({_part(request) for request in web.requests}) == 1


def test_one_of_two_objects_may_be_refused(registry: BuiltRegistry) -> None:
    uids: list[str] = []

    def answer(request: WebRequest) -> WebAnswer:
        uid = _uid(request, uids)
        return WebAnswer(200, _module([uid])) if uid == uids[0] else WebAnswer(409, _module([], {uid: 0x0122}))

    with answering(answer) as web:
        peer = _peer(web.url)
        uids += registry.add(["sr", "segmentation"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(lambda: registry.steps("pacs") == ["sent", "dead"])
    assert registry.codes("pacs") == [None, "status_0122"]
    assert registry.assessment_steps() == ["built"]


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_refused_request_is_a_dead_letter(registry: BuiltRegistry, status: int) -> None:
    with answering(lambda _: WebAnswer(status)) as web:
        peer = _peer(web.url)
        registry.add(["sr"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(all_at(registry, "dead"))
    assert registry.codes("pacs") == [f"http_{status}"]
    assert len(web.requests) == 3


def test_a_query_confirms_and_an_absent_object_is_sent_again(registry: BuiltRegistry) -> None:
    uids: list[str] = []
    lost: list[str] = []

    def answer(request: WebRequest) -> WebAnswer:
        if request.method == "POST":
            return WebAnswer(200, _module(uids))
        found = [] if lost else [{"00080018": {"vr": "UI", "Value": uids}}]
        return WebAnswer(200, json.dumps(found).encode())

    with answering(answer) as web:
        peer = _peer(web.url, check="qido-rs")
        uids += registry.add(["sr"], destinations({"pacs": peer}))
        lost += uids
        with sending(registry, peer):
            until(lambda: sum(request.method == "POST" for request in web.requests) > 1)
            lost.clear()
            until(all_at(registry, "committed"))
    assert registry.assessment_steps() == ["committed"]


def _fhir(url: str) -> Peer:
    return Peer.model_validate({"name": "emr", "fhir_url": f"{url}/fhir", "send": {"fhir"}})


def test_a_bundle_is_posted_to_the_base_url(registry: BuiltRegistry) -> None:
    with answering(lambda _: WebAnswer(200, b'{"entry": [{"response": {"status": "201 Created"}}]}')) as web:
        registry.add(["fhir"], destinations({"emr": _fhir(web.url)}))
        with sending(registry, _fhir(web.url)):
            until(all_at(registry, "sent", "emr"))
    assert [(one.path, json.loads(one.body)["resourceType"]) for one in web.requests] == [("/fhir", "Bundle")]


def test_a_batch_that_fails_in_part_is_no_success(registry: BuiltRegistry) -> None:
    body = b'{"entry": [{"response": {"status": "201"}}, {"response": {"status": "422 Unprocessable"}}]}'
    with answering(lambda _: WebAnswer(200, body)) as web:
        registry.add(["fhir"], destinations({"emr": _fhir(web.url)}))
        with sending(registry, _fhir(web.url)):
            until(all_at(registry, "dead", "emr"))
    assert registry.codes("emr") == ["entry_422"]


def test_a_fhir_server_that_is_down_delays_no_dicom_object(registry: BuiltRegistry) -> None:
    uids: list[str] = []
    with answering(lambda request: WebAnswer(200, _module([_uid(request, uids)]))) as web:
        peer = _peer(web.url, send={"sr", "fhir"}, fhir_url="http://127.0.0.1:9/fhir")
        uids += registry.add(["sr", "fhir"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(lambda: registry.steps("pacs") == ["sent", "pending"])
            until(lambda: registry.codes("pacs") == [None, "unreachable"])
