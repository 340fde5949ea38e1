"""The worklist in a real browser: many series, live changes, jobs, keys, a reload and a second tab."""

import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import BrowserContext, CDPSession, Dialog, Locator, Page, Request, Route, expect
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from tests.e2e.large_worklist import SERIES, gateway_with_many_series
from tests.e2e.page_driver import JOB, WAIT_MS, PageDriver, record_errors
from tests.e2e.send_job import finished_job
from tests.e2e.viewer_driver import ViewerDriver
from tests.pacs.senders import send
from tests.running import ROOT, Service
from tests.scans import ct_slice, zipped

pytestmark = pytest.mark.e2e
NO_RESCALE: dict[str, Any] = {"RescaleSlope": None, "RescaleIntercept": None}
# The rows of the place that is scrolled to are loaded.
ROWS_ARE_SHOWN = """() => {
    const { top, bottom } = document.querySelector('.grid').getBoundingClientRect();
    const rows = [...document.querySelectorAll('.grid-body .grid-row')].map(row => [row, row.getBoundingClientRect()]);
    const shown = rows.filter(([, box]) => box.top >= top && box.bottom <= bottom);
    return shown.length > 2 && shown.every(([row]) => row.getAttribute('aria-busy') === 'false');
}"""
KEY = "open-sesame-open"


def _series(folder: str, count: int = 2, **tags: Any) -> dict[str, bytes]:
    series, study = (f"2.25.{secrets.randbits(96)}" for _ in range(2))

    def at(index: int) -> bytes:
        uids: dict[str, Any] = {
            "SeriesInstanceUID": series,
            "StudyInstanceUID": study,
            "SOPInstanceUID": f"{series}.{index}",
        }
        return ct_slice(index, **uids, SeriesDescription=f"series {folder}", **tags)

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


def _row(page: PageDriver, description: str) -> Locator:
    return page.rows.filter(has_text=description)


def _accept(dialog: Dialog) -> None:
    dialog.accept()


@contextmanager
def _paused(process: int) -> Iterator[None]:
    """Stop a process by signal, so that a job cannot end meanwhile."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.fixture
def job_page(driver: PageDriver, tmp_path: Path) -> PageDriver:
    """The page with a finished job of three series and one other file."""
    files = {**_series("a"), **_series("b", 3), **_series("c"), "notes.txt": b"text"}
    driver.choose_folder(tmp_path / "studies", files)
    driver.send_job("All 3 series are done")
    return driver


def test_ten_thousand_series(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints the first paint of rows, and the JavaScript heap before and after a scroll through all rows."""
    with gateway_with_many_series(tmp_path_factory.mktemp("large")) as url:
        page = context.new_page()
        page.route("**/v1/models", lambda route: route.fulfill(status=503, body=""))
        session, grid = context.new_cdp_session(page), PageDriver(page)
        page.goto(f"{url}/")
        expect(grid.rows.first).to_contain_text("Head")
        painted = page.evaluate("performance.now()")
        expect(page.locator("[data-count=total]")).to_contain_text(f"{SERIES:,} all")
        expect(grid.grid).to_have_attribute("aria-rowcount", str(SERIES + 1))
        before, nodes = _heap(session), _nodes(page)
        for share in range(101):
            grid.grid.evaluate("(grid, share) => grid.scrollTop = share * grid.scrollHeight / 100", share)
            page.wait_for_function(ROWS_ARE_SHOWN, timeout=WAIT_MS)
        grid.grid.evaluate("grid => grid.scrollTop = 0")
        expect(page.get_by_role("row", name="Head 9900")).to_be_visible(timeout=WAIT_MS)
        after = _heap(session)
        assert _nodes(page) < 1.2 * nodes
        assert grid.rows.count() < 60
    with capsys.disabled():
        print(f"\n{SERIES} series: rows after {painted:.0f} ms; heap {before:.1f} MB, scrolled {after:.1f} MB")


def _heap(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def _nodes(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


def test_a_job_of_the_batch_client_appears_live(driver: PageDriver, service: Service, tmp_path: Path) -> None:
    expect(driver.page.locator(".live")).to_have_attribute("data-state", "changed", timeout=WAIT_MS)
    for name, content in _series("by the batch client").items():
        (tmp_path / "studies" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "studies" / name).write_bytes(content)
    command = [sys.executable, "-m", "services.gateway.batch", "--keep", "--url", service.url]
    subprocess.run([*command, "studies", "reports"], cwd=tmp_path, env=_import_path(), check=True, capture_output=True)
    row = _row(driver, "series by the batch client")
    expect(row).to_contain_text("No haemorrhage predicted", timeout=WAIT_MS)
    expect(row.locator(".cell-source")).to_have_text("batch")


def _import_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_series_that_the_dicom_node_receives_appears_live(
    driver: PageDriver, service: Service, tmp_path: Path
) -> None:
    expect(driver.page.locator(".live")).to_have_attribute("data-state", "changed", timeout=WAIT_MS)
    paths = []
    for name, content in _series("by the node", 12).items():
        paths.append(tmp_path / name.replace("/", "-"))
        paths[-1].write_bytes(content)
    send(paths, service.ports["dicom"], "ICH")
    row = _row(driver, "series by the node")
    expect(row).to_contain_text("No haemorrhage predicted", timeout=2 * WAIT_MS)
    expect(row.locator(".cell-source")).to_have_text("DICOM node")


def test_several_series_of_a_zip_are_a_job(driver: PageDriver) -> None:
    driver.choose({"study.zip": zipped({**_series("a"), **_series("b")})})
    driver.send_job("All 2 series are done")
    expect(driver.rows).to_have_count(2)
    expect(driver.job).to_contain_text("2 assessed")
    expect(driver.button("Cancel")).to_be_hidden()


def test_a_series_opens_by_keyboard_and_the_worklist_returns_to_its_row(job_page: PageDriver) -> None:
    page = job_page.page
    expect(_row(job_page, "series b")).to_contain_text("No haemorrhage predicted")
    expect(page.get_by_text("1 file in no series")).to_be_visible()
    page.locator("body").press("j")
    focused = page.locator(".grid-row:focus")
    expect(focused).to_be_visible()
    page.keyboard.press("j")
    name = str(focused.locator(".cell-description").text_content())
    page.keyboard.press("Enter")
    ViewerDriver(page).wait_for_picture()
    expect(page.locator(".series-head")).to_contain_text(re.search("series .", name)[0])  # type: ignore[index]
    page.go_back()
    expect(page.locator(".grid-row:focus")).to_contain_text(re.search("series .", name)[0])  # type: ignore[index]


def test_a_reloaded_page_shows_its_job(job_page: PageDriver) -> None:
    page = job_page.page
    page.reload()
    expect(page.get_by_role("heading", name="All 3 series are done")).to_be_visible(timeout=WAIT_MS)
    expect(job_page.rows).to_have_count(3)
    page.goto(page.url.replace("#/jobs/", "#job="))  # a link of older versions
    expect(page.get_by_role("heading", name="All 3 series are done")).to_be_visible(timeout=WAIT_MS)


def test_reports_can_be_downloaded_and_the_job_deleted(job_page: PageDriver) -> None:
    page = job_page.page
    for name, lines in (("Table (CSV)", 4), ("Reports (NDJSON)", 3)):
        with page.expect_download() as download:
            job_page.button(name).click()
        assert len(Path(download.value.path()).read_text().splitlines()) == lines
    address = page.url
    page.on("dialog", _accept)
    job_page.button("Delete from the server").click()
    expect(job_page.job).to_be_hidden()
    page.goto(address)
    expect(page.get_by_role("heading", name="The job is deleted")).to_be_visible()


def test_filters_and_order_are_in_the_address(driver: PageDriver, service: Service) -> None:
    unique = secrets.token_hex(4)
    finished_job(service, {**_series(f"{unique} one"), **_series(f"{unique} two", KVP=60, **NO_RESCALE)})
    page = driver.page
    page.get_by_role("searchbox").fill(unique)
    expect(driver.rows).to_have_count(2, timeout=WAIT_MS)
    expect(page).to_have_url(re.compile(f"text={unique}"))
    page.get_by_role("columnheader").get_by_role("button", name="Probability of any").click()
    expect(page.get_by_text("Ordered by a score, by your choice")).to_be_visible()
    page.get_by_role("combobox", name="Status").select_option("failed")
    expect(page.get_by_text("No series matches these filters.")).to_be_visible()
    page.get_by_role("combobox", name="Status").select_option("assessed")
    expect(driver.rows).to_have_count(2)
    page.reload()
    expect(driver.rows).to_have_count(2, timeout=WAIT_MS)
    expect(page.get_by_role("searchbox")).to_have_value(unique)
    driver.button("Reset").click()
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_two_series_are_marked_and_compared(driver: PageDriver, service: Service) -> None:
    unique = secrets.token_hex(4)
    finished_job(service, {**_series(f"{unique} one", 4), **_series(f"{unique} two", 4)})
    page = driver.page
    page.get_by_role("searchbox").fill(unique)
    expect(driver.rows).to_have_count(2, timeout=WAIT_MS)
    for number in range(2):
        driver.rows.nth(number).get_by_role("checkbox").check()
    page.get_by_role("link", name="Compare the two marked series").click()
    expect(page.locator(".compare-pane canvas")).to_have_count(2, timeout=WAIT_MS)
    expect(page.get_by_text("Scroll together")).to_be_visible()


def test_a_waiting_job_is_made_urgent_from_its_row(driver: PageDriver, service: Service, tmp_path: Path) -> None:
    unique, page = secrets.token_hex(4), driver.page
    driver.choose_folder(tmp_path / "studies", {**_series(f"{unique} one"), **_series(f"{unique} two")})
    with _paused(service.process("cnn")):
        driver.send()
        row = _row(driver, f"{unique} one")
        row.get_by_role("button", name="routine").click(timeout=WAIT_MS)
        expect(row.get_by_role("button", name="urgent")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("heading", name="All 2 series are done")).to_be_visible(timeout=WAIT_MS)


def test_a_running_job_survives_a_reload_and_can_be_cancelled(
    driver: PageDriver, service: Service, tmp_path: Path
) -> None:
    page = driver.page
    files = {name: data for number in range(40) for name, data in _series(f"s{number:02d}").items()}
    driver.choose_folder(tmp_path / "studies", files)
    driver.send()
    expect(page).to_have_url(JOB)
    with _paused(service.process("cnn")):
        page.reload()
        expect(driver.job).to_contain_text("of 40 series", timeout=WAIT_MS)
        page.once("dialog", lambda dialog: dialog.dismiss())
        driver.button("Cancel").click()
        expect(driver.job.get_by_role("heading")).to_contain_text("Assessing")
        page.on("dialog", _accept)
        driver.button("Cancel").click()
        expect(driver.job.get_by_role("heading")).to_have_text("Cancelled", timeout=WAIT_MS)
    expect(driver.job).to_contain_text("The server has deleted the files")
    page.reload()
    expect(driver.job.get_by_role("heading")).to_have_text("Cancelled")
    driver.button("Delete from the server").click()
    expect(driver.job).to_be_hidden()


def test_the_same_files_are_a_new_job_after_a_cancellation(
    driver: PageDriver, service: Service, tmp_path: Path
) -> None:
    page, files = driver.page, {**_series("a"), **_series("b"), **_series("c")}
    page.on("dialog", _accept)
    driver.choose_folder(tmp_path / "studies", files)
    with _paused(service.process("cnn")):
        driver.send()
        expect(driver.job.get_by_role("heading")).to_contain_text("Assessing", timeout=WAIT_MS)
        cancelled = page.url
        driver.button("Cancel").click()
        expect(driver.job.get_by_role("heading")).to_have_text("Cancelled", timeout=WAIT_MS)
    driver.back()
    driver.choose_folder(tmp_path / "studies")
    driver.send_job("All 3 series are done")
    assert page.url != cancelled


@pytest.mark.parametrize("width", [1280, 390])
def test_warnings_and_failures_are_shown_in_the_rows(driver: PageDriver, tmp_path: Path, width: int) -> None:
    page = driver.page
    page.set_viewport_size({"width": width, "height": 844})
    bad = _series("bad")
    bad["bad/1.dcm"] = _corrupt(bad["bad/1.dcm"])
    driver.choose_folder(tmp_path / "studies", {**_series("kvp", KVP=60, **NO_RESCALE), **_series("plain"), **bad})
    driver.send_job("All 3 series are done")
    expect(_row(driver, "series kvp")).to_contain_text("2 warnings")
    expect(_row(driver, "series plain").locator(".warnings")).to_have_count(0)
    expect(_row(driver, "series bad")).to_contain_text("failed")
    expect(driver.job).to_contain_text("2 assessed")
    expect(driver.job).to_contain_text("1 failed")
    assert driver.overflow_px() == 0
    _row(driver, "series bad").get_by_role("link").click()
    expect(driver.verdict).to_contain_text("Could not be assessed", timeout=WAIT_MS)
    expect(driver.verdict).to_contain_text("bad/1.dcm")


def test_the_warnings_of_a_job_are_shown(job_page: PageDriver) -> None:
    page, note = job_page.page, job_page.job.locator(".warning-note")
    expect(note).to_be_hidden()
    text = "The reports come from 2 bundles: default 9f86 (reports: 2), default 6030 (reports: 1)."
    warning = json.dumps({"code": "several_models", "severity": "warn", "detail": text})

    def warn(route: Route) -> None:
        route.fulfill(
            response=(answer := route.fetch()), body=answer.text().replace('"warnings":[]', f'"warnings":[{warning}]')
        )

    page.route("**/v1/jobs/*/events", warn)
    page.reload()
    expect(note).to_have_text(text)


def test_files_in_no_series_are_listed_with_unreadable_ones_first(driver: PageDriver, tmp_path: Path) -> None:
    driver.choose_folder(tmp_path / "studies", {"cut.dcm": ct_slice(0)[:-1000], "notes.txt": b"text"})
    driver.send_job("No series found")
    expect(driver.job.locator(".warning-note")).to_contain_text("a series may lack slices")
    expect(driver.job.locator("ul.files li").first).to_contain_text("studies/cut.dcm")


def _require_key(page: Page | BrowserContext) -> list[str | None]:
    """Require the key as a gateway with a file of keys does; the `Authorization` headers of all requests."""
    headers: list[str | None] = []
    problem = {"title": "Key required", "status": 401, "detail": "send a key", "code": "unauthorized"}

    def check(route: Route, request: Request) -> None:
        headers.append(request.headers.get("authorization"))
        if headers[-1] == f"Bearer {KEY}":
            route.continue_()
        else:
            route.fulfill(status=401, json=problem, content_type="application/problem+json")

    for address in ("**/v1/worklist**", "**/v1/jobs**"):
        page.route(address, check)
    return headers


def test_the_key_is_asked_for_once_and_survives_a_reload_and_a_second_tab(
    context: BrowserContext, service: Service, sample_address: str
) -> None:
    headers = _require_key(context)
    page = context.new_page()
    page.goto(f"{service.url}/")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Key required")
    page.get_by_label("Key", exact=True).fill("wrong-wrong-wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Unknown key")
    page.get_by_label("Key", exact=True).fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    expect(PageDriver(page).rows.first).to_be_visible(timeout=WAIT_MS)
    assert {None, "Bearer wrong-wrong-wrong"} <= set(headers)
    page.reload()
    expect(PageDriver(page).rows.first).to_be_visible(timeout=WAIT_MS)
    expect(dialog).to_have_count(0)
    second = context.new_page()
    second.goto(sample_address)
    ViewerDriver(second).wait_for_picture()
    expect(second.get_by_role("dialog")).to_have_count(0)
    kept = "[...Object.values(localStorage), ...Object.values(sessionStorage), document.cookie].join('')"
    assert second.evaluate(kept) == ""


def test_a_lost_event_stream_is_retried(context: BrowserContext, service: Service) -> None:
    page = context.new_page()
    errors = record_errors(page, service.url)
    page.route("**/v1/worklist/events", lambda route: route.abort("connectionreset"))
    page.goto(f"{service.url}/")
    live = page.locator(".live")
    expect(live).to_contain_text("The service does not answer. Retrying", timeout=WAIT_MS)
    page.unroute("**/v1/worklist/events")
    expect(live).to_contain_text("Live", timeout=WAIT_MS)
    assert errors == []
