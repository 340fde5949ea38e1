"""The haemorrhage painted into a phantom appears in the blood map at its place in the stored pixels.

All stages are real, with the networks of the repository. Only the report's `geometry` maps the grid to the source.
"""

import base64
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from services.cnn.app import create_app as create_cnn
from services.cnn.engines import load_extractor
from services.cnn.settings import Settings as CnnSettings
from services.common.card import Bundle, open_bundle
from services.common.engine_choice import EngineOptions, load_network
from services.common.recipe import DEFAULT_RECIPE
from services.common.report_schemas import Report
from services.gateway.app import create_app as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.gateway.stages.stage_client import StageClient, Stages
from services.preprocess.app import create_app as create_preprocess
from services.preprocess.settings import Settings as PreprocessSettings
from services.rnn.app import create_app as create_rnn
from services.rnn.model import GraphScorer
from services.rnn.settings import Settings as RnnSettings
from tests.scans import ct_slice
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyOptions

pytestmark = pytest.mark.anyio

SEED: Final = 9_400_105  # a haemorrhage in the brain, away from its middle
CROP: Final = slice(14, 246)  # columns of the phantom that the source keeps: the picture is padded left and right
TURNS: Final = tuple(product((False, True), repeat=3))


class Source(NamedTuple):
    """A series as stored, and the amount of blood in each stored pixel, (n, rows, columns)."""

    files: dict[str, bytes]
    blood: NDArray[np.float64]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def study() -> Study:
    patient = draw_patient(SEED, StudyOptions(kinds=("intraparenchymal",)))
    whole = len(patient.scan.position_mm)
    return make_study(patient, range(whole // 2 - 2, whole // 2 + 4))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(Path("models/default"))


@pytest.fixture(scope="module")
def apps(bundle: Bundle) -> dict[str, FastAPI]:
    rnn = load_network(bundle, "rnn", EngineOptions(engine="auto", cache=None, device="cpu"))
    return {
        "preprocess": create_preprocess(DEFAULT_RECIPE, PreprocessSettings()),
        "cnn": create_cnn(load_extractor(CnnSettings(), bundle), bundle, CnnSettings()),
        "rnn": create_rnn(GraphScorer(rnn.call), bundle, RnnSettings()),
    }


@pytest.fixture
async def client(apps: dict[str, FastAPI], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    clients = {
        name: StageClient(
            name, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{name}", timeout=60)
        )
        for name, app in apps.items()
    }
    gateway = create_gateway(
        Stages(**clients), GatewaySettings(spool_dir=tmp_path / "spool", jobs_dir=tmp_path / "jobs")
    )
    async with (
        gateway.router.lifespan_context(gateway),
        httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://localhost", timeout=120) as opened,
    ):
        yield opened


def _stored(pixels: NDArray[Any], turn: tuple[bool, bool, bool]) -> NDArray[Any]:
    """Cropped, with every row twice, then transposed and reversed."""
    transpose, reverse_rows, reverse_columns = turn
    tall = np.repeat(pixels[:, CROP], 2, axis=0)
    turned = tall.T if transpose else tall
    return np.ascontiguousarray(turned[:: -1 if reverse_rows else 1, :: -1 if reverse_columns else 1])


def source_of(study: Study, turn: tuple[bool, bool, bool]) -> Source:
    """The study as a scanner might store it: oblique, not square, with pixels that are not square, and turned."""
    transpose, reverse_rows, reverse_columns = turn
    along_row, along_column, normal = study.scan.orientation()
    spacing_mm = [study.scan.pixel_mm / 2, study.scan.pixel_mm]
    if transpose:
        along_row, along_column, spacing_mm = along_column, along_row, spacing_mm[::-1]
    orientation = [*(-along_row if reverse_columns else along_row), *(-along_column if reverse_rows else along_column)]
    files = {
        f"{index:02d}.dcm": ct_slice(
            index,
            hu=_stored(hu, turn),
            ImageOrientationPatient=[round(float(value), 8) for value in orientation],
            ImagePositionPatient=[round(float(value), 4) for value in position * normal],
            PixelSpacing=[round(value, 6) for value in spacing_mm],
            SliceThickness=study.scan.thickness_mm,
        )
        for index, (hu, position) in enumerate(zip(study.hu, study.position_mm, strict=True))
    }
    shares = study.masks.sum(axis=-1) / 255
    return Source(files, np.stack([_stored(share, turn) for share in shares]))


def centre(weights: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> tuple[float, float]:
    return float((weights * rows).sum() / weights.sum()), float((weights * columns).sum() / weights.sum())


def test_the_phantom_is_oblique_and_bleeds(study: Study) -> None:
    assert study.masks.any()
    assert not np.allclose(study.scan.orientation(), np.eye(3))


@pytest.mark.parametrize("turn", TURNS[::-1][:4] + TURNS[:1], ids=str)
async def test_blood_lies_where_it_was_painted(
    client: httpx.AsyncClient, study: Study, turn: tuple[bool, bool, bool]
) -> None:
    source = source_of(study, turn)
    files = [("files", (name, content)) for name, content in source.files.items()]
    answer = await client.post("/v1/predictions", files=files, params={"blood": True})
    report = Report.model_validate_json(answer.content)
    assert (report.status, report.series and report.series.predictions and report.series.predictions["any"]) == (
        "assessed",
        True,
    )
    assert report.blood
    assert report.blood.data
    values = np.frombuffer(base64.b64decode(report.blood.data), "<f4").reshape(report.blood.shape)
    grid, compared = report.blood.grid, 0
    for item in report.slices:
        painted = source.blood[int(item.file[:2])]
        if painted.sum() < 0.2 * source.blood.sum(axis=(1, 2)).max():
            continue
        compared += 1
        assert item.geometry
        assert (item.geometry.rows, item.geometry.columns) == painted.shape
        assert item.geometry.left + item.geometry.top > 0, "the source is padded"
        mapped = values[item.blood_row].sum(axis=-1)
        cells = [
            item.geometry.to_source((i + 0.5) * grid.cell_height, (j + 0.5) * grid.cell_width)
            for i, j in np.ndindex(mapped.shape)
        ]
        rows, columns = np.array(cells).T.reshape(2, *mapped.shape)
        strong = np.where(mapped > 0.3 * mapped.max(), mapped, 0)
        found = centre(strong, rows, columns)
        own = np.indices(painted.shape) + 0.5
        expected = centre(painted, *own)
        cell = _cell_size(item.geometry, grid)
        assert abs(found[0] - expected[0]) < 0.5 * cell[0], (turn, item.index)
        assert abs(found[1] - expected[1]) < 0.5 * cell[1], (turn, item.index)
    assert compared > 1


def _cell_size(geometry: Any, grid: Any) -> tuple[float, float]:
    """Rows and columns of the source in one cell."""
    first = geometry.to_source(0, 0)
    last = geometry.to_source(grid.cell_height, grid.cell_width)
    return abs(last[0] - first[0]), abs(last[1] - first[1])
