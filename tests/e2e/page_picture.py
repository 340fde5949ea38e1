"""`python -m tests.e2e.page_picture URL docs/page.png`: draws the page with the report of the sample series."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.e2e.page_driver import PageDriver

_SAMPLES = Path(__file__).parents[2] / "samples" / "series"
_COLOURS = 200


def draw(url: str) -> bytes:
    """Screenshot of the whole page as PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1000}, reduced_motion="reduce")
        page.goto(url)
        page.get_by_text("Served model").wait_for()
        driver = PageDriver(page)
        driver.choose(sorted(_SAMPLES.glob("*.dcm")))
        driver.predict()
        driver.expect_picture()
        page.evaluate("scrollTo(0, 0)")
        return page.screenshot(full_page=True)


def main(url: str, path: str) -> None:
    """Write the screenshot with few colours, for a small file."""
    image = Image.open(io.BytesIO(draw(url))).convert("RGB")
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
