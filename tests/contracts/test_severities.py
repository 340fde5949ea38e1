"""A site's severities, from the file to the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.gateway.app import create_app
from services.gateway.settings import Settings as GatewaySettings
from services.gateway.stages.stage_client import StageClient, Stages
from tests.contracts.conftest import Chain
from tests.scans import ct_slice, series

pytestmark = pytest.mark.anyio

SITE = """
[severity]
other_body_part = "warn"
not_a_head = "warn"
contrast = "refuse"
resampled = "warn"
"""


@pytest.fixture
def gateway_settings(tmp_path: Path) -> GatewaySettings:
    file = tmp_path / "acceptance.toml"
    file.write_text(SITE)
    return GatewaySettings(spool_dir=tmp_path / "spool", chunk_slices=4, acceptance_file=file)


async def _report(chain: Chain, files: dict[str, bytes]) -> dict[str, Any]:
    answer = await chain.predict(files)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def _severities(report: dict[str, Any]) -> dict[str, str]:
    return {reason["code"]: reason["severity"] for reason in report["reasons"]}


@pytest.mark.parametrize("count", [1, 6], ids=["in one call", "in chunks"])
async def test_a_series_with_a_lowered_refusal_of_headers_is_assessed(chain: Chain, count: int) -> None:
    report = await _report(chain, series(count, BodyPartExamined="NECK"))
    assert report["status"] == "assessed"
    assert _severities(report)["other_body_part"] == "warn"
    assert report["series"]["probabilities"]


async def test_a_series_with_a_lowered_refusal_of_pixels_is_assessed(chain: Chain) -> None:
    water = np.full((512, 512), 20, np.int16)
    water[0, 0] = 21
    report = await _report(chain, {"water.dcm": ct_slice(hu=water)})
    assert (report["status"], _severities(report)["not_a_head"]) == ("assessed", "warn")


@pytest.mark.parametrize("count", [1, 6], ids=["in one call", "in chunks"])
async def test_a_raised_warning_refuses_before_cnn(chain: Chain, count: int) -> None:
    report = await _report(chain, series(count, ContrastBolusAgent="IOHEXOL"))
    assert (report["status"], _severities(report)["contrast"]) == ("not_assessed", "refuse")
    assert report["series"]["probabilities"] is None
    assert chain.extractor.batches == []


async def test_uniform_images_stay_refused(chain: Chain) -> None:
    report = await _report(chain, {"even.dcm": ct_slice(hu=np.zeros((512, 512), np.int16))})
    assert report["status"] == "not_assessed"


async def test_an_invalid_file_stops_the_start(chain: Chain, gateway_settings: GatewaySettings) -> None:
    assert gateway_settings.acceptance_file
    gateway_settings.acceptance_file.write_text('[severity]\nconstant_image = "note"')
    stages = Stages(**{name: StageClient(name, chain.client) for name in chain.apps})
    with pytest.raises(ValueError, match="constant_image cannot be lowered"):
        create_app(stages, gateway_settings)
