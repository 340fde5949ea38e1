"""A picture of the OHIF viewer with results: the segmentation over the series, and a Secondary Capture."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright
from playwright.sync_api import TimeoutError as PageTimeout

_SIZE: Final[ViewportSize] = {"width": 1360, "height": 640}
_LOAD_MS: Final = 120_000
_DRAW_MS: Final = 4_000
_ASK_MS: Final = 20_000
# WebGL without a graphics card.
_ARGUMENTS: Final = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextmanager
def open_study(url: str, study_uid: str) -> Iterator[Page]:
    """The viewer with a study, its two notices closed."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        page = browser.new_page(viewport=_SIZE)
        page.set_default_timeout(_LOAD_MS)
        page.goto(f"{url}/viewer?StudyInstanceUIDs={study_uid}")
        page.get_by_text("Skip all").click()
        page.get_by_text("Confirm and hide").click()
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
    _accept_segmentation(page)
    while (bar := page.locator('[data-cy="cine-player-close"]')).count():
        bar.first.click()
    page.wait_for_timeout(_DRAW_MS)


def _accept_segmentation(page: Page) -> None:
    """Answer the question whether to show it; the viewer asks in some states only."""
    with suppress(PageTimeout):
        page.get_by_text("Yes", exact=True).click(timeout=_ASK_MS)


def picture(page: Page) -> bytes:
    """The page as PNG."""
    return page.screenshot()
