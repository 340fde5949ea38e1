"""From an upload to a report: the gateway against its real stages."""

import asyncio
import base64
import gzip
import hashlib
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from services.common.labels import LABELS
from services.common.report_schemas import Report
from tests.contracts.conftest import Chain
from tests.scans import ct_slice, head, picture, series, zipped

pytestmark = pytest.mark.anyio


def _any(report: dict[str, Any]) -> list[float]:
    return [item["probabilities"]["any"] for item in report["slices"]]


async def _report(chain: Chain, files: dict[str, bytes], **query: Any) -> dict[str, Any]:
    answer = await chain.predict(files, **query)
    assert answer.status_code == 200, answer.text
    Report.model_validate_json(answer.content)
    document: dict[str, Any] = answer.json()
    return document


async def test_one_slice(chain: Chain) -> None:
    report = await _report(chain, {"a.dcm": ct_slice()})

    assert report["status"] == "assessed"
    assert list(report["series"]["probabilities"]) == list(LABELS)
    assert report["series"]["slices"] == 1
    assert report["slices"][0]["file"] == "a.dcm"
    assert report["slices"][0]["position_mm"] == 0
    assert len(report["findings"]) == 6
    assert report["disclaimer"].startswith("Research software, not a medical device")
    assert report["model"]["name"] == "fake"
    assert report["model"]["engines"] == {"cnn": "means 1.0", "rnn": "features 2.0"}


async def test_stages_name_their_engine(chain: Chain) -> None:
    for stage, engine in {"cnn": "means 1.0", "rnn": "features 2.0"}.items():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(chain.apps[stage]), base_url="http://stage"
        ) as client:
            assert (await client.get("/livez")).json()["engine"] == engine
            assert (await client.get(f"/v2/models/{stage}")).json()["parameters"]["engine"] == engine


@pytest.mark.parametrize("count", [4, 11])
async def test_slices_have_anatomical_order_in_any_upload_order(chain: Chain, count: int) -> None:
    files = series(count)
    shuffled = sorted(files.items(), key=lambda file: hashlib.sha256(file[1]).digest())
    assert list(dict(shuffled)) != list(files)

    report = await _report(chain, dict(shuffled))

    assert [item["file"] for item in report["slices"]] == list(files)
    assert [item["index"] for item in report["slices"]] == list(range(count))
    assert [item["position_mm"] for item in report["slices"]] == [5.0 * index for index in range(count)]
    assert _any(report) == _any(await _report(chain, files))
    assert len(set(_any(report))) == count


async def test_a_zip_has_the_report_of_its_files(chain: Chain) -> None:
    files = series(6)
    rubbish = {"__MACOSX/._000.dcm": b"\0\5\x16\7", "folder/Thumbs.db": b"thumbs", "DICOMDIR": b"x" * 200}

    plain, packed = await _report(chain, files), await _report(chain, {"study.zip": zipped({**files, **rubbish})})

    assert _any(plain) == _any(packed)
    assert packed["series"]["slices"] == 6
    aside = [reason["detail"] for reason in packed["reasons"] if reason["code"] == "file_set_aside"]
    assert [note.partition(":")[0] for note in aside] == ["DICOMDIR", "__MACOSX/._000.dcm", "folder/Thumbs.db"]


async def test_system_files_are_set_aside_and_slices_with_such_names_are_assessed(chain: Chain) -> None:
    """Both directly and in a zip; many of them make one note."""
    system = {"._000.dcm": b"\0\5\26\7", ".DS_Store": b"", "Thumbs.db": b"x"}
    slices = {**series(3), "._003.dcm": ct_slice(3), "__MACOSX/004.dcm": ct_slice(4)}
    for files in ({**slices, **system}, {"study.zip": zipped({**slices, **system})}):
        report = await _report(chain, files)
        assert [item["file"] for item in report["slices"]] == list(slices)
        aside = [reason["detail"] for reason in report["reasons"] if reason["code"] == "file_set_aside"]
        assert [note.partition(":")[0] for note in aside] == list(system)
    many = {f"._{index}": b"\0\5\26\7" for index in range(40)}
    report = await _report(chain, {"study.zip": zipped({**series(6), **many})})
    aside = [reason["detail"] for reason in report["reasons"] if reason["code"] == "file_set_aside"]
    assert [note.partition(":")[0] for note in aside] == ["._0 and 39 more"]
    assert (await chain.predict(system)).json()["code"] == "unsupported_file"


async def test_zips_in_zips_are_unpacked_and_other_archives_refused_by_name(chain: Chain) -> None:
    files = series(6)
    halves = dict(list(files.items())[:3]), dict(list(files.items())[3:])
    nested = {"study.zip": zipped({**halves[0], "more.zip": zipped(halves[1])})}
    assert _any(await _report(chain, nested)) == _any(await _report(chain, files))
    for more in ({"more.gz": gzip.compress(ct_slice(3))}, {"study.zip": zipped({"x": gzip.compress(ct_slice(3))})}):
        answer = await chain.predict({**halves[0], **more})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_archive")
        assert answer.json()["files"][0]["file"] in ("more.gz", "study.zip/x")


async def test_chunks_are_bounded_and_do_not_change_probabilities(chain: Chain) -> None:
    report = await _report(chain, series(11))

    assert chain.transports["preprocess"].requests == 1 + 3, "headers, and chunks of four"
    assert sum(chain.extractor.batches) == 11
    alone = [(await _report(chain, {name: data}))["slices"][0]["probabilities"] for name, data in series(11).items()]
    assert [item["probabilities"] for item in report["slices"]] == alone


async def test_a_png_is_scored_unchanged(chain: Chain) -> None:
    report = await _report(chain, {"a.png": picture()})

    assert report["series"]["series_instance_uid"] is None
    pixels = np.asarray(Image.open(io.BytesIO(picture())), np.float32) / 255
    assert _any(report) == pytest.approx([pixels[..., 2].mean()], abs=1e-5)


async def test_several_pngs_are_independent_slices(chain: Chain) -> None:
    names = {f"{hu}.png": picture(brain_hu=hu) for hu in (20, 25, 30, 35, 40)}

    report = await _report(chain, names)

    assert report["series"] is None
    assert [item["file"] for item in report["slices"]] == list(names)
    alone = [_any(await _report(chain, {name: data}))[0] for name, data in names.items()]
    assert _any(report) == alone
    assert len(report["findings"]) == 6


async def test_images_have_the_pixels_of_the_networks_input(chain: Chain) -> None:
    report = await _report(chain, {"a.png": picture()}, images="true")

    shown = Image.open(io.BytesIO(base64.b64decode(report["slices"][0]["image"])))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(Image.open(io.BytesIO(picture()))))
    assert (await _report(chain, {"a.png": picture()}))["slices"][0]["image"] is None


async def test_operating_points_change_predictions_and_not_probabilities(chain: Chain) -> None:
    default = await _report(chain, {"a.dcm": ct_slice()})
    sensitive = await _report(chain, {"a.dcm": ct_slice()}, operating_point="sensitive")

    assert default["slices"][0]["probabilities"] == sensitive["slices"][0]["probabilities"]
    assert default["thresholds"]["operating_point"] == "default"
    assert not default["series"]["predictions"]["any"]
    assert sensitive["series"]["predictions"]["any"]
    assert sensitive["key_slices"] == [0]
    for point, code in (("specific", "unknown_operating_point"), ("lucky", "malformed_request")):
        answer = await chain.predict({"a.dcm": ct_slice()}, operating_point=point)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_an_image_without_a_head_is_not_assessed(chain: Chain) -> None:
    water = np.full((512, 512), 20, np.int16)
    water[0, 0] = 21

    report = await _report(chain, {"water.dcm": ct_slice(hu=water)})

    assert report["status"] == "not_assessed"
    assert report["reasons"][-1]["code"] == "not_a_head"
    assert report["series"]["probabilities"] is None
    assert report["slices"][0]["predictions"] is None
    assert report["findings"] == []


async def test_a_skull_filled_with_air_is_not_assessed(chain: Chain) -> None:
    skull = {f"{index}.dcm": ct_slice(index, head(brain_hu=-1000, skull=0.03)) for index in range(6)}
    report = await _report(chain, skull)
    assert report["status"] == "not_assessed"
    assert [item["code"] for item in report["reasons"] if item["severity"] == "refuse"] == ["not_a_head"]
    assert report["evidence"]["centre_air"] == 1


async def test_a_reason_names_the_tag_of_contrast_and_not_its_value(chain: Chain) -> None:
    report = await _report(chain, series(8, SeriesDescription="DOE_JANE_CTA_0.6", StudyDescription="ohne KM"))
    (found,) = (item for item in report["reasons"] if item["code"] == "contrast")
    assert "SeriesDescription" in found["detail"]
    assert "DOE" not in found["detail"]
    assert report["status"] == "assessed"


async def test_slices_of_another_body_part_are_counted(chain: Chain) -> None:
    files = series(8)
    foot = {**files, "foot.dcm": ct_slice(8, BodyPartExamined="FOOT")}
    (found,) = (item for item in (await _report(chain, foot))["reasons"] if item["code"] == "mixed_body_parts")
    assert found["detail"].startswith("BodyPartExamined says FOOT in 1 of 9 slices")
    chest = {"head.dcm": files["000.dcm"], **dict(list(series(8, BodyPartExamined="CHEST").items())[1:])}
    assert (await _report(chain, chest))["status"] == "not_assessed"


async def test_another_body_part_is_refused_without_a_request_to_cnn(chain: Chain) -> None:
    report = await _report(chain, {f"{i}.dcm": ct_slice(i, BodyPartExamined="CHEST") for i in range(6)})

    assert report["status"] == "not_assessed"
    assert chain.extractor.batches == []


async def test_ten_concurrent_requests_get_their_own_reports(chain: Chain) -> None:
    uploads = [{f"{i}.dcm": ct_slice(i), f"{i}b.dcm": ct_slice(i + 20)} for i in range(10)]

    together = await asyncio.gather(*(chain.predict(upload) for upload in uploads))

    for upload, answer in zip(uploads, together, strict=True):
        assert [item["file"] for item in answer.json()["slices"]] == list(upload)
        assert _any(answer.json()) == _any(await _report(chain, upload))
    assert len({tuple(_any(answer.json())) for answer in together}) == 10


async def test_the_spool_is_empty_after_a_request(chain: Chain) -> None:
    await _report(chain, series(6))
    await chain.predict({"a.dcm": b"text"})
    assert list(chain.settings.spool_dir.glob("upload-*")) == []


TRUNCATED = ct_slice()[:-1000]
LOCALIZER = ct_slice(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
CAPTURE = ct_slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", ImageType=["DERIVED", "SECONDARY"])


@pytest.mark.parametrize(
    ("files", "status", "code", "reason"),
    [
        ({"notes.dcm": b"just text"}, 415, "unsupported_file", "not_dicom"),
        ({"IM1.dcm": TRUNCATED}, 422, "unusable_files", "truncated"),
        ({"IM1.dcm": TRUNCATED, "IM2.dcm": ct_slice(3)}, 422, "unusable_files", "truncated"),
        ({"notes.dcm": b"just text", "IM2.dcm": ct_slice(3)}, 422, "unusable_files", "not_dicom"),
        ({"scout.dcm": LOCALIZER}, 422, "not_a_ct_slice", "not_a_ct_slice"),
        ({"dose.dcm": CAPTURE}, 422, "not_a_ct_slice", "not_a_ct_slice"),
        ({"small.png": picture((511, 512))}, 422, "unusable_files", "png_other_size"),
        ({"grey.png": picture(mode="L")}, 422, "unusable_files", "png_grey"),
        ({"empty.dcm": b""}, 422, "unusable_files", "empty_file"),
        ({"no.zip": zipped({"a.txt": b"text"})}, 415, "unsupported_file", "not_dicom"),
    ],
)
async def test_an_unusable_upload_is_refused_with_file_and_reason(
    chain: Chain, files: dict[str, bytes], status: int, code: str, reason: str
) -> None:
    answer = await chain.predict(files)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["files"][0]["code"] == reason
    assert problem["files"][0]["file"].split("/")[-1] in {*files, "a.txt"}
    assert problem["files"][0]["file"] in problem["detail"]
    assert (await chain.predict({"good.dcm": ct_slice()})).status_code == 200


async def test_a_localizer_beside_a_series_is_set_aside_with_a_note(chain: Chain) -> None:
    report = await _report(chain, {"scout.dcm": LOCALIZER, **series(5)})

    assert report["series"]["slices"] == 5
    assert {item["code"] for item in report["reasons"]} == {"few_slices", "file_set_aside"}
    note = report["reasons"][-1]
    assert (note["code"], note["severity"]) == ("file_set_aside", "note")
    assert "scout.dcm" in note["detail"]


async def test_every_bad_file_is_named(chain: Chain) -> None:
    rle = ct_slice(hu=head())
    files = {"good.dcm": ct_slice(0), "cut.dcm": TRUNCATED, "none.dcm": b"", "fine.dcm": rle}

    problem = (await chain.predict(files)).json()

    assert {item["file"] for item in problem["files"]} == {"cut.dcm", "none.dcm"}


async def test_several_series_are_refused_and_listed(chain: Chain) -> None:
    files = {"a.dcm": ct_slice(0), "b.dcm": ct_slice(1, SeriesInstanceUID="2.25.77")}

    answer = await chain.predict(files)

    assert (answer.status_code, answer.json()["code"]) == (422, "mixed_series")
    found = {item["series_instance_uid"]: item["files"] for item in answer.json()["series"]}
    assert found == {"2.25.10": ["a.dcm"], "2.25.77": ["b.dcm"]}
    assert answer.json()["best"]["series_instance_uid"] in found


def conflict(index: int = 2) -> bytes:
    """Another file of the instance with that index."""
    return ct_slice(index, head(brain_hu=70))


@pytest.mark.parametrize("count", [3, 11])
async def test_duplicates_count_once_with_a_note(chain: Chain, count: int) -> None:
    files = series(count)
    copies = {f"copy of {name}": data for name, data in files.items() if name <= "001.dcm"}
    plain, doubled = await _report(chain, files), await _report(chain, {**copies, **files})

    notes = [item["detail"] for item in doubled["reasons"] if item["code"] == "duplicate_file"]
    assert notes == [f"{name} is a copy of copy of {name}; it counts once." for name in ("000.dcm", "001.dcm")]
    assert [item for item in doubled["reasons"] if item["code"] != "duplicate_file"] == plain["reasons"]
    assert doubled["series"] == plain["series"]
    assert [item["file"] for item in doubled["slices"]] == [*copies, *list(files)[2:]]
    assert [item["probabilities"] for item in doubled["slices"]] == [item["probabilities"] for item in plain["slices"]]


async def test_a_study_sent_twice_is_one_series(chain: Chain) -> None:
    twice = await _report(chain, {**series(9), "again.zip": zipped(series(9))})
    assert twice["series"]["slices"] == 9
    codes = [item["code"] for item in twice["reasons"]]
    assert codes.count("duplicate_file") == 9
    assert not {"duplicate_positions", "several_stacks"} & set(codes)


@pytest.mark.parametrize("count", [3, 11])
async def test_different_files_of_one_instance_are_refused(chain: Chain, count: int) -> None:
    answer = await chain.predict({**series(count), "other.dcm": conflict()})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "conflicting_instances")
    assert [file["file"] for file in problem["files"]] == ["002.dcm", "other.dcm"]


async def test_files_without_a_uid_are_no_duplicates(chain: Chain) -> None:
    report = await _report(chain, {name: ct_slice(index, SOPInstanceUID="") for index, name in enumerate("abc")})
    assert report["series"]["slices"] == 3
    assert [item["code"] for item in report["reasons"]] == ["few_slices"]


async def test_files_of_their_own_at_one_position_still_warn(chain: Chain) -> None:
    report = await _report(chain, {**series(8), "other.dcm": ct_slice(2, SOPInstanceUID="2.25.99")})
    assert report["series"]["slices"] == 9
    assert report["reasons"][0]["code"] == "duplicate_positions"
    assert "duplicate_file" not in {item["code"] for item in report["reasons"]}


async def test_no_file_at_all(chain: Chain) -> None:
    for body in (None, {"files": "a form field that is no file"}):
        parts = [("files", ("", b""))] if body is None else None
        answer = await chain.client.post("/v1/predictions", data=body, files=parts)
        assert answer.status_code in (400, 415)
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for value, code in (("", "no_files"), ("1", "unknown_field")):
        boundary = f"--b\r\ncontent-disposition: form-data; name=x\r\n\r\n{value}\r\n--b--\r\n"
        answer = await chain.client.post("/v1/predictions", content=boundary, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/dicom"}, b"x", 415),
        ({"content-type": "multipart/form-data"}, b"x", 415),
        ({"content-type": "multipart/form-data; boundary=b"}, b"rubbish", 400),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b\r\n", 400),
    ],
)
async def test_a_request_that_is_not_multipart(chain: Chain, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = await chain.client.post("/v1/predictions", content=body, headers=headers)
    assert answer.status_code == status


async def test_an_upload_over_the_limit(chain: Chain) -> None:
    answer = await chain.predict({"big.dcm": bytes(chain.settings.max_upload_bytes + 1)})
    assert (answer.status_code, answer.json()["code"], answer.json()["files"][0]["file"]) == (
        413,
        "too_large",
        "big.dcm",
    )
    assert "big.dcm" in answer.json()["detail"]
    many = await chain.predict({f"{i}": b"x" for i in range(chain.settings.max_files + 1)})
    assert many.status_code == 413


async def test_a_zip_bomb(chain: Chain) -> None:
    bomb = zipped({"zeros": bytes(70 * 1024**2)})
    assert len(bomb) < 100_000

    answer = await chain.predict({"bomb.zip": bomb})

    assert (answer.status_code, answer.json()["files"][0]["file"]) == (413, "bomb.zip")
    many = await chain.predict({"many.zip": zipped([(str(i), b"") for i in range(70)])})
    assert many.status_code == 413


async def test_a_damaged_or_encrypted_zip(chain: Chain) -> None:
    good = zipped(series(1))
    locked = bytearray(good)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[good.index(signature) + flags] |= 1
    for archive in (good[:-30], bytes(locked), good[: len(good) // 2] + b"\0" * 40 + good[len(good) // 2 + 40 :]):
        answer = await chain.predict({"study.zip": archive})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_archive"), answer.text
        assert answer.json()["files"][0]["file"] == "study.zip"


async def test_the_request_id_goes_through_and_comes_back(chain: Chain) -> None:
    seen: list[str] = []

    class Spy(httpx.AsyncBaseTransport):
        def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
            self.inner = inner

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["x-request-id"])
            return await self.inner.handle_async_request(request)

    for transport in chain.transports.values():
        transport.inner = Spy(transport.inner)
    parts = {"files": ("a.dcm", ct_slice())}

    answer = await chain.client.post("/v1/predictions", files=parts, headers={"x-request-id": "abc-1"})

    assert answer.headers["x-request-id"] == "abc-1"
    assert set(seen) == {"abc-1"}
    assert len(seen) >= 3


async def test_models_is_the_served_card(chain: Chain) -> None:
    answer = (await chain.client.get("/v1/models")).json()
    assert (answer["card"]["name"], answer["operating_point"]) == ("fake", "default")
    assert answer["sha256"] == (await _report(chain, {"a.dcm": ct_slice()}))["model"]["sha256"]
