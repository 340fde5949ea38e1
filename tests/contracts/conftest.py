"""The whole chain in one process: all real but the networks, which can be reasoned about."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.common.problem_schemas import PROBLEM_JSON, ProblemDetails
from services.common.recipe import DEFAULT_RECIPE, Recipe
from services.gateway.app import create_app as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.gateway.stages.stage_client import CallOptions, StageClient, Stages, region_pool
from services.preprocess.app import create_app as create_preprocess
from services.preprocess.settings import Settings as PreprocessSettings
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.bundles import FEATURE_SIZE, fake_bundle

FEW_RETRIES = CallOptions(retry_s=0.2)  # for tests of stages that stay away


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class MeanExtractor:
    """Features that name the slice: the mean of each channel, soft tissue first, twice, from 0 to 1.

    With a grid, a blood map whose cells name the slice, too: the mean of the cell's soft tissue times k, for label k.
    """

    def __init__(self, grid: tuple[int, int] | None = None) -> None:
        self.batches: list[int] = []
        self.grid = grid

    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.batches.append(len(slices))
        means = slices[..., ::-1].mean(axis=(1, 2)) / 255
        features = {"features": np.tile(means, 2).astype(np.float32)}
        return {**features, "blood": blood_cells(slices, self.grid)} if self.grid else features


def blood_cells(slices: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.float32]:
    """The map of `MeanExtractor`, (n, *grid, 5)."""
    rows, columns = grid
    cells = slices[..., 2].reshape(len(slices), rows, 512 // rows, columns, 512 // columns).mean(axis=(2, 4)) / 255
    mapped: NDArray[np.float32] = (cells[..., None] * np.arange(5) / 4).astype(np.float32)
    return mapped


class FeatureScorer:
    """Each slice's features are its probabilities; the series has the highest."""

    def score(
        self, features: NDArray[np.float32], position_mm: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert features.shape == (len(position_mm), FEATURE_SIZE)
        return features, features.max(axis=0)


@dataclass
class Chain:
    """The gateway's client, and the parts behind it, which a test may replace."""

    client: httpx.AsyncClient
    gateway: FastAPI
    stages: Stages
    apps: dict[str, FastAPI]
    extractor: MeanExtractor
    settings: GatewaySettings
    bundle: Path
    transports: dict[str, "Swappable"] = field(default_factory=dict)

    async def predict(self, files: Mapping[str, bytes] | Sequence[tuple[str, bytes]], **query: Any) -> httpx.Response:
        pairs = files.items() if isinstance(files, Mapping) else files
        parts = [("files", (name, data, "application/octet-stream")) for name, data in pairs]
        return await self.client.post("/v1/predictions", files=parts, params=query)


class Swappable(httpx.AsyncBaseTransport):
    """A transport to an application that a test can take away, change or slow down."""

    def __init__(self, app: FastAPI) -> None:
        self.inner: httpx.AsyncBaseTransport = httpx.ASGITransport(app)
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await self.inner.handle_async_request(request)


def stage_apps(
    folder: Path,
    extractor: MeanExtractor,
    recipe: Recipe = DEFAULT_RECIPE,
    spacing_mm: tuple[float, float] | None = None,
    shared_memory_dir: Path | None = None,
) -> dict[str, FastAPI]:
    """The three stages, of one bundle; `spacing_mm` is what its networks learnt from."""
    bundle = fake_bundle(folder, recipe=recipe, spacing_mm=spacing_mm, blood_grid=extractor.grid)
    return {
        "preprocess": create_preprocess(DEFAULT_RECIPE, PreprocessSettings(shared_memory_dir=shared_memory_dir)),
        "cnn": create_cnn(extractor, bundle, CnnSettings(shared_memory_dir=shared_memory_dir), "means 1.0"),
        "rnn": create_rnn(FeatureScorer(), bundle, RnnSettings(), "features 2.0"),
    }


@pytest.fixture
def gateway_settings(tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(
        spool_dir=tmp_path / "spool",
        jobs_dir=tmp_path / "jobs",
        chunk_slices=4,
        max_files=60,
        max_upload_bytes=64 * 1024**2,
    )


async def only_listed_problems(answer: httpx.Response) -> None:
    """Every problem that any test meets is as the OpenAPI document says."""
    if answer.headers.get("content-type") == PROBLEM_JSON and answer.request.method != "HEAD":
        assert not ProblemDetails.model_validate_json(await answer.aread()).model_extra


@pytest.fixture
def spacing_mm() -> tuple[float, float] | None:
    """What the card says that the networks learnt from; a module may say otherwise."""
    return None


@pytest.fixture
def blood_grid() -> tuple[int, int] | None:
    """Rows and columns of the bundle's blood map; a module may say otherwise."""
    return None


@pytest.fixture
async def chain(
    tmp_path: Path,
    gateway_settings: GatewaySettings,
    spacing_mm: tuple[float, float] | None,
    blood_grid: tuple[int, int] | None,
) -> AsyncIterator[Chain]:
    async with open_chain(tmp_path / "bundle", gateway_settings, spacing_mm, blood_grid) as opened:
        yield opened


@asynccontextmanager
async def open_chain(
    bundle: Path,
    settings: GatewaySettings,
    spacing_mm: tuple[float, float] | None = None,
    blood_grid: tuple[int, int] | None = None,
) -> AsyncIterator[Chain]:
    """The chain of a bundle that is written to that folder."""
    extractor = MeanExtractor(blood_grid)
    apps = stage_apps(bundle, extractor, spacing_mm=spacing_mm, shared_memory_dir=settings.shared_memory_dir)
    pool = region_pool(settings)
    transports = {name: Swappable(app) for name, app in apps.items()}
    clients = {
        name: StageClient(
            name, httpx.AsyncClient(transport=transport, base_url=f"http://{name}", timeout=60), pool, FEW_RETRIES
        )
        for name, transport in transports.items()
    }
    stages = Stages(**clients)
    gateway = create_gateway(stages, settings)
    async with (
        gateway.router.lifespan_context(gateway),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway),
            base_url="http://localhost",
            timeout=60,
            event_hooks={"response": [only_listed_problems]},
        ) as client,
    ):
        yield Chain(client, gateway, stages, apps, extractor, settings, bundle, transports)
