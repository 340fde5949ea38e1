"""Objects and senders that the node refuses, and series that it must not score."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.dicom_node.software import SOFTWARE
from tests.e2e.pacs.conftest import Sent
from tests.pacs.orthanc import wait_for
from tests.pacs.secured_node import make_certificates, secured_node, tls_options
from tests.pacs.senders import killed_sender, storescu
from tests.pacs.series import SAMPLES, new_series
from tests.pacs.site import NODE, Site

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(300)]
SLICE = [SAMPLES / "01.dcm"]


@dataclass(frozen=True)
class Secured:
    """A node with TLS, certificates of its authority, and others of another authority with the same names."""

    port: int
    certificates: Path
    others: Path


@pytest.fixture(scope="module")
def secured(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    certificates, others = (make_certificates(folder / name) for name in ("certificates", "others"))
    with secured_node(folder, certificates, site.product.url) as port:
        yield Secured(port, certificates, others)


def test_an_association_to_another_ae_title_is_rejected(site: Site) -> None:
    done = storescu(SLICE, site.dicom_port, "OTHER")
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout + done.stderr


def test_a_sender_with_a_certificate_of_the_authority_is_served(secured: Secured) -> None:
    done = storescu(SLICE, secured.port, NODE, options=tls_options(secured.certificates, secured.certificates))
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_calling_ae_title_is_rejected_behind_tls(secured: Secured) -> None:
    options = tls_options(secured.certificates, secured.certificates)
    done = storescu(SLICE, secured.port, NODE, "STRANGER", options)
    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stdout + done.stderr


def test_a_certificate_of_another_authority_is_refused(secured: Secured) -> None:
    done = storescu(SLICE, secured.port, NODE, options=tls_options(secured.others, secured.certificates))
    assert done.returncode != 0
    assert "Association Request Failed" in done.stdout + done.stderr


def test_a_sender_without_tls_is_refused(secured: Secured) -> None:
    done = storescu(SLICE, secured.port, NODE)
    assert done.returncode != 0


def test_result_objects_are_refused_and_never_scored(site: Site, sent: Sent, tmp_path: Path) -> None:
    """An SR has no presentation context; a Secondary Capture of ours that a PACS routes back neither."""
    site.wait_for_results(sent["storescu"], site.complete_s + 120)
    for kind, dataset in site.pacs.fetch(sent["storescu"].study_uid):
        path = tmp_path / f"{kind}.dcm"
        dataset.save_as(path)
        done = storescu([path], site.dicom_port, NODE)
        assert done.returncode != 0, kind
        assert "No Acceptable Presentation Contexts" in done.stdout + done.stderr, kind
    assert site.steps(sent["storescu"]) == ["committed"]


def test_a_ct_image_that_the_node_made_is_passed_over(site: Site, tmp_path: Path) -> None:
    """As a PACS would send it that stores results under the SOP class of their source."""
    series = new_series(tmp_path / "series", {"ManufacturerModelName": SOFTWARE})
    site.send(series)
    site.wait_for_step(series, ("passed_over",), site.complete_s + 30)
    assert site.pacs.kinds(series.study_uid) == []


def test_a_half_series_of_a_killed_sender_is_not_scored(site: Site, tmp_path: Path) -> None:
    series = new_series(tmp_path / "series")
    killed_sender(series.files[:15], site.dicom_port, NODE)
    wait_for("15 instances", lambda: site.received(series) == 15, 10)
    with pytest.raises(AssertionError, match="an assessment"):
        site.wait_for_step(series, ("complete", "submitted", "reported", "built"), 3 * site.complete_s)
    site.send(series)
    site.wait_for_results(series, site.complete_s + 60)
    assert len(site.steps(series)) == 1
