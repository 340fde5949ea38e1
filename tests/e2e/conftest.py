"""One running product for all end-to-end tests, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect, sync_playwright

from tests.e2e.page_driver import PageDriver, watched
from tests.running import ROOT, Service, running_service

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "samples"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def driver(context: BrowserContext, service: Service) -> Iterator[PageDriver]:
    """The page, open; in the end it must have had no fault."""
    page = context.new_page()
    faults = watched(page, service.url)
    page.goto(service.url)
    expect(page.locator("#served")).to_contain_text("Served model")
    yield PageDriver(page)
    assert faults == []


@pytest.fixture(scope="session")
def study(samples: Path) -> list[Path]:
    return sorted((samples / "series").glob("*.dcm"))
