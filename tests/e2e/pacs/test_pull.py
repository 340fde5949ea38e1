"""`POST /v1/pull` fetches a study from a PACS by DICOMweb and by C-MOVE."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.pacs.conftest import stow
from tests.pacs.orthanc import Orthanc
from tests.pacs.series import new_series
from tests.pacs.site import Site

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(200)]


def pull(site: Site, study_uid: str, peer: str) -> httpx.Response:
    """Ask the node to pull a study from a peer."""
    body = {"study_instance_uid": study_uid, "from": peer}
    return httpx.post(f"{site.product.node_url}/v1/pull", json=body, timeout=60)


@pytest.mark.parametrize("peer", ["by-web", "by-move"])
def test_a_pulled_study_is_assessed(site: Site, archive: Orthanc, tmp_path: Path, peer: str) -> None:
    series = new_series(tmp_path / "series")
    stow(archive.dicom_web_url, series)
    answer = pull(site, series.study_uid, peer)
    assert answer.is_success, answer.text
    site.wait_for_results(series, 90)
    assert site.received(series) == len(series.files)


def test_a_pull_from_an_unknown_peer_is_refused_by_name(site: Site) -> None:
    answer = pull(site, "1.2.3", "elsewhere")
    assert answer.is_client_error
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "by-web" in answer.json()["detail"]
