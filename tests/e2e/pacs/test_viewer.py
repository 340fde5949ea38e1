"""OHIF on Orthanc shows the segmentation and the Secondary Capture. docs/ohif.png is such a picture."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.pacs.conftest import Sent
from tests.pacs.site import Site
from tests.pacs.viewer import PACKAGE, fetch_viewer, serving_viewer
from tests.pacs.viewer_picture import open_study, picture, show_results

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(400)]
_MIDDLE = 820  # column between the two panes
_TOP = 60  # row below the tools
_LOOKS, _LOOK_MS = 30, 2_000
BANNER = (255, 176, 0)  # of Secondary Captures
SEGMENT = (240, 110, 70)  # of the label intraparenchymal, blended with the image


def test_ohif_shows_segmentation_and_secondary_capture(site: Site, sent: Sent, tmp_path: Path) -> None:
    dist = fetch_viewer()
    if dist is None:
        pytest.skip(f"needs npm and its package {PACKAGE}")
    site.wait_for_results(sent["route"], 120)  # Orthanc has the series, too
    with serving_viewer(dist, site.orthanc.dicom_web_url) as url, open_study(url, sent["route"].study_uid) as page:
        show_results(page)
        shown = picture(page)
        for _ in range(_LOOKS):  # a software renderer may take long for its first frame
            if _shows_results(shown):
                break
            page.wait_for_timeout(_LOOK_MS)
            shown = picture(page)
    (tmp_path / "ohif.png").write_bytes(shown)
    print(f"picture: {tmp_path / 'ohif.png'}")
    assert _shows_results(shown)


def _shows_results(shown: bytes) -> bool:
    pixels = np.asarray(Image.open(BytesIO(shown)).convert("RGB"), dtype=int)[_TOP:]
    return _near(pixels[:, :_MIDDLE], SEGMENT) > 50 and _near(pixels[:, _MIDDLE:], BANNER) > 500


def _near(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    """The number of pixels that differ from a colour by 40 at most in each channel."""
    return int((abs(pixels - np.array(colour)).max(axis=2) <= 40).sum())
