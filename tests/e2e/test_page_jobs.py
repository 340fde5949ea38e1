"""Jobs on the page, in a real browser, in front of the real services and workers."""

import io
import json
import re
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Dialog, Page, Request, Route, expect
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from tests.e2e.page_driver import WAIT_MS, PageDriver
from tests.scans import ct_slice, zipped

pytestmark = pytest.mark.e2e
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None}


def _series(folder: str, number: int, count: int = 2) -> dict[str, bytes]:
    uid = f"2.25.{7000 + number}"

    def at(index: int) -> bytes:
        study = f"2.25.{6000 + number}"
        return ct_slice(index, SeriesInstanceUID=uid, StudyInstanceUID=study, SOPInstanceUID=f"{uid}.{index + 1}")

    return {f"{folder}/{index}.dcm": at(index) for index in range(count)}


def _damaged(content: bytes) -> bytes:
    """A slice whose header is whole, and whose pixels are not what it says."""
    data = pydicom.dcmread(io.BytesIO(content))
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([b"nothing of the kind"])
    data["PixelData"].is_undefined_length = True
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def _choose_folder(page: Page, folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    page.locator("#folder").set_input_files(folder)


def _rows(page: Page, count: int) -> None:
    expect(page.locator("#job-rows tr")).to_have_count(count, timeout=WAIT_MS)


def _accept(dialog: Dialog) -> None:
    dialog.accept()


@pytest.fixture
def listed(driver: PageDriver, tmp_path: Path) -> PageDriver:
    """The page with a finished job of three series, and a file that belongs to none."""
    files = {**_series("a", 1), **_series("b", 2, count=3), **_series("c", 3), "notes.txt": b"words"}
    _choose_folder(driver.page, tmp_path / "studies", files)
    driver.button("Assess every series").click()
    expect(driver.page.get_by_role("heading", name="All 3 series are done")).to_be_visible(timeout=WAIT_MS)
    return driver


def test_what_is_mixed_is_offered_as_a_job(driver: PageDriver) -> None:
    page = driver.page
    driver.choose({"study.zip": zipped({**_series("a", 1), **_series("b", 2)})})
    driver.predict()
    expect(driver.problem).to_contain_text("2 series were sent")
    driver.problem.get_by_role("button", name="Assess every series").click()
    expect(page.locator("#job-title")).to_be_focused()
    expect(driver.problem).to_be_hidden()
    _rows(page, 2)
    expect(page.get_by_role("heading", name="All 2 series are done")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#job-words")).to_have_text("2 assessed")
    expect(page.locator("#job-cancel")).to_be_hidden()


def test_a_series_of_the_list_opens_and_the_way_back_is_there(listed: PageDriver) -> None:
    page = listed.page
    rows = page.locator("#job-rows tr")
    expect(rows.nth(1)).to_contain_text("studies/b")
    expect(rows.nth(1)).to_contain_text("No haemorrhage predicted")
    expect(page.get_by_text("1 file in no series")).to_be_visible()
    expect(page.locator("#job-damaged")).to_be_hidden()
    rows.nth(1).get_by_role("button").press("Enter")
    expect(listed.verdict).to_be_focused()
    expect(page.locator("#of-job-name")).to_have_text("studies/b")
    expect(page.locator("#strip rect.column")).to_have_count(3)
    expect(listed.picture).to_be_hidden()
    page.get_by_role("button", name="3: 2.dcm").click()
    listed.expect_slice(3)
    listed.button("Back to the list").click()
    expect(listed.verdict).to_be_hidden()
    expect(rows.nth(1).get_by_role("button")).to_be_focused()


def test_a_series_can_be_seen_with_pictures(driver: PageDriver, study: list[Path], tmp_path: Path) -> None:
    page = driver.page
    head = {f"head/{path.name}": path.read_bytes() for path in study}
    _choose_folder(page, tmp_path / "studies", {**head, **_series("other", 1)})
    driver.button("Assess every series").click()
    page.get_by_role("button", name="studies/head").click(timeout=WAIT_MS)
    driver.button("See it with pictures").click()
    expect(driver.picture).to_be_visible(timeout=WAIT_MS)
    driver.expect_painted()
    page.get_by_role("button", name="studies/other").click(timeout=WAIT_MS)
    expect(driver.picture).to_be_hidden()


def test_a_page_that_is_loaded_anew_finds_its_job(listed: PageDriver) -> None:
    page = listed.page
    assert re.search("#job=[0-9a-f]+$", page.url)
    page.reload()
    expect(page.get_by_role("heading", name="All 3 series are done")).to_be_visible()
    _rows(page, 3)
    page.locator("#job-rows button").first.click()
    expect(listed.button("See it with pictures")).to_be_hidden()
    expect(page.locator("#of-job-hint")).to_contain_text("Jobs keep no pictures")
    listed.choose(_series("d", 4))
    expect(page.locator("#job")).to_be_hidden()
    page.go_back()
    _rows(page, 3)


def test_reports_can_be_taken_away_and_the_job_removed(listed: PageDriver) -> None:
    page = listed.page
    for name, lines in (("CSV", 4), ("NDJSON", 3)):
        with page.expect_download() as download:
            listed.button(name).click()
        assert len(Path(download.value.path()).read_text().splitlines()) == lines
    address = page.url
    page.on("dialog", _accept)
    listed.button("Remove from the server").click()
    expect(page.locator("#job")).to_be_hidden()
    page.goto(address)
    expect(listed.problem).to_contain_text("there is no such job")


def test_the_most_probable_can_come_first(listed: PageDriver) -> None:
    page = listed.page
    page.get_by_label("Order").select_option("any")
    shown = page.locator("#job-rows .level .numbers").all_inner_texts()
    assert shown == sorted(shown, reverse=True)


def test_a_job_in_the_middle_is_found_again_and_cancelled(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    files = {name: data for number in range(40) for name, data in _series(f"s{number:02d}", number).items()}
    _choose_folder(page, tmp_path / "studies", files)
    driver.button("Assess every series").click()
    expect(page.locator("#job-rows tr").first).to_be_visible(timeout=WAIT_MS)
    page.reload()
    expect(page.locator("#job-amount")).to_contain_text("of 40 series")
    expect(page.locator("#job-bar")).to_have_attribute("value", re.compile("^0[.]"))
    page.once("dialog", lambda dialog: dialog.dismiss())
    driver.button("Cancel").click()
    expect(page.locator("#job-title")).to_have_text("Assessing the series")
    page.on("dialog", _accept)
    driver.button("Cancel").click()
    expect(page.locator("#job-title")).to_have_text("Cancelled")
    expect(page.locator("#job-words")).to_contain_text("The files are removed from the server")
    page.reload()
    expect(page.locator("#job-title")).to_have_text("Cancelled")
    expect(page.locator("#job-rows tr").first).to_contain_text("No haemorrhage predicted")
    with page.expect_download() as download:
        driver.button("CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == page.locator("#job-rows tr").count() + 1
    driver.button("Remove from the server").click()
    expect(page.locator("#job")).to_be_hidden()


def test_the_same_files_are_another_job_after_a_cancellation(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    files = {name: data for number in range(40) for name, data in _series(f"s{number:02d}", number).items()}
    _choose_folder(page, tmp_path / "studies", files)
    page.on("dialog", _accept)
    driver.button("Assess every series").click()
    expect(page.locator("#job-rows tr").first).to_be_visible(timeout=WAIT_MS)
    cancelled = page.url
    driver.button("Cancel").click()
    expect(page.locator("#job-title")).to_have_text("Cancelled")
    driver.button("Assess every series").click()
    page.wait_for_url(lambda url: "#job=" in url and url != cancelled)
    expect(page.get_by_role("heading", name="All 40 series are done")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.parametrize("width", [1280, 390])
def test_warnings_stand_beside_the_verdict(driver: PageDriver, tmp_path: Path, width: int) -> None:
    page = driver.page
    page.set_viewport_size({"width": width, "height": 844})
    warned = {f"kvp/{i}.dcm": ct_slice(i, SeriesInstanceUID="2.25.7001", KVP=60, **NO_RESCALE) for i in range(2)}
    _choose_folder(page, tmp_path / "studies", {**warned, **_series("plain", 2)})
    driver.button("Assess every series").click()
    _rows(page, 2)
    row = page.locator("#job-rows tr").filter(has_text="studies/kvp")
    expect(row).to_contain_text("No haemorrhage predicted, 2 warnings")
    expect(row.locator(".place")).to_have_text("1")
    expect(page.locator("#job-rows tr").filter(has_text="studies/plain").locator(".warnings")).to_have_count(0)
    expect(page.locator("#job-words")).to_contain_text("warnings in 1 series")
    assert driver.sideways_px() == 0
    row.get_by_role("button").click()
    expect(driver.verdict).to_have_text("No haemorrhage predicted, 2 warnings")


def test_a_job_of_two_bundles_warns(listed: PageDriver) -> None:
    """As the job's document says it, which `tests/gateway/jobs/test_views.py` is about."""
    page = listed.page
    expect(page.locator("#job-warnings")).to_be_hidden()
    words = "The reports come from 2 bundles: default 9f86 (reports: 2), default 6030 (reports: 1)."
    warning = json.dumps({"code": "several_models", "severity": "warn", "detail": words})

    def warn(route: Route) -> None:
        route.fulfill(
            response=(answer := route.fetch()), body=answer.text().replace('"warnings":[]', f'"warnings":[{warning}]')
        )

    page.route("**/events", warn)
    page.reload()
    expect(page.locator("#job-warnings")).to_have_text(words)


def test_a_series_that_fails_says_why(driver: PageDriver, tmp_path: Path) -> None:
    bad = _series("bad", 2)
    bad["bad/1.dcm"] = _damaged(bad["bad/1.dcm"])
    _choose_folder(driver.page, tmp_path / "studies", {**_series("good", 1), **bad})
    driver.button("Assess every series").click()
    _rows(driver.page, 2)
    failed = driver.page.locator("#job-rows tr.failed")
    expect(failed).to_contain_text("Could not be assessed")
    expect(failed).to_contain_text("studies/bad/1.dcm")
    expect(failed.get_by_role("button")).to_have_count(0)
    expect(driver.page.locator("#job-words")).to_have_text("1 assessed, 1 failed")


def test_files_without_a_series_and_damaged_ones_are_told(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    files = {"cut.dcm": ct_slice(0)[:-1000], "notes.txt": b"words"}
    _choose_folder(page, tmp_path / "studies", files)
    driver.button("Assess every series").click()
    expect(page.get_by_role("heading", name="No series could be found")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#job-damaged")).to_have_text("1 file cannot be read. A series may lack it.")
    expect(page.locator("#job-left-out-files li").first).to_contain_text("studies/cut.dcm")


KEY = "open-sesame-open"


def _guard(page: Page, address: str) -> list[str | None]:
    """Let only those in who bear the key, as a gateway with a senders file does; what they bore."""
    borne: list[str | None] = []
    problem = {"title": "A key is needed", "status": 401, "detail": "send a key", "code": "unauthorized"}

    def guard(route: Route, request: Request) -> None:
        borne.append(request.headers.get("authorization"))
        if borne[-1] == f"Bearer {KEY}":
            route.continue_()
        else:
            route.fulfill(status=401, json=problem, content_type="application/problem+json")

    page.route(address, guard)
    return borne


def test_where_a_key_is_needed_the_page_asks_for_it(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    borne = _guard(page, "**/v1/jobs**")
    _choose_folder(page, tmp_path / "studies", {**_series("a", 1), **_series("b", 2)})
    driver.button("Assess every series").click()
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This key is not known here")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(KEY)
    driver.button("Use this key").click()
    _rows(page, 2)
    assert borne[:2] == [None, "Bearer wrong"]
    page.reload()
    _rows(page, 2)


def test_a_key_is_asked_for_and_sent_with_a_waiting_call(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    borne = _guard(page, "**/v1/predictions**")
    _choose_folder(page, tmp_path / "studies", _series("a", 1))
    driver.button("Predict").click()
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(KEY)
    driver.button("Use this key").click()
    expect(page.locator("#verdict-title")).to_be_visible(timeout=WAIT_MS)
    assert borne == [None, f"Bearer {KEY}"]


def test_a_broken_line_is_tried_again(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    page.route("**/events", lambda route: route.abort("connectionreset"))
    _choose_folder(page, tmp_path / "studies", {**_series("a", 1), **_series("b", 2)})
    driver.button("Assess every series").click()
    expect(page.get_by_text("The service does not answer. Trying again")).to_be_visible(timeout=WAIT_MS)
    page.unroute("**/events")
    expect(page.get_by_role("heading", name="All 2 series are done")).to_be_visible(timeout=WAIT_MS)
