"""One running product and one browser for all end-to-end tests."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect, sync_playwright

from tests.e2e.containers import Containers, running_containers
from tests.e2e.page_driver import PageDriver, record_errors
from tests.e2e.send_job import finished_job
from tests.otlp_receiver import OtlpReceiver, receiving_spans
from tests.receiver import Receiver, receiving
from tests.running import NAMES, ROOT, Service, running_service

HOSTILE_HOST: Final = "evil.example.org"  # for the browser, a name of this machine
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "samples"


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """A web server that receives webhooks."""
    with receiving() as found:
        yield found


@pytest.fixture(scope="session")
def collector() -> Iterator[OtlpReceiver]:
    """A collector of the product's traces."""
    with receiving_spans() as found:
        yield found


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, collector: OtlpReceiver) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "secret").write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}")
    webhooks = {
        "ICH_GATEWAY_WEBHOOKS_ALLOWED": f'["{receiver.url}/hooks"]',
        "ICH_GATEWAY_WEBHOOK_SECRET_FILE": str(folder / "secret"),
        "ICH_GATEWAY_SHOW_PATIENT": "true",  # with names in the worklist, they are nowhere else
    }
    no_drain = {f"ICH_{name.upper()}_DRAIN_S": "0" for name in NAMES}
    with running_service(folder / "log", more=webhooks | no_drain | collector.environment) as running:
        yield running


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """All containers of Compose."""
    with running_containers() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium")
    rebound = f"--host-resolver-rules=MAP {HOSTILE_HOST} 127.0.0.1"
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", rebound]
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
    """The open page; fails the test where the page had an error."""
    page = context.new_page()
    errors = record_errors(page, service.url)
    page.goto(f"{service.url}/")
    expect(page.locator("#served-model")).to_contain_text("Served model")
    yield PageDriver(page)
    assert errors == []


@pytest.fixture(scope="session")
def sample_jobs() -> list[str]:
    """Jobs of the sample series, the latest last."""
    return []


@pytest.fixture(scope="module")
def sample_address(service: Service, study: list[Path], sample_jobs: list[str]) -> str:
    """Address of the sample series in the page; sent again where a test has deleted all jobs."""
    if not any(httpx.get(f"{service.url}/v1/jobs/{job}", timeout=60).is_success for job in sample_jobs[-1:]):
        sample_jobs.append(finished_job(service, {path.name: path.read_bytes() for path in study}))
    return f"{service.url}/#/jobs/{sample_jobs[-1]}/series/0"


@pytest.fixture(scope="session")
def study(samples: Path) -> list[Path]:
    return sorted((samples / "series").glob("*.dcm"))
