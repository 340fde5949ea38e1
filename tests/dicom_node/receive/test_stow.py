from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.dicom_node.settings import Settings
from tests.dicom_node.receive.folder_inbox import FolderInbox
from tests.dicom_node.receive.stow_client import BOUNDARY, CONTENT_TYPE, multipart, post, stow_app, stow_client
from tests.scans import ct_slice, series

pytestmark = pytest.mark.anyio
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
JSON_TYPE = CONTENT_TYPE.replace("dicom", "dicom+json")
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path)


def settings(**values: object) -> Settings:
    return Settings.model_validate(values)


def reasons(answer: httpx.Response) -> list[int]:
    found = answer.json()
    items = [*found.get("00081198", {}).get("Value", []), *found.get("0008119A", {}).get("Value", [])]
    return [item["00081197"]["Value"][0] for item in items]


async def test_stores_a_series_as_sent(inbox: FolderInbox) -> None:
    files = list(series(3).values())
    async with stow_client(stow_app(settings(), inbox)) as client:
        answer = await post(client, multipart(files))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    references = answer.json()["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in references] == [[f"2.25.10.{number}"] for number in (1, 2, 3)]
    assert references[0]["00081150"] == {"vr": "UI", "Value": [CT]}
    assert [inbox.stored[f"2.25.10.{number + 1}"].path.read_bytes() for number in range(3)] == files
    assert list(inbox.outcomes.values()) == ["released"]
    assert (inbox.transfers[0].kind, inbox.transfers[0].peer) == ("stow-rs", "127.0.0.1")


async def test_a_failed_part_fails_alone(inbox: FolderInbox) -> None:
    app = stow_app(settings(max_instance_bytes=600_000), inbox)
    parts = [
        ct_slice(),
        ct_slice(1, StudyInstanceUID="2.25.9"),
        ct_slice(2, SOPClassUID=SECONDARY_CAPTURE),
        ct_slice(3)[:-9],
        b"\0" * 700_000,
        b"no DICOM",
        ct_slice(Modality="MR"),
    ]
    async with stow_client(app) as client:
        answer = await post(client, multipart(parts), "/2.25.1")
        assert answer.status_code == 202
        assert sorted(reasons(answer)) == sorted([0xC409, 0xA900, 0xC000, 0xA700, 0xC000, 0x0111])
        none = await post(client, multipart(parts[1:2]), "/2.25.1")
        assert (none.status_code, reasons(none)) == (409, [0xC409])
        full = await post(client, multipart(parts[4:5]))
        assert (full.status_code, reasons(full)) == (507, [0xA700])
    assert list(inbox.stored) == ["2.25.10.1"]
    assert set(inbox.outcomes.values()) == {"released"}
    assert not list(inbox.incoming().iterdir())
    assert app.state.receiver.instances == {
        "stored": 1, "other_study": 2, "unsupported_sop_class": 1, "truncated": 1, "out_of_space": 2, "not_dicom": 1,
        "conflict": 1,
    }  # fmt: skip


async def test_answers_in_xml(inbox: FolderInbox) -> None:
    async with stow_client(stow_app(settings(), inbox)) as client:
        answer = await post(client, multipart([ct_slice(), b"no DICOM"]), accept="application/dicom+xml")
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/dicom+xml")
    assert answer.content.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    assert b'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"' in answer.content
    for text in (
        f'<DicomAttribute tag="00081150" vr="UI" keyword="ReferencedSOPClassUID"><Value number="1">{CT}</Value>',
        'keyword="ReferencedSOPInstanceUID"><Value number="1">2.25.10.1</Value>',
        f'<Item number="1"><DicomAttribute tag="00081197" vr="US" keyword="FailureReason"><Value number="1">{0xC000}<',
    ):
        assert text.encode() in answer.content


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (multipart([ct_slice()]), {"accept": "text/html"}, 406, "not_acceptable"),
        (multipart([ct_slice()]), {"content_type": "application/dicom"}, 415, "unsupported_media"),
        (multipart([ct_slice()]), {"content_type": JSON_TYPE}, 415, "unsupported_media"),
        (multipart([ct_slice()]), {"content_encoding": "gzip"}, 415, "unsupported_media"),
        (multipart([ct_slice()], b"Content-Type: text/plain\r\n"), {}, 415, "unsupported_media"),
        (multipart([]), {}, 400, "no_instances"),
        (b"", {}, 400, "malformed_request"),
        (multipart([ct_slice()])[:-20], {}, 400, "malformed_request"),
        (multipart([ct_slice()]).replace(BOUNDARY.encode(), b"another"), {}, 400, "malformed_request"),
        (multipart([ct_slice()], b"X: " + b"x" * 10_000 + b"\r\n"), {}, 400, "malformed_request"),
        (multipart([ct_slice()], b"X: x\r\n" * 9), {}, 413, "too_large"),
        (multipart([b""] * 300), {}, 413, "too_large"),
        (multipart([b"x" * 3_000_000]), {}, 413, "too_large"),
    ],
)  # fmt: skip
async def test_refuses_a_request(
    inbox: FolderInbox, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    app = stow_app(settings(max_stow_instances=100, max_stow_bytes=2_000_000), inbox)
    async with stow_client(app) as client:
        answer = await post(client, body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not set(inbox.outcomes.values()) - {"aborted"}
    assert not inbox.stored or status in (400, 413)
    assert not list(inbox.incoming().iterdir())


async def test_an_interrupted_body_is_an_aborted_transfer(inbox: FolderInbox) -> None:
    whole = multipart(series(3).values())

    async def body() -> AsyncIterator[bytes]:
        yield whole[: len(whole) // 2]
        raise ConnectionError

    async with stow_client(stow_app(settings(), inbox)) as client:
        with pytest.raises(ConnectionError):
            await client.post("/dicom-web/studies", content=body(), headers={"content-type": CONTENT_TYPE})
    assert list(inbox.outcomes.values()) == ["aborted"]
    assert not list(inbox.incoming().iterdir())


async def test_logs_each_kind_of_failure_once(inbox: FolderInbox, caplog: pytest.LogCaptureFixture) -> None:
    parts = [b"no DICOM"] * 50 + [ct_slice()[:-9]] * 3
    async with stow_client(stow_app(settings(), inbox)) as client:
        assert len(reasons(await post(client, multipart(parts)))) == 53
    logged = [record.message for record in caplog.records if "not stored" in record.message]
    assert len(logged) == 2


async def test_a_full_inbox_stores_nothing(inbox: FolderInbox) -> None:
    inbox.max_bytes = 1
    async with stow_client(stow_app(settings(), inbox)) as client:
        assert (await post(client, multipart([ct_slice()]))).status_code == 507


async def test_needs_a_key_where_keys_are_set(inbox: FolderInbox, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("pacs 0123456789abcdef\n")
    async with stow_client(stow_app(settings(), inbox, keys)) as client:
        assert (await post(client, multipart([ct_slice()]))).status_code == 401
        assert not inbox.transfers
        answer = await post(client, multipart([ct_slice()]), authorization="Bearer 0123456789abcdef")
    assert (answer.status_code, inbox.transfers[0].peer) == (200, "pacs")
