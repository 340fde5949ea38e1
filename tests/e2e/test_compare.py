"""Two series side by side: linked by position, with a warning where they are not known to be of one patient."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.heat_map_sources import GEOMETRIES, make_phantom, store
from tests.e2e.page_driver import WAIT_MS, record_errors
from tests.e2e.send_job import finished_job
from tests.running import Service
from tests.scans import series

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(context: BrowserContext, service: Service) -> Iterator[Page]:
    page = context.new_page()
    errors = record_errors(page, service.url)
    yield page
    assert errors == []


@pytest.fixture(scope="module")
def jobs(service: Service) -> dict[str, str]:
    """A patient's thick and thin series, and one that is refused, of another patient."""
    study = make_phantom()
    sources = {"thick": GEOMETRIES["plain"], "thin": GEOMETRIES["turned by 180 degrees, thin"]}
    sent = {
        name: finished_job(service, store(study, replace(geometry, tags={"PatientID": "one"})).files)
        for name, geometry in sources.items()
    }
    refused = series(8, BodyPartExamined="CHEST", PatientID="other")
    return sent | {"refused": finished_job(service, refused), "unknown": finished_job(service, series(8))}


def _open(page: Page, service: Service, one: str, other: str) -> list[Locator]:
    """The places of both pictures."""
    page.goto(f"{service.url}/#/compare/{one}/0/{other}/0")
    expect(page.locator(".slice-canvas")).to_have_count(2, timeout=WAIT_MS)
    return page.locator(".slice-canvas").all()


def test_two_series_of_a_patient_scroll_by_position(page: Page, service: Service, jobs: dict[str, str]) -> None:
    thick, thin = _open(page, service, jobs["thick"], jobs["thin"])
    expect(page.get_by_text("Same patient")).to_be_visible()
    thick.press("Home")
    expect(thin.locator(".place")).to_contain_text("Slice 1 of 30")
    thick.press("ArrowDown")
    expect(thin.locator(".place")).to_contain_text("Slice 6 of 30")
    thin.press("End")
    expect(thick.locator(".place")).to_contain_text("Slice 6 of 6")
    page.get_by_label("Scroll together").uncheck()
    thin.press("Home")
    expect(thick.locator(".place")).to_contain_text("Slice 6 of 6")
    page.get_by_role("button", name="Link here").click()
    page.get_by_label("Scroll together").check()
    thick.press("ArrowUp")
    expect(thin.locator(".place")).to_contain_text("Slice 1 of 30")
    expect(page.get_by_text("Heat map of intraparenchymal: highest")).to_have_count(2)


def test_another_patient_and_a_refused_series_are_named(page: Page, service: Service, jobs: dict[str, str]) -> None:
    _open(page, service, jobs["thick"], jobs["refused"])
    expect(page.get_by_role("alert")).to_contain_text("Not the same patient")
    expect(page.locator(".compare-pane").nth(1)).to_contain_text("Not assessed")
    expect(page.locator(".compare-pane").nth(1)).to_contain_text("This is not a negative result")
    _open(page, service, jobs["thick"], jobs["unknown"])
    expect(page.get_by_role("alert")).to_contain_text("Not known to be the same patient")


def test_panes_stand_one_above_the_other_on_a_phone(page: Page, service: Service, jobs: dict[str, str]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    thick, thin = _open(page, service, jobs["thick"], jobs["thin"])
    upper, lower = thick.bounding_box(), thin.bounding_box()
    assert upper is not None
    assert lower is not None
    assert upper["y"] + upper["height"] < lower["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
