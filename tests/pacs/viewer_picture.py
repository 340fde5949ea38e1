"""A picture of the OHIF viewer with results: the segmentation over the series, and a Secondary Capture."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright

_SIZE: Final[ViewportSize] = {"width": 1360, "height": 640}
_LOAD_MS: Final = 60_000
_DRAW_MS: Final = 4_000
# WebGL without a graphics card.
_ARGUMENTS: Final = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextmanager
def open_study(url: str, study_uid: str) -> Iterator[Page]:
    """The viewer with a study, its two notices closed."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        page = browser.new_page(viewport=_SIZE)
        page.goto(f"{url}/viewer?StudyInstanceUIDs={study_uid}")
        page.get_by_text("Skip all").click(timeout=_LOAD_MS)
        page.get_by_text("Confirm and hide").click(timeout=_LOAD_MS)
        yield page
        browser.close()


def show_results(page: Page) -> None:
    """Show the segmentation over the series on the left, and the first Secondary Capture on the right."""
    page.locator('[data-cy="Layout"]').first.click()
    page.locator('[data-cy="Layout-1-0"]').click()
    panes = page.locator('[data-cy="viewport-pane"]')
    panes.nth(1).click()
    page.locator('[data-cy="study-browser-thumbnail"]').filter(has_text="key slices").dblclick()
    page.wait_for_timeout(_DRAW_MS)
    panes.nth(0).click()
    page.locator('[data-cy="study-browser-thumbnail-no-image"]').filter(has_text="SEG").dblclick()
    page.get_by_text("Yes", exact=True).click(timeout=_LOAD_MS)
    while (bar := page.locator('[data-cy="cine-player-close"]')).count():
        bar.first.click()
    page.wait_for_timeout(_DRAW_MS)


def picture(page: Page) -> bytes:
    """The page as PNG."""
    return page.screenshot()
