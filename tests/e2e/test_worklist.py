"""The worklist in a real browser: rows that stay in place, orders, single-letter keys, tabs, and old addresses."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.e2e.fake_worklist import FakeWorklist
from tests.e2e.page_driver import record_errors
from tests.e2e.send_job import finished_job
from tests.running import Service

pytestmark = pytest.mark.e2e
_KEY: Final = "open-sesame-open"


@pytest.fixture
def page(context: BrowserContext, service: Service) -> Iterator[Page]:
    found = context.new_page()
    errors = record_errors(found, service.url)
    yield found
    assert errors == []


def test_new_series_do_not_move_the_row_under_the_readers_hands(page: Page, service: Service) -> None:
    fake = FakeWorklist(page, 200)
    page.goto(f"{service.url}/")
    expect(page.get_by_role("link", name="Series 199")).to_be_visible()
    fake.add(1)
    expect(page.get_by_role("link", name="Series 200")).to_be_visible()  # at the top they appear
    page.get_by_role("row", name=re.compile("Series 190")).focus()
    page.keyboard.press("j")
    focused = page.locator(".grid-row:focus")
    expect(focused).to_contain_text("Series 189")
    before = focused.bounding_box()
    fake.add(3)
    note = page.get_by_role("button", name="3 new above")
    expect(note).to_be_visible()
    expect(focused).to_contain_text("Series 189")
    expect(focused).to_have_attribute("aria-rowindex", str(2 + 203 - 189))
    after = focused.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2
    note.click()
    expect(page.locator(".grid-row:focus")).to_contain_text("Series 203")
    expect(note).to_be_hidden()


def test_filters_and_order_stand_in_the_address(page: Page, service: Service) -> None:
    fake = FakeWorklist(page, 200)
    page.goto(f"{service.url}/")
    page.get_by_role("button", name="not assessed").click()
    expect(page).to_have_url(re.compile(r"#/\?status=not_assessed%2Cfailed$"))
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "51")
    expect(page.locator("[data-kind=unknown]").first).to_contain_text("Not assessed")
    expect(page.get_by_role("button", name="200 all")).to_be_visible()  # counts are those without the quick filter
    page.get_by_role("button", name="Series", exact=True).click()
    expect(page).to_have_url(re.compile("sort=description"))
    page.keyboard.press("/")
    page.keyboard.type("CT head")
    expect(page).to_have_url(re.compile(r"text=CT\+head"))
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("CT head")
    expect(page.get_by_role("columnheader", name="Series")).to_have_attribute("aria-sort", "ascending")
    assert "text=CT+head" in fake.requests[-1]
    assert not any("probability" in address for address in fake.requests)
    page.get_by_role("button", name="Probability of subdural").click()
    expect(page.get_by_text("Ordered by a score, by your choice")).to_be_visible()


def test_keys_open_mark_and_compare_and_the_way_back_keeps_the_place(page: Page, service: Service) -> None:
    FakeWorklist(page, 200)
    page.goto(f"{service.url}/#/?sort=urgent")
    page.get_by_role("row", name=re.compile("Series 199")).focus()
    page.keyboard.press("End")
    expect(page.locator(".grid-row:focus")).to_contain_text("Series 0")
    for key in ("x", "k", "x"):
        page.keyboard.press(key)
    expect(page.locator("[aria-selected=true]")).to_have_count(2)
    compare = page.get_by_role("link", name="Compare the two marked series")
    expect(compare).to_have_attribute("href", "#/compare/00/0/01/0")
    page.keyboard.press("?")
    page.get_by_label("Use single-letter keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(page.locator("[aria-selected=true]")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/jobs/01/series/0$"))
    page.go_back()
    expect(page.locator(".grid-row:focus")).to_contain_text("Series 1")


def test_a_second_tab_and_a_reload_need_no_key(context: BrowserContext, page: Page, service: Service) -> None:
    wrong: list[str] = []

    def check(route: Route, request: Request) -> None:
        if request.headers.get("authorization") == f"Bearer {_KEY}":
            return route.continue_()
        wrong.extend(value for name, value in request.headers.items() if name == "authorization")
        problem = {"title": "Key required", "status": 401, "detail": "send a key", "code": "unauthorized"}
        return route.fulfill(status=401, json=problem, content_type="application/problem+json")

    context.route("**/v1/worklist**", check)
    context.route("**/v1/jobs**", check)
    page.goto(f"{service.url}/")
    expect(page.get_by_role("dialog")).to_have_count(1)  # one form for all waiting requests
    page.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Unknown key")).to_be_visible()
    assert wrong == ["Bearer wrong"]  # the gateway counts wrong keys
    page.get_by_label("Key", exact=True).fill(_KEY)
    page.keyboard.press("Enter")
    live = page.get_by_text("Live", exact=True)
    expect(live).to_be_visible()
    other = context.new_page()
    other.goto(f"{service.url}/")
    expect(other.get_by_role("grid").or_(other.locator(".empty")).filter(visible=True)).to_be_visible()
    other.close()
    page.reload()
    expect(live).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    kept = page.evaluate("[{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]")
    assert _KEY not in str(kept)
    assert kept[:3] == [{}, {}, ""]


def test_a_job_of_an_earlier_address_opens(page: Page, service: Service, study: list[Path]) -> None:
    job = finished_job(service, {path.name: path.read_bytes() for path in study})
    page.goto(f"{service.url}/#job={job}")
    expect(page.get_by_role("heading", name="The series is done")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Table (CSV)").click()
    assert job in download.value.suggested_filename
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete from the server").click()
    expect(page).to_have_url(re.compile("#/$"))
    assert httpx.get(f"{service.url}/v1/jobs/{job}").status_code == httpx.codes.NOT_FOUND
