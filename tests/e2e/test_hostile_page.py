"""A page of another origin in a real browser, against the product on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.conftest import HOSTILE_HOST
from tests.running import Service

pytestmark = pytest.mark.e2e
_SEND: Final = """async ([url, options]) => {
    try {
        const response = await fetch(url, options);
        return [response.type, response.status, await response.text()];
    } catch (error) { return ["error", 0, String(error)]; }
}"""
_REDOC_LOGO: Final = "https://cdn.redoc.ly/redoc/logo-mini.svg' violates"  # its policy keeps ReDoc from that host
_POST_FILE: Final = """async url => {
    const body = new FormData();
    body.append("files", new Blob(["no slice"]), "slice.dcm");
    await fetch(url, { method: "POST", mode: "no-cors", body }).catch(() => null);
}"""
_FORM: Final = """url => {
    const form = Object.assign(document.createElement("form"), { method: "POST", action: url });
    form.enctype = "multipart/form-data";
    const field = Object.assign(document.createElement("textarea"), { name: "files", value: "no slice" });
    form.append(field);
    document.body.append(form);
    form.submit();
}"""


@contextmanager
def _hostile_site() -> Iterator[str]:
    """A web server with an empty page, on another port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>hostile</title>")

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hostile_page(context: BrowserContext) -> Iterator[Page]:
    with _hostile_site() as url:
        page = context.new_page()
        page.goto(url)
        yield page


def _job_ids(service: Service) -> set[str]:
    return {job["id"] for job in httpx.get(f"{service.url}/v1/jobs?limit=200").json()["jobs"]}


def test_it_posts_no_job_by_fetch(hostile_page: Page, service: Service) -> None:
    before = _job_ids(service)
    hostile_page.evaluate(_POST_FILE, f"{service.url}/v1/jobs")
    assert _job_ids(service) == before


def test_it_posts_no_job_by_a_form(hostile_page: Page, service: Service) -> None:
    before = _job_ids(service)
    with hostile_page.expect_response(f"{service.url}/v1/jobs") as response:
        hostile_page.evaluate(_FORM, f"{service.url}/v1/jobs")
    assert response.value.status == httpx.codes.FORBIDDEN
    assert _job_ids(service) == before


def test_it_reads_no_report(hostile_page: Page, service: Service) -> None:
    kind, status, _ = hostile_page.evaluate(_SEND, [f"{service.url}/v1/jobs", {}])
    assert (kind, status) == ("error", 0)


def test_it_reads_nothing_by_dns_rebinding(browser: Browser, service: Service) -> None:
    """Its own name leads to this machine: for the browser, the gateway is the page's own origin."""
    page = browser.new_page(bypass_csp=True)  # the hostile page comes from its own server, under no policy
    answer = page.goto(f"http://{HOSTILE_HOST}:{service.ports['gateway']}/livez")
    assert answer
    assert answer.status == httpx.codes.OK  # a probe takes any host: the name does lead to the gateway
    _, status, text = page.evaluate(_SEND, ["/v1/jobs", {}])
    assert status == httpx.codes.MISDIRECTED_REQUEST
    assert "unknown_host" in text
    page.close()


@pytest.mark.parametrize(("path", "shown"), [("/docs", "#operations-tag-jobs"), ("/redoc", "[id^='tag/jobs']")])
def test_the_documentation_works_under_its_policy(
    context: BrowserContext, service: Service, path: str, shown: str
) -> None:
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.goto(f"{service.url}{path}")
    page.locator(shown).first.wait_for()
    assert [text for text in refused if _REDOC_LOGO not in text] == []
