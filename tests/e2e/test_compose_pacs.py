"""Compose with Orthanc beside the node: a series for Orthanc comes back as results, and nothing loops."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.containers import ENGINE, Containers, run, running_containers
from tests.pacs.orthanc import AE_TITLE, wait_for
from tests.pacs.results import KINDS_OF_ASSESSED, Pacs
from tests.pacs.senders import send
from tests.pacs.series import new_series

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def beside() -> Iterator[Containers]:
    """All containers of the profile `pacs`."""
    with running_containers("pacs") as running:
        yield running


def test_a_series_for_orthanc_comes_back_as_results(beside: Containers, tmp_path: Path) -> None:
    series = new_series(tmp_path / "series")
    url = f"http://127.0.0.1:{beside.ports['ICH_PACS_HTTP_PORT']}"
    pacs = Pacs(f"{url}/dicom-web")
    wait_for("Orthanc", lambda: _answers(f"{url}/system"), 30)
    send(series.files, beside.ports["ICH_PACS_DICOM_PORT"], AE_TITLE)
    wait_for("the results in Orthanc", lambda: pacs.kinds(series.study_uid) == sorted(KINDS_OF_ASSESSED), 180)
    listed = beside.inside("dicom_node", "python", "-m", "services.dicom_node", "status", "--json").stdout
    assert '"committed": 1' in listed, listed


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.mark.usefixtures("beside")
def test_all_ports_are_on_loopback() -> None:
    lines = run([ENGINE, "ps", "--format", "{{.Names}} {{.Ports}}"]).splitlines()
    published = [line for line in lines if "->" in line]
    assert len(published) == len(("proxy", "dicom-node", "orthanc"))
    assert all(line.count("->") == line.count("127.0.0.1:") for line in published)
