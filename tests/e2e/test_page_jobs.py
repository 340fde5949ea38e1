"""Jobs on the page, in a real browser, in front of the real services and workers."""

import io
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Dialog, Page, Request, Route, expect
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from tests.e2e.page_driver import WAIT_MS, PageDriver
from tests.running import Service
from tests.scans import ct_slice, zipped

pytestmark = pytest.mark.e2e
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None}


def _series(folder: str, number: int, count: int = 2) -> dict[str, bytes]:
    uid = f"2.25.{7000 + number}"

    def at(index: int) -> bytes:
        study = f"2.25.{6000 + number}"
        return ct_slice(index, SeriesInstanceUID=uid, StudyInstanceUID=study, SOPInstanceUID=f"{uid}.{index + 1}")

    return {f"{folder}/{index}.dcm": at(index) for index in range(count)}


def _corrupt(content: bytes) -> bytes:
    """A slice with a valid header and undecodable pixels."""
    data = pydicom.dcmread(io.BytesIO(content))
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([b"not RLE"])
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
def job_page(driver: PageDriver, tmp_path: Path) -> PageDriver:
    """The page with a finished job of three series and one other file."""
    files = {**_series("a", 1), **_series("b", 2, count=3), **_series("c", 3), "notes.txt": b"text"}
    _choose_folder(driver.page, tmp_path / "studies", files)
    driver.button("Assess every series").click()
    expect(driver.page.get_by_role("heading", name="All 3 series are done")).to_be_visible(timeout=WAIT_MS)
    return driver


def test_several_series_are_offered_as_a_job(driver: PageDriver) -> None:
    page = driver.page
    driver.choose({"study.zip": zipped({**_series("a", 1), **_series("b", 2)})})
    driver.predict()
    expect(driver.problem).to_contain_text("2 series were sent")
    driver.problem.get_by_role("button", name="Assess every series").click()
    expect(page.locator("#job-title")).to_be_focused()
    expect(driver.problem).to_be_hidden()
    _rows(page, 2)
    expect(page.get_by_role("heading", name="All 2 series are done")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#job-summary")).to_have_text("2 assessed")
    expect(page.locator("#job-cancel")).to_be_hidden()


def test_a_series_opens_from_the_list_and_back(job_page: PageDriver) -> None:
    page = job_page.page
    rows = page.locator("#job-rows tr")
    expect(rows.nth(1)).to_contain_text("studies/b")
    expect(rows.nth(1)).to_contain_text("No haemorrhage predicted")
    expect(page.get_by_text("1 file in no series")).to_be_visible()
    expect(page.locator("#job-warnings")).to_be_hidden()
    rows.nth(1).get_by_role("button").press("Enter")
    expect(job_page.verdict).to_be_focused()
    expect(page.locator("#job-report-title")).to_have_text("studies/b")
    expect(page.locator("#strip rect.column")).to_have_count(3)
    expect(job_page.picture).to_be_hidden()
    page.get_by_role("button", name="3: 2.dcm").click()
    job_page.expect_slice(3)
    job_page.button("Back to the list").click()
    expect(job_page.verdict).to_be_hidden()
    expect(rows.nth(1).get_by_role("button")).to_be_focused()


def test_a_series_of_a_job_can_be_shown_with_pictures(driver: PageDriver, study: list[Path], tmp_path: Path) -> None:
    page = driver.page
    head = {f"head/{path.name}": path.read_bytes() for path in study}
    _choose_folder(page, tmp_path / "studies", {**head, **_series("other", 1)})
    driver.button("Assess every series").click()
    page.get_by_role("button", name="studies/head").click(timeout=WAIT_MS)
    driver.button("Show with pictures").click()
    expect(driver.picture).to_be_visible(timeout=WAIT_MS)
    driver.expect_picture()
    page.get_by_role("button", name="studies/other").click(timeout=WAIT_MS)
    expect(driver.picture).to_be_hidden()


def test_a_reloaded_page_shows_its_job(job_page: PageDriver) -> None:
    page = job_page.page
    assert re.search("#job=[0-9a-f]+$", page.url)
    page.reload()
    expect(page.get_by_role("heading", name="All 3 series are done")).to_be_visible()
    _rows(page, 3)
    page.locator("#job-rows button").first.click()
    expect(job_page.button("Show with pictures")).to_be_hidden()
    expect(page.locator("#job-report-hint")).to_contain_text("Jobs store no pictures")
    job_page.choose(_series("d", 4))
    expect(page.locator("#job")).to_be_hidden()
    page.go_back()
    _rows(page, 3)


def test_reports_can_be_downloaded_and_the_job_deleted(job_page: PageDriver) -> None:
    page = job_page.page
    for name, lines in (("CSV", 4), ("NDJSON", 3)):
        with page.expect_download() as download:
            job_page.button(name).click()
        assert len(Path(download.value.path()).read_text().splitlines()) == lines
    address = page.url
    page.on("dialog", _accept)
    job_page.button("Delete from the server").click()
    expect(page.locator("#job")).to_be_hidden()
    page.goto(address)
    expect(job_page.problem).to_contain_text("there is no such job")


def test_the_series_can_be_sorted_by_probability(job_page: PageDriver) -> None:
    page = job_page.page
    page.get_by_label("Order").select_option("any")
    probabilities = page.locator("#job-rows .probability .tabular").all_inner_texts()
    assert probabilities == sorted(probabilities, reverse=True)


@contextmanager
def _paused(process: int) -> Iterator[None]:
    """Stop a process by signal, so that a job cannot end meanwhile."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_running_job_survives_a_reload_and_can_be_cancelled(
    driver: PageDriver, service: Service, tmp_path: Path
) -> None:
    page = driver.page
    files = {name: data for number in range(40) for name, data in _series(f"s{number:02d}", number).items()}
    _choose_folder(page, tmp_path / "studies", files)
    driver.button("Assess every series").click()
    expect(page.locator("#job-rows tr").first).to_be_visible(timeout=WAIT_MS)
    with _paused(service.process("cnn")):
        page.reload()
        expect(page.locator("#job-count")).to_contain_text("of 40 series")
        expect(page.locator("#job-bar")).to_have_attribute("value", re.compile("^0[.]"))
        page.once("dialog", lambda dialog: dialog.dismiss())
        driver.button("Cancel").click()
        expect(page.locator("#job-title")).to_have_text("Assessing the series")
        page.on("dialog", _accept)
        driver.button("Cancel").click()
        expect(page.locator("#job-title")).to_have_text("Cancelled")
    expect(page.locator("#job-summary")).to_contain_text("The server has deleted the files")
    page.reload()
    expect(page.locator("#job-title")).to_have_text("Cancelled")
    expect(page.locator("#job-rows tr").first).to_contain_text("No haemorrhage predicted")
    with page.expect_download() as download:
        driver.button("CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == page.locator("#job-rows tr").count() + 1
    driver.button("Delete from the server").click()
    expect(page.locator("#job")).to_be_hidden()


def test_the_same_files_are_a_new_job_after_a_cancellation(
    driver: PageDriver, service: Service, tmp_path: Path
) -> None:
    page = driver.page
    _choose_folder(page, tmp_path / "studies", {**_series("a", 1), **_series("b", 2), **_series("c", 3)})
    page.on("dialog", _accept)
    with _paused(service.process("cnn")):
        driver.button("Assess every series").click()
        expect(page.locator("#job-title")).to_have_text("Assessing the series", timeout=WAIT_MS)
        cancelled = page.url
        driver.button("Cancel").click()
        expect(page.locator("#job-title")).to_have_text("Cancelled")
    driver.button("Assess every series").click()
    page.wait_for_url(lambda url: "#job=" in url and url != cancelled)
    expect(page.get_by_role("heading", name="All 3 series are done")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.parametrize("width", [1280, 390])
def test_warnings_are_shown_beside_the_verdict(driver: PageDriver, tmp_path: Path, width: int) -> None:
    page = driver.page
    page.set_viewport_size({"width": width, "height": 844})
    warned = {f"kvp/{i}.dcm": ct_slice(i, SeriesInstanceUID="2.25.7001", KVP=60, **NO_RESCALE) for i in range(2)}
    _choose_folder(page, tmp_path / "studies", {**warned, **_series("plain", 2)})
    driver.button("Assess every series").click()
    _rows(page, 2)
    row = page.locator("#job-rows tr").filter(has_text="studies/kvp")
    expect(row).to_contain_text("No haemorrhage predicted, 2 warnings")
    expect(row.locator(".series-number")).to_have_text("1")
    expect(page.locator("#job-rows tr").filter(has_text="studies/plain").locator(".warnings")).to_have_count(0)
    expect(page.locator("#job-summary")).to_contain_text("warnings in 1 series")
    assert driver.horizontal_overflow_px() == 0
    row.get_by_role("button").click()
    expect(driver.verdict).to_have_text("No haemorrhage predicted, 2 warnings")


def test_the_warnings_of_a_job_are_shown(job_page: PageDriver) -> None:
    page = job_page.page
    expect(page.locator("#job-warnings")).to_be_hidden()
    text = "The reports come from 2 bundles: default 9f86 (reports: 2), default 6030 (reports: 1)."
    warning = json.dumps({"code": "several_models", "severity": "warn", "detail": text})

    def warn(route: Route) -> None:
        route.fulfill(
            response=(answer := route.fetch()), body=answer.text().replace('"warnings":[]', f'"warnings":[{warning}]')
        )

    page.route("**/events", warn)
    page.reload()
    expect(page.locator("#job-warnings")).to_have_text(text)


def test_a_failed_series_has_a_reason(driver: PageDriver, tmp_path: Path) -> None:
    bad = _series("bad", 2)
    bad["bad/1.dcm"] = _corrupt(bad["bad/1.dcm"])
    _choose_folder(driver.page, tmp_path / "studies", {**_series("good", 1), **bad})
    driver.button("Assess every series").click()
    _rows(driver.page, 2)
    failed = driver.page.locator("#job-rows tr.failed")
    expect(failed).to_contain_text("Could not be assessed")
    expect(failed).to_contain_text("studies/bad/1.dcm")
    expect(failed.get_by_role("button")).to_have_count(0)
    expect(driver.page.locator("#job-summary")).to_have_text("1 assessed, 1 failed")


def test_files_in_no_series_are_listed_with_unreadable_ones_first(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    files = {"cut.dcm": ct_slice(0)[:-1000], "notes.txt": b"text"}
    _choose_folder(page, tmp_path / "studies", files)
    driver.button("Assess every series").click()
    expect(page.get_by_role("heading", name="No series found")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#job-warnings")).to_contain_text("a series may lack slices")
    expect(page.locator("#left-out-files li").first).to_contain_text("studies/cut.dcm")


KEY = "open-sesame-open"


def _require_key(page: Page, address: str) -> list[str | None]:
    """Require the key as a gateway with a file of keys does; the `Authorization` headers of all requests."""
    headers: list[str | None] = []
    problem = {"title": "Key required", "status": 401, "detail": "send a key", "code": "unauthorized"}

    def check(route: Route, request: Request) -> None:
        headers.append(request.headers.get("authorization"))
        if headers[-1] == f"Bearer {KEY}":
            route.continue_()
        else:
            route.fulfill(status=401, json=problem, content_type="application/problem+json")

    page.route(address, check)
    return headers


def test_the_page_asks_for_a_required_key(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    headers = _require_key(page, "**/v1/jobs**")
    _choose_folder(page, tmp_path / "studies", {**_series("a", 1), **_series("b", 2)})
    driver.button("Assess every series").click()
    expect(page.get_by_role("heading", name="Key required")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Unknown key")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(KEY)
    driver.button("Use this key").click()
    _rows(page, 2)
    assert headers[:2] == [None, "Bearer wrong"]
    page.reload()
    _rows(page, 2)


def test_a_prediction_asks_for_a_required_key_and_sends_it(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    headers = _require_key(page, "**/v1/predictions**")
    _choose_folder(page, tmp_path / "studies", _series("a", 1))
    driver.button("Predict").click()
    expect(page.get_by_role("heading", name="Key required")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(KEY)
    driver.button("Use this key").click()
    expect(page.locator("#verdict-title")).to_be_visible(timeout=WAIT_MS)
    assert headers == [None, f"Bearer {KEY}"]


def test_a_lost_event_stream_is_retried(driver: PageDriver, tmp_path: Path) -> None:
    page = driver.page
    page.route("**/events", lambda route: route.abort("connectionreset"))
    _choose_folder(page, tmp_path / "studies", {**_series("a", 1), **_series("b", 2)})
    driver.button("Assess every series").click()
    expect(page.get_by_text("The service does not answer. Retrying")).to_be_visible(timeout=WAIT_MS)
    page.unroute("**/events")
    expect(page.get_by_role("heading", name="All 2 series are done")).to_be_visible(timeout=WAIT_MS)
