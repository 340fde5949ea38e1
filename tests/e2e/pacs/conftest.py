"""One product beside Orthanc, and an archive; series reach the node by each way at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from tests.otlp_receiver import OtlpReceiver, receiving_spans
from tests.pacs.orthanc import AE_TITLE, Addresses, Orthanc, executable, running_orthanc
from tests.pacs.senders import INSTALL, dcmtk_storescu, send
from tests.pacs.series import Series, new_series
from tests.pacs.site import Site, running_site
from tests.running import free_ports

COMPLETE_S: Final = 3.0
ARCHIVE: Final = "ARCHIVE"
WAYS: Final = ("storescu", "stow", "stow_by_orthanc", "route", "abdomen")
Sent = Mapping[str, Series]


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Fail with the command that installs what is missing."""
    executable()
    assert dcmtk_storescu(), f"dcmtk is not installed: {INSTALL}"


@pytest.fixture(scope="session")
def collector() -> Iterator[OtlpReceiver]:
    """A collector of the product's traces."""
    with receiving_spans() as found:
        yield found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver) -> Iterator[Site]:
    """The product and Orthanc, which gets the results; further peers are the archive by DICOM and by DICOMweb."""
    http_port, dicom_port = free_ports(2)
    peers = (
        f'[peers.by-move]\nae_title = "{ARCHIVE}"\nhost = "127.0.0.1"\nport = {dicom_port}\n'
        f'[peers.by-web]\ndicom_web_url = "http://127.0.0.1:{http_port}/dicom-web"\n'
    )
    folder = tmp_path_factory.mktemp("site")
    (folder / "archive-ports").write_text(f"{http_port} {dicom_port}")
    with running_site(folder, COMPLETE_S, collector.environment, peers) as running:
        yield running


@pytest.fixture(scope="session")
def archive(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that routes nothing: the node pulls from it, and it sends by STOW-RS on request."""
    ports = site.orthanc.folder.parent / "archive-ports"
    http_port, dicom_port = map(int, ports.read_text().split())
    addresses = Addresses(http_port, dicom_port, site.dicom_port, site.product.ports["node"])
    options = {"LuaScripts": [], "DicomAet": ARCHIVE}
    with running_orthanc(tmp_path_factory.mktemp("archive"), addresses, options) as running:
        yield running


@pytest.fixture(scope="session")
def sent(site: Site, archive: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """Send a series by each way; the node works on all of them at once."""
    folder = tmp_path_factory.mktemp("series")
    abdomen = {"BodyPartExamined": "ABDOMEN", "SeriesDescription": "Abdomen", "StudyDescription": "CT abdomen"}
    series = {way: new_series(folder / way, abdomen if way == "abdomen" else None) for way in WAYS}
    site.send(series["storescu"])
    site.send(series["abdomen"])
    stow(f"{site.product.node_url}/dicom-web", series["stow"])
    stow(archive.dicom_web_url, series["stow_by_orthanc"])
    (study,) = archive.post("/tools/find", {"Level": "Study", "Query": _query(series["stow_by_orthanc"])})
    archive.post("/dicom-web/servers/ich/stow", {"Resources": [study]})
    send(series["route"].files, site.orthanc.addresses.dicom_port, AE_TITLE)
    return series


def _query(series: Series) -> dict[str, str]:
    return {"StudyInstanceUID": series.study_uid}


def stow(url: str, series: Series) -> None:
    """Send a series by STOW-RS with dicomweb-client."""
    DICOMwebClient(url).store_instances([dcmread(path) for path in series.files])


def predict(site: Site, files: list[Path]) -> dict[str, dict[str, float]]:
    """The gateway's synchronous report of files."""
    parts = [("files", (path.name, path.read_bytes())) for path in files]
    answer = httpx.post(f"{site.product.url}/v1/predictions", files=parts, timeout=120)
    assert answer.status_code == 200, answer.text
    report: dict[str, dict[str, float]] = answer.json()
    return report
