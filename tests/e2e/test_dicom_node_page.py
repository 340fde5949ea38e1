"""The status page of the DICOM node in a real browser, in front of the real node."""

import pytest
from playwright.sync_api import BrowserContext, ViewportSize, expect

from tests.e2e.page_driver import record_errors
from tests.running import Service

pytestmark = pytest.mark.e2e
_SIZES: tuple[ViewportSize, ...] = ({"width": 1280, "height": 900}, {"width": 360, "height": 740})


@pytest.mark.parametrize("size", _SIZES, ids=["desktop", "phone"])
def test_the_status_page_shows_the_node(context: BrowserContext, service: Service, size: ViewportSize) -> None:
    page = context.new_page()
    errors = record_errors(page, service.node_url)
    page.set_viewport_size(size)
    page.goto(service.node_url)
    expect(page.locator("#address")).to_contain_text(f"AE title ICH, port {service.ports['dicom']}")
    expect(page.locator("#state")).to_contain_text("listening")
    expect(page.locator("#state")).to_contain_text("ready")
    expect(page.locator("#destinations")).to_contain_text("ICH_NODE_PEERS_FILE")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []
