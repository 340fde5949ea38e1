"""Thin slices are averaged into slabs, independent of chunks, upload order and kind of file."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless

from services.common.card import open_bundle
from services.common.report_schemas import Report
from services.common.slabs import plan_series
from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import StageClient, Stages
from services.preprocess import png
from services.preprocess.pipeline import Pipeline
from tests.contracts.conftest import Chain, FeatureScorer, MeanExtractor, stage_apps
from tests.preprocess.dicom_files import ct, enhanced, written
from tests.scans import ct_slice, head, picture
from training.evaluate.served_bundle import predict_slices, preprocess_in_chunks

pytestmark = pytest.mark.anyio

SIDE: Final = 64
HEAD: Final = head(SIDE)
FRAME_BYTES: Final = 2 * SIDE * SIDE


@pytest.fixture
def spacing_mm() -> tuple[float, float]:
    return (2.2, 6.0)


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"max_files": 300})


def brighter(index: int) -> int:
    """HU by which a slice is brighter; not linear, so that averaging changes it."""
    return index * index % 23


def thin(position_mm: Sequence[float]) -> dict[str, bytes]:
    """A series of small slices at these positions."""
    return {
        f"{index:03d}.dcm": ct_slice(
            index,
            hu=HEAD + np.int16(brighter(index)),
            ImagePositionPatient=[-125, -125, position],
            PixelSpacing=[3.9, 3.9],
        )
        for index, position in enumerate(position_mm)
    }


def even(count: int, step_mm: float) -> list[float]:
    return [round(index * step_mm, 3) for index in range(count)]


async def report_of(chain: Chain, files: dict[str, bytes], **query: Any) -> dict[str, Any]:
    answer = await chain.predict(files, **query)
    assert answer.status_code == 200, answer.text
    Report.model_validate_json(answer.content)
    document: dict[str, Any] = answer.json()
    return document


@asynccontextmanager
async def other_gateway(chain: Chain, **settings: Any) -> AsyncIterator[Chain]:
    """The same stages behind a gateway with other settings, and with folders of its own."""
    stages = {
        name: StageClient(name, httpx.AsyncClient(transport=transport, base_url=f"http://{name}", timeout=60))
        for name, transport in chain.transports.items()
    }
    folders = {name: getattr(chain.settings, name) / "other" for name in ("spool_dir", "jobs_dir")}
    changed = chain.settings.model_copy(update={**folders, **settings})
    gateway = create_app(Stages(**stages), changed)
    transport = httpx.ASGITransport(gateway)
    async with (
        gateway.router.lifespan_context(gateway),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client,
    ):
        yield replace(chain, client=client, gateway=gateway, settings=changed)


def numbers(report: dict[str, Any]) -> list[Any]:
    """All numbers that must not depend on chunks and upload order."""
    by_slice = [[item["slab"], item["position_mm"], *item["probabilities"].values()] for item in report["slices"]]
    return [*by_slice, list(report["series"]["probabilities"].values())]


def codes(report: dict[str, Any]) -> set[str]:
    return {item["code"] for item in report["reasons"]}


async def test_each_slice_reports_its_slab(chain: Chain) -> None:
    files = thin(even(24, 1.25))

    report = await report_of(chain, files, images="true", operating_point="sensitive")

    assert [item["slab"] for item in report["slices"]] == [index // 4 for index in range(24)]
    assert [item["position_mm"] for item in report["slices"]] == even(24, 1.25)
    assert [item["file"] for item in report["slices"]] == list(files)
    assert report["series"]["slices"] == 24
    for slab in range(6):
        own = report["slices"][4 * slab : 4 * slab + 4]
        hu = np.rint(np.mean([HEAD + brighter(item["index"]) for item in own], axis=0)).astype(np.int16)
        alone = (await report_of(chain, {"a.dcm": ct_slice(hu=hu, PixelSpacing=[3.9, 3.9])}, images="true"))["slices"]
        assert all(item["probabilities"] == pytest.approx(alone[0]["probabilities"], abs=1e-4) for item in own)
        assert {item["image"] for item in own} == {own[0]["image"]}
        shown, wanted = (png.decode(base64.b64decode(item["image"])).astype(int) for item in (own[0], alone[0]))
        assert abs(shown - wanted).max() <= 2, "resampled before or after the mean, it is rounded otherwise"
    assert {index % 4 for index in report["key_slices"]} == {2}, "the middle slice of each"
    assert len({index // 4 for index in report["key_slices"]}) == 5


async def test_the_warning_has_spacing_and_range_and_the_note_has_the_slabs(chain: Chain) -> None:
    details = {item["code"]: item for item in (await report_of(chain, thin(even(24, 1.25))))["reasons"]}

    assert details["spacing_not_learnt"]["severity"] == "warn"
    assert details["spacing_not_learnt"]["detail"].startswith(
        "The slices are 1.25 mm apart; the networks learnt from 2.2"
    )
    assert details["averaged"]["severity"] == "note"
    assert "24 slices 1.25 mm apart were averaged along z; slabs of about 5 mm: 6." in details["averaged"]["detail"]


@pytest.mark.parametrize("step_mm", [0.6, 1.0, 1.7])
async def test_reports_do_not_depend_on_chunks_or_upload_order(chain: Chain, step_mm: float) -> None:
    files = thin(even(41, step_mm))
    found = []
    for chunk_slices in (4, 16, 64):
        async with other_gateway(chain, chunk_slices=chunk_slices) as gateway:
            found.append(numbers(await report_of(gateway, files)))
            found.append(numbers(await report_of(gateway, dict(reversed(files.items())))))

    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert same == pytest.approx(one, abs=1e-6)


async def test_no_slab_spans_a_gap(chain: Chain) -> None:
    position_mm = [*even(18, 1.25), *(60 + position for position in even(10, 1.25))]

    report = await report_of(chain, thin(position_mm))

    slabs = [item["slab"] for item in report["slices"]]
    assert not set(slabs[:18]) & set(slabs[18:])
    assert {"wide_gap", "averaged"} <= codes(report)


async def test_200_slices_of_1_mm_pass_in_small_chunks(chain: Chain) -> None:
    sent: list[int] = []

    class Counting(httpx.AsyncBaseTransport):
        def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
            self.inner = inner

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(int(request.headers["content-length"]))
            return await self.inner.handle_async_request(request)

    chain.transports["preprocess"].inner = Counting(chain.transports["preprocess"].inner)
    async with other_gateway(chain, chunk_slices=16) as gateway:
        report = await report_of(gateway, thin(even(200, 1.0)))

    assert [item["slab"] for item in report["slices"]] == [index // 5 for index in range(200)]
    assert sum(chain.extractor.batches) == 40
    assert max(chain.extractor.batches) <= 6, "three slabs a chunk, two chunks in flight"
    assert max(sent[1:]) < 15 * (FRAME_BYTES + 2000)


async def test_without_averaging_there_is_only_the_warning(chain: Chain) -> None:
    files = thin(even(12, 1.25))
    async with other_gateway(chain, average_thin_slices=False) as gateway:
        report = await report_of(gateway, files)

    assert codes(report) >= {"spacing_not_learnt"}
    assert "averaged" not in codes(report)
    assert {item["slab"] for item in report["slices"]} == {None}
    assert len({item["probabilities"]["any"] for item in report["slices"]}) > 4


@pytest.mark.parametrize(("step_mm", "warned"), [(5.0, False), (2.2, False), (8.0, True)])
async def test_slices_in_the_range_or_thicker_are_not_averaged(chain: Chain, step_mm: float, warned: bool) -> None:  # noqa: FBT001 - a row of a table
    report = await report_of(chain, thin(even(9, step_mm)))

    assert ("spacing_not_learnt" in codes(report)) is warned
    assert "averaged" not in codes(report)
    assert {item["slab"] for item in report["slices"]} == {None}
    assert sum(chain.extractor.batches) == 9


async def test_pngs_are_never_averaged(chain: Chain) -> None:
    report = await report_of(chain, {f"{hu}.png": picture(brain_hu=hu) for hu in (20, 25, 30, 35, 40)})
    assert {item["slab"] for item in report["slices"]} == {None}
    assert len({item["probabilities"]["any"] for item in report["slices"]}) == 5


async def test_frames_of_a_file_are_averaged_like_files(chain: Chain) -> None:
    frames = 30
    stack = enhanced(frames, spacing_mm=1.25, Rows=SIDE, Columns=SIDE)
    for index, group in enumerate(stack.PerFrameFunctionalGroupsSequence):
        (rescale,) = group.PixelValueTransformationSequence
        rescale.RescaleSlope, rescale.RescaleIntercept = 1, brighter(index) - 1024

    report = await report_of(chain, {"stack.dcm": written(stack)})

    slabs = [item["slab"] for item in report["slices"]]
    assert len(set(slabs)) == 8
    assert sum(chain.extractor.batches) == 8
    for slab in (0, 7):
        own = [brighter(index) for index, number in enumerate(slabs) if number == slab]
        alone = ct(Rows=SIDE, Columns=SIDE, RescaleIntercept=round(sum(own) / len(own)) - 1024)
        wanted = (await report_of(chain, {"slice.dcm": alone}))["slices"][0]["probabilities"]
        got = report["slices"][slabs.index(slab)]["probabilities"]
        assert got == pytest.approx(wanted, abs=2e-3)


async def test_compressed_slices_are_averaged_like_others(chain: Chain) -> None:
    changes: list[dict[str, Any]] = [
        {
            "SOPInstanceUID": f"1.2.3.{index}",
            "ImagePositionPatient": [-125, -125, 1.25 * index],
            "InstanceNumber": index,
        }
        for index in range(8)
    ]
    plain = {f"{index}.dcm": ct(RescaleIntercept=index - 1024, **each) for index, each in enumerate(changes)}
    packed = {
        f"{index}.dcm": ct(JPEGLSLossless, RescaleIntercept=index - 1024, **each) for index, each in enumerate(changes)
    }

    one, two = await report_of(chain, plain), await report_of(chain, packed)

    assert "averaged" in codes(one)
    assert numbers(one) == numbers(two)


async def test_a_damaged_file_of_a_slab_is_named(chain: Chain) -> None:
    files = thin(even(12, 1.25))
    files["005.dcm"] = files["005.dcm"][:-100]

    answer = await chain.predict(files)

    assert answer.status_code == 422
    assert [(item["file"], item["code"]) for item in answer.json()["files"]] == [("005.dcm", "truncated")]


async def test_a_refused_series_is_not_averaged(chain: Chain) -> None:
    files = {
        name: ct_slice(index, ImagePositionPatient=[-125, -125, 1.25 * index], BodyPartExamined="CHEST")
        for index, name in enumerate("abcdef")
    }

    report = await report_of(chain, files)

    assert report["status"] == "not_assessed"
    assert "averaged" not in codes(report)
    assert {item["slab"] for item in report["slices"]} == {None}


async def test_a_bundle_with_another_range_is_refused_once(chain: Chain, tmp_path: Path) -> None:
    files = thin(even(24, 1.25))
    await report_of(chain, files)
    for name, app in stage_apps(tmp_path / "other", MeanExtractor(), spacing_mm=(1.0, 6.0)).items():
        chain.transports[name].inner = httpx.ASGITransport(app)

    first = await chain.predict(files)

    assert (first.status_code, first.json()["code"]) == (502, "bundle_mismatch")
    assert {item["slab"] for item in (await report_of(chain, files))["slices"]} == {None}


async def test_training_scores_a_series_as_the_service_does(chain: Chain) -> None:
    files = thin([*even(20, 0.8), *(40 + position for position in even(7, 0.8))])
    data = list(files.values())
    card = open_bundle(chain.bundle).card
    with Pipeline(card.recipe, 2) as pipeline:
        (header,) = pipeline.read_headers(data, [len(file) for file in data]).series
        plan = plan_series(header, card)
        made = np.concatenate([part.slices for part in preprocess_in_chunks(pipeline, header, plan, data.__getitem__)])
    features = MeanExtractor().extract(made)["features"]

    slices, series = predict_slices(FeatureScorer().score, features, header, plan)

    report = await report_of(chain, files)
    assert plan.averaged
    assert slices == pytest.approx(np.array([[*item["probabilities"].values()] for item in report["slices"]]), abs=1e-6)
    assert series == pytest.approx(np.array([*report["series"]["probabilities"].values()]), abs=1e-6)
