"""Pulls of a study by both protocols: what is retrieved, passed over, failed, repeated and resumed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.app import new_app
from services.common.identity.api_keys import ApiKeys
from services.common.identity.authentication import Identity, add_identity
from services.dicom_node.peers import Peer
from services.dicom_node.pull.puller import Puller
from services.dicom_node.pull.routes import pull_router
from services.dicom_node.receive.dimse import DimseReceiver
from services.dicom_node.registry.pulls import Pulls
from services.dicom_node.selection.rules import Selection
from services.dicom_node.settings import Settings
from tests.dicom_node.pull.archive import Archive
from tests.dicom_node.registries import Node
from tests.running import free_ports
from tests.scans import ct_slice

pytestmark = pytest.mark.anyio
HEAD, BONE, SCOUT = "2.25.10", "2.25.11", "2.25.12"
OPEN = ("queued", "running")
QUICK = {"send_first_delay_s": 0.05, "send_max_delay_s": 0.1}


def _series(uid: str, count: int, **tags: Any) -> list[bytes]:
    return [
        ct_slice(index, SeriesInstanceUID=uid, SOPInstanceUID=f"{uid}.{index + 1}", **tags) for index in range(count)
    ]


def _study() -> dict[str, list[bytes]]:
    return {
        HEAD: _series(HEAD, 4, ConvolutionKernel="H30s"),
        BONE: _series(BONE, 4, ConvolutionKernel="H70h"),
        SCOUT: _series(SCOUT, 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    }


async def _ready() -> None:
    """Always ready."""


@contextmanager
def _pulling(node: Node, peer: Peer, settings: Settings) -> Iterator[Puller]:
    rules = Selection.read(None)
    pulls = Pulls(node.registry.database, time.monotonic)
    puller = Puller(settings, {peer.name: peer}, pulls, node.registry.inbox, rules)
    puller.start()
    try:
        yield puller
    finally:
        puller.stop()


@asynccontextmanager
async def _client(puller: Puller, keys: Path | None = None, most: int = 10) -> AsyncIterator[httpx.AsyncClient]:
    app = new_app(title="pull", ready=_ready, drain_s=0)
    add_identity(app, Identity(ApiKeys.read(keys)))
    app.include_router(pull_router(puller, most))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        yield client


async def _pull(client: httpx.AsyncClient, **request: str) -> dict[str, Any]:
    answer = await client.post("/v1/pull", json={"study_instance_uid": "2.25.1", "from": "archive", **request})
    assert answer.status_code == 202, answer.text
    return await _ended(client, answer.headers["location"])


async def _watch(
    client: httpx.AsyncClient, location: str, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    until = time.monotonic() + 20
    document: dict[str, Any] = {}
    while time.monotonic() < until:
        document = (await client.get(location)).json()
        if condition(document):
            return document
        await asyncio.sleep(0.02)
    raise AssertionError(document)


async def _ended(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    return await _watch(client, location, lambda document: document["status"] not in OPEN)


def _statuses(document: dict[str, Any]) -> dict[str, str]:
    return {one["series_instance_uid"]: one["status"] for one in document["series"]}


def _expected(node: Node) -> list[tuple[Any, ...]]:
    return node.rows("SELECT series_uid, expected FROM series ORDER BY series_uid")


@contextmanager
def _serving(archive: Archive, node: Node, protocol: str) -> Iterator[tuple[Peer, Settings]]:
    (port,) = free_ports(1)
    settings = Settings.model_validate({"dicom_port": port, "send_timeout_s": 5.0, **QUICK})
    archive.node_port = port
    receiver = DimseReceiver(settings, node.registry.inbox)
    receiver.start()
    try:
        with archive.web() if protocol == "web" else archive.dimse() as peer:
            yield peer, settings
    finally:
        receiver.stop()


@pytest.mark.parametrize("protocol", ["web", "dimse"])
async def test_the_best_series_is_retrieved_and_the_others_passed_over(node: Node, protocol: str) -> None:
    archive = Archive(_study())
    with _serving(archive, node, protocol) as (peer, settings), _pulling(node, peer, settings) as puller:
        async with _client(puller) as client:
            document = await _pull(client)
    assert _statuses(document) == {HEAD: "retrieved", BONE: "passed_over", SCOUT: "passed_over"}
    assert document["status"] == "finished"
    reasons = {one["series_instance_uid"]: one["reasons"][0] for one in document["series"]}
    assert (reasons[BONE].partition(":")[0], reasons[SCOUT].partition(":")[0]) == ("not_preferred", "localizer")
    assert archive.retrieved == [HEAD]
    assert _expected(node) == [(HEAD, 4)]
    assert node.rows("SELECT count(*) FROM instances") == [(4,)]
    kind, outcome = {"web": ("pull", "released"), "dimse": ("c-store", "released")}[protocol]
    assert node.rows("SELECT kind, outcome FROM transfers") == [(kind, outcome)]


@pytest.mark.parametrize("protocol", ["web", "dimse"])
async def test_a_series_that_fails_is_repeated_until_all_instances_are_here(node: Node, protocol: str) -> None:
    archive = Archive({HEAD: _series(HEAD, 5)}, broken={HEAD})
    with _serving(archive, node, protocol) as (peer, settings), _pulling(node, peer, settings) as puller:
        async with _client(puller) as client:
            answer = await client.post("/v1/pull", json={"study_instance_uid": "2.25.1", "from": "archive"})
            location = answer.headers["location"]
            document = await _watch(client, location, lambda one: bool(one["code"]))
            assert document["status"] == "running"
            await _watch(client, location, lambda one: _statuses(one) == {HEAD: "failed"})
            archive.broken.clear()
            document = await _ended(client, location)
    assert _statuses(document) == {HEAD: "retrieved"}
    assert (document["series"][0]["instances"], document["series"][0]["received"]) == (5, 5)
    if protocol == "web":
        assert ("pull", "aborted") in node.rows("SELECT kind, outcome FROM transfers")


async def test_an_attribute_that_the_peer_does_not_answer_passes_over_no_series(node: Node) -> None:
    archive = Archive(
        {HEAD: _series(HEAD, 4)},
        hidden=["SOPClassUID", "ImageType", "NumberOfSeriesRelatedInstances", "NumberOfFrames"],
    )
    with archive.web() as peer, _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
        async with _client(puller) as client:
            assert _statuses(await _pull(client)) == {HEAD: "retrieved"}


async def test_one_series_may_be_named_but_the_rules_still_hold(node: Node) -> None:
    archive = Archive(_study())
    with archive.web() as peer, _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
        async with _client(puller) as client:
            assert _statuses(await _pull(client, series_instance_uid=BONE)) == {BONE: "retrieved"}
            assert _statuses(await _pull(client, series_instance_uid=SCOUT)) == {SCOUT: "passed_over"}
            assert (await _pull(client, series_instance_uid="2.25.13"))["code"] == "series_not_found"
    assert archive.retrieved == [BONE]


async def test_a_study_that_the_peer_does_not_have_fails(node: Node) -> None:
    with Archive({}).web() as peer, _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
        async with _client(puller) as client:
            document = await _pull(client, study_instance_uid="2.25.2")
    assert (document["status"], document["code"]) == ("failed", "study_not_found")


async def test_a_peer_that_stays_down_fails_after_patience(node: Node) -> None:
    settings = Settings(pull_patience_s=0.01, send_first_delay_s=0.05, send_max_delay_s=0.1)
    with Archive({}, is_down=True).web() as peer, _pulling(node, peer, settings) as puller:
        async with _client(puller) as client:
            document = await _pull(client)
    assert (document["status"], document["code"]) == ("failed", "http_503")


async def test_a_restarted_node_resumes_and_retrieves_no_series_twice(node: Node) -> None:
    archive = Archive({HEAD: _series(HEAD, 4)}, is_down=True)
    with archive.web() as peer:
        with _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
            async with _client(puller) as client:
                answer = await client.post("/v1/pull", json={"study_instance_uid": "2.25.1", "from": "archive"})
                again = await client.post("/v1/pull", json={"study_instance_uid": "2.25.1", "from": "archive"})
                assert answer.json()["id"] == again.json()["id"]
        archive.is_down = False
        node.open()
        with _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
            async with _client(puller) as client:
                document = await _ended(client, answer.headers["location"])
                later = await _pull(client)
    assert document["status"] == "finished"
    assert later["id"] != document["id"]
    assert node.rows("SELECT count(*) FROM instances") == [(4,)]


async def test_an_unknown_peer_an_address_and_a_malformed_uid_are_refused(node: Node) -> None:
    with Archive({}).web() as peer, _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
        async with _client(puller) as client:
            for name in ("other", str(peer.dicom_web_url)):
                answer = await client.post("/v1/pull", json={"study_instance_uid": "2.25.1", "from": name})
                assert (answer.status_code, answer.json()["code"]) == (404, "unknown_peer")
                assert answer.json()["peers"] == ["archive"]
            answer = await client.post("/v1/pull", json={"study_instance_uid": "2.25/../1", "from": "archive"})
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


async def test_a_pull_is_visible_to_its_sender_only(node: Node, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a aaaaaaaaaaaaaaaa\nb bbbbbbbbbbbbbbbb\n")
    with Archive({}).web() as peer, _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
        async with _client(puller, tmp_path / "keys") as client:
            request = {"study_instance_uid": "2.25.1", "from": "archive"}
            assert (await client.post("/v1/pull", json=request)).status_code == 401
            mine = {"authorization": "Bearer aaaaaaaaaaaaaaaa"}
            location = (await client.post("/v1/pull", json=request, headers=mine)).headers["location"]
            assert (await client.get(location, headers=mine)).status_code == 200
            answer = await client.get(location, headers={"authorization": "Bearer bbbbbbbbbbbbbbbb"})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_pull")


async def test_unfinished_pulls_are_limited(node: Node) -> None:
    with Archive({}, is_down=True).web() as peer, _pulling(node, peer, Settings.model_validate(QUICK)) as puller:
        async with _client(puller, most=1) as client:
            answers = [
                await client.post("/v1/pull", json={"study_instance_uid": f"2.25.{number}", "from": "archive"})
                for number in (1, 2)
            ]
    assert [answer.status_code for answer in answers] == [202, 503]
    assert answers[1].headers["retry-after"]
