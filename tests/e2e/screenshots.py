"""`python -m tests.e2e.screenshots`, or `make screenshots`: draws the pictures of the page in docs/ from samples/."""

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright
from pydicom.uid import UID

from tests.e2e.altered_series import edited, encoded, load
from tests.e2e.send_job import finished_job
from tests.e2e.viewer_driver import ViewerDriver
from tests.running import ROOT, Service, running_service

MOST_BYTES: Final = 300_000
_COLOURS: Final = 200
_WAIT_MS: Final = 60_000
_DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 860}
_PHONE: Final[ViewportSize] = {"width": 360, "height": 740}


def send_samples(service: Service) -> Mapping[str, str]:
    """Send the sample series, an earlier one of the same patient, and one that is not assessed; jobs by name."""
    slices = load(ROOT / "samples" / "series")
    earlier = edited(slices, lambda _, item: setattr(item, "SeriesInstanceUID", "2.25.4711"))
    for number, item in enumerate(earlier):
        item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.4711.{number}")
        item.AcquisitionDate, item.SeriesDescription = "20190920", "Synthetic phantom, four days before"
        item.AcquisitionTime = "0900"
    blank = edited(slices[:3], lambda _, item: setattr(item, "PixelData", bytes(len(item.PixelData))))
    for number, item in enumerate(blank):
        item.SeriesInstanceUID, item.SeriesDescription = "2.25.4712", "Synthetic phantom, without content"
        item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.4712.{number}")
    sent = {"earlier": earlier, "blank": blank, "sample": slices}
    return {name: finished_job(service, encoded(files), source="upload") for name, files in sent.items()}


def _worklist(page: Page) -> None:
    expect(page.locator(".grid-row[data-kind=present]").first).to_be_visible(timeout=_WAIT_MS)
    expect(page.locator("#served-model")).to_contain_text("Served model", timeout=_WAIT_MS)


def _viewer(page: Page) -> None:
    ViewerDriver(page).wait_for_picture()
    expect(page.get_by_role("button", name="Heat map (h)").first).to_be_visible(timeout=_WAIT_MS)
    expect(page.locator(".stage .hint", has_text="slices loaded")).to_have_count(0, timeout=_WAIT_MS)


def _compare(page: Page) -> None:
    expect(page.locator(".compare-pane canvas")).to_have_count(2, timeout=_WAIT_MS)
    for notice in page.locator(".slice-canvas .notice").all():
        expect(notice).to_be_empty(timeout=_WAIT_MS)
    expect(page.get_by_role("button", name="Heat map (h)")).to_have_count(2, timeout=_WAIT_MS)


def _model(page: Page) -> None:
    expect(page.locator("main table").first).to_be_visible(timeout=_WAIT_MS)


def draw_all(browser: Browser, service: Service) -> Mapping[str, bytes]:
    """PNGs by their paths in docs/."""
    jobs = send_samples(service)
    series = f"#/jobs/{jobs['sample']}/series/0"
    desktop = browser.new_context(viewport=_DESKTOP, reduced_motion="reduce")
    dark = browser.new_context(viewport=_DESKTOP, reduced_motion="reduce", color_scheme="dark")
    phone = browser.new_context(viewport=_PHONE, reduced_motion="reduce", is_mobile=True, has_touch=True)
    wanted: Mapping[str, tuple[BrowserContext, str, Callable[[Page], None]]] = {
        "page.png": (desktop, series, _viewer),
        "page/worklist.png": (desktop, "#/", _worklist),
        "page/compare.png": (desktop, f"#/compare/{jobs['sample']}/0/{jobs['earlier']}/0", _compare),
        "page/model.png": (desktop, "#/model", _model),
        "page/dark.png": (dark, series, _viewer),
        "page/phone.png": (phone, series, _viewer),
    }
    return {path: _draw(context, f"{service.url}/{address}", wait) for path, (context, address, wait) in wanted.items()}


def _draw(context: BrowserContext, address: str, wait: Callable[[Page], None]) -> bytes:
    page = context.new_page()
    page.goto(address)
    wait(page)
    page.evaluate("scrollTo(0, 0)")
    return _small(page.screenshot())


def _small(png: bytes) -> bytes:
    """Store a picture in few colours."""
    file = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    assert file.tell() < MOST_BYTES
    return file.getvalue()


def main(folder: Path) -> None:
    """Start the product, and write the pictures into a folder."""
    with tempfile.TemporaryDirectory() as log, running_service(Path(log, "log")) as service, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for path, png in draw_all(browser, service).items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(png)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
