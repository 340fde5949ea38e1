"""`python -m tests.e2e.page_picture URL docs/page.png`: the page with the sample series, as the documents show it."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.e2e.page_driver import PageDriver

_SAMPLES = Path(__file__).parents[2] / "samples" / "series"
_LEVELS = 200


def draw(url: str) -> bytes:
    """A PNG of the whole page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1000}, reduced_motion="reduce")
        page.goto(url)
        page.get_by_text("Served model").wait_for()
        driver = PageDriver(page)
        driver.choose(sorted(_SAMPLES.glob("*.dcm")))
        driver.predict()
        driver.expect_painted()
        page.evaluate("scrollTo(0, 0)")
        return page.screenshot(full_page=True)


def main(url: str, path: str) -> None:
    """Write it with few colours: small, and no worse to look at."""
    shown = Image.open(io.BytesIO(draw(url))).convert("RGB")
    shown.quantize(_LEVELS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
