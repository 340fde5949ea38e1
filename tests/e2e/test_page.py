"""The page in a real browser, in front of the real services: sending files, and the report of a series."""

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from services.common.labels import LABELS
from services.common.report_schemas import Report
from tests.e2e.page_driver import WAIT_MS, PageDriver, read_label_table
from tests.e2e.send_job import finished_job
from tests.e2e.viewer_driver import ViewerDriver
from tests.running import Service
from tests.scans import ct_slice, picture, series, zipped

pytestmark = pytest.mark.e2e


def _report(service: Service, job: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{service.url}/v1/jobs/{job}/series/0/report", timeout=60).json()
    return found


def _fake_report(page: Page, report: dict[str, Any]) -> None:
    """The page gets this report of every series."""

    def fulfil(route: Route) -> None:
        route.fulfill(json=report)

    page.route("**/series/0/report", fulfil)


@pytest.fixture
def sample_page(driver: PageDriver, sample_address: str) -> PageDriver:
    """The page with the sample series."""
    driver.page.goto(sample_address)
    ViewerDriver(driver.page).wait_for_picture()
    return driver


def test_a_folder_is_sent_and_its_series_opens(driver: PageDriver, study: list[Path]) -> None:
    driver.choose_folder(study[0].parent)
    expect(driver.selection).to_have_text("28 files, 3.7 MB")
    expect(driver.button("Send")).to_be_focused()
    driver.send_series()
    expect(driver.page.locator(".series-banner")).to_contain_text("Haemorrhage predicted: intraparenchymal")
    expect(driver.page.get_by_text("Research software, not a medical device.", exact=True)).to_be_in_viewport()
    ViewerDriver(driver.page).wait_for_picture()
    shown = read_label_table(driver.page.locator("table.labels").first)
    assert tuple(shown) == LABELS
    assert shown["any"][0] > 0.5
    assert shown["any"][1] == "● yes"
    expect(driver.page.locator(".report-panel")).to_contain_text("series/")
    driver.back()
    expect(driver.rows.first).to_contain_text("Haemorrhage predicted")


def test_a_zip_gives_the_same_report(driver: PageDriver, study: list[Path], sample_address: str) -> None:
    driver.choose({"study.zip": zipped({path.name: path.read_bytes() for path in study})})
    driver.send_series()
    zipped_series = read_label_table(driver.page.locator("table.labels").first)
    driver.page.goto(sample_address)
    expect(driver.verdict).to_be_visible(timeout=WAIT_MS)
    assert read_label_table(driver.page.locator("table.labels").first) == zipped_series


def test_the_report_can_be_downloaded(sample_page: PageDriver) -> None:
    page = sample_page.page
    with page.expect_download() as download:
        sample_page.button("Report (JSON)").click()
    report = Report.model_validate_json(Path(download.value.path()).read_text())
    assert report.series is not None
    assert report.series.probabilities is not None
    shown = read_label_table(page.locator("table.labels").first)
    assert shown == {
        label: (round(p, 4), "● yes" if p > report.thresholds.series[label] else "○ no")
        for label, p in report.series.probabilities.items()
    }
    with page.expect_download() as download:
        sample_page.button("Table (CSV)").click()
    assert len(Path(download.value.path()).read_text().splitlines()) >= 2
    page.get_by_text("Model, times and identifiers").click()
    details = page.locator(".details")
    assert report.created
    for text in (report.model.sha256[:12], report.model.recipe, str(report.version), report.created[:10]):
        expect(details).to_contain_text(text)


def test_the_fused_key_slice_can_be_downloaded(sample_page: PageDriver) -> None:
    with sample_page.page.expect_download() as download:
        sample_page.button("Download this slice as PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_key_slices_strip_slider_and_buttons_change_the_slice(sample_page: PageDriver) -> None:
    page, viewer = sample_page.page, ViewerDriver(sample_page.page)
    viewer.expect_slice(17)
    sample_page.button("Next slice").click()
    viewer.expect_slice(18)
    expect(page).to_have_url(re.compile("slice=17"))
    page.get_by_role("slider", name="Slice").press("End")
    viewer.expect_slice(28)
    expect(sample_page.button("Next slice")).to_be_disabled()
    viewer.stage.hover()
    page.mouse.wheel(0, -120)
    viewer.expect_slice(27)
    sample_page.button("Key slice 17").click()
    viewer.expect_slice(17)
    expect(page).to_have_url(re.compile("slice=16"))
    page.reload()
    viewer.wait_for_picture()
    viewer.expect_slice(17)


def test_pictures_are_assessed_each_alone(driver: PageDriver, samples: Path) -> None:
    driver.choose({"normal.png": picture(), "haemorrhage.png": (samples / "slice.png").read_bytes()})
    driver.send_series()
    expect(driver.verdict).to_contain_text("of 2 pictures")
    page, viewer = driver.page, ViewerDriver(driver.page)
    viewer.wait_for_picture()
    for number, name in ((2, "normal.png"), (1, "haemorrhage.png")):
        driver.button(name).click()
        viewer.expect_slice(number)
        expect(page.locator(".this-slice")).to_contain_text(name)
    expect(page.get_by_text("it has no Hounsfield units")).to_be_visible()
    expect(viewer.stage.locator("[data-side=left]")).to_be_empty()


@pytest.mark.parametrize(
    ("files", "texts"),
    [
        (
            {"notes.dcm": b"just text"},
            ["No series found", "1 file in no series", "notes.dcm", "the DICOM header cannot be read"],
        ),
        ({"broken.zip": b"PK\x03\x04" + bytes(100)}, ["broken.zip"]),
    ],
)
def test_files_without_a_series_are_named(driver: PageDriver, files: dict[str, bytes], texts: list[str]) -> None:
    driver.choose(files)
    driver.button("Send").click()
    shown = driver.job.or_(driver.problem).filter(visible=True)
    for text in texts:
        expect(shown).to_contain_text(text, timeout=WAIT_MS)


def test_a_localizer_alone_and_cut_files_are_named(driver: PageDriver) -> None:
    scout = ct_slice(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    driver.choose({**series(4), "scout.dcm": scout, "cut.dcm": ct_slice(9)[:-1], "empty.dcm": b""})
    driver.button("Send").click()
    expect(driver.upload).to_be_hidden(timeout=WAIT_MS)
    driver.page.goto(driver.page.url.split("/series/")[0])
    files = driver.job.locator("ul.files")
    for text in ("scout.dcm", "empty.dcm"):
        expect(files).to_contain_text(text, timeout=WAIT_MS)


def test_a_refused_series_is_as_prominent_as_a_positive_and_can_be_looked_at(driver: PageDriver) -> None:
    blank = ct_slice().replace(ct_slice()[-512 * 512 * 2 :], bytes(512 * 512 * 2))
    driver.choose({"blank.dcm": blank})
    driver.send_series()
    banner = driver.page.locator(".series-banner")
    expect(banner).to_contain_text("Not assessed")
    expect(banner).to_contain_text("This is not a negative result")
    expect(driver.verdict).to_contain_text("constant_image")
    expect(driver.verdict).to_contain_text("Measured: medians over 1 slice: bone")
    ViewerDriver(driver.page).wait_for_picture()
    driver.back()
    expect(driver.rows.first).to_contain_text("Not assessed")


def test_a_positive_slice_of_a_negative_series_is_pointed_out(
    driver: PageDriver, service: Service, sample_address: str
) -> None:
    report = _report(service, sample_address.split("/")[-3])
    report["series"]["predictions"] = dict.fromkeys(LABELS, False)
    for item in report["slices"]:
        item["predictions"] = dict.fromkeys(LABELS, item["index"] == 3)
    _fake_report(driver.page, report)
    driver.page.goto(sample_address)
    expect(driver.verdict).to_contain_text("No haemorrhage predicted", timeout=WAIT_MS)
    expect(driver.verdict).to_contain_text("but 1 slice exceeds its own: check it")


def test_a_slab_and_a_report_of_an_older_version_are_shown(
    driver: PageDriver, service: Service, sample_address: str
) -> None:
    report = _report(service, sample_address.split("/")[-3])
    new = ("created", "version", "evidence", "blood", "locations")
    older = {name: value for name, value in report.items() if name not in new}
    for item in older["slices"]:
        item["slab"] = item["index"] // 2
        del item["geometry"], item["frame"]
    _fake_report(driver.page, older)
    driver.page.goto(sample_address)
    ViewerDriver(driver.page).wait_for_picture()
    expect(driver.page.locator(".stage")).to_contain_text("in a slab of 2 slices")
    driver.page.get_by_text("Model, times and identifiers").click()
    expect(driver.page.locator(".details")).to_contain_text("unknown")


def test_files_can_be_removed_from_the_selection(driver: PageDriver) -> None:
    driver.choose({"a.dcm": ct_slice(0), "b.dcm": ct_slice(1)})
    driver.page.get_by_text("Show the files").click()
    driver.button("Remove a.dcm").click()
    expect(driver.selection).to_contain_text("1 file,")
    expect(driver.button("Remove b.dcm")).to_be_focused()
    driver.button("Clear").click()
    expect(driver.button("Send")).to_be_hidden()


def test_a_folder_can_be_dropped(driver: PageDriver, context: BrowserContext, study: list[Path]) -> None:
    mouse = context.new_cdp_session(driver.page)
    folder = {"items": [], "files": [str(study[0].parent)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": folder})
    expect(driver.page.get_by_text("Drop files here")).to_be_visible()
    mouse.send("Input.dispatchDragEvent", {"type": "drop", "x": 600, "y": 400, "data": folder})
    expect(driver.page.get_by_text("Drop files here")).to_be_hidden()
    expect(driver.selection).to_have_text("28 files, 3.7 MB")
    driver.page.get_by_text("Show the files").click()
    expect(driver.upload.locator("ul.files li").first).to_contain_text("series/01.dcm")


def test_another_operating_point_has_other_thresholds(
    driver: PageDriver, study: list[Path], sample_address: str
) -> None:
    driver.choose(study)
    driver.page.get_by_label("Operating point").select_option("sensitive")
    driver.send_series()
    expect(driver.verdict).to_contain_text("‘sensitive’")
    epidural = driver.page.locator("table.labels").first.locator("td.column-threshold").nth(LABELS.index("epidural"))
    sensitive = float(epidural.inner_text())
    driver.page.goto(sample_address)
    expect(driver.verdict).to_contain_text("‘default’", timeout=WAIT_MS)
    assert sensitive < float(epidural.inner_text())


def test_file_names_are_text_and_never_markup(driver: PageDriver) -> None:
    name = "<img src=x onerror=document.title='owned'>.dcm"
    driver.choose({name: b"just text"})
    driver.page.get_by_text("Show the files").click()
    expect(driver.upload.locator("ul.files")).to_contain_text(name)
    driver.button("Send").click()
    expect(driver.job.locator("ul.files").or_(driver.problem).filter(visible=True)).to_contain_text(
        name, timeout=WAIT_MS
    )
    expect(driver.page.locator("img")).to_have_count(0)
    assert "owned" not in driver.page.title()


def test_an_upload_can_be_cancelled(driver: PageDriver, samples: Path) -> None:
    driver.page.route("**/v1/jobs?blood*", lambda _: None)
    driver.choose([samples / "slice.dcm"])
    driver.button("Send").click()
    expect(driver.page.locator(".upload-progress")).to_be_visible()
    expect(driver.button("Cancel")).to_be_focused()
    driver.button("Cancel").click()
    expect(driver.page.locator(".upload-progress")).to_be_hidden()
    driver.page.unroute("**/v1/jobs?blood*")
    driver.send_series()


# Records all progress texts: polling would miss short ones.
RECORD_PROGRESS = """() => {
    window.progressTexts = [];
    const progress = document.querySelector(".upload-progress");
    const texts = () => [...progress.querySelectorAll("p > *")].map(one => one.textContent);
    new MutationObserver(() => window.progressTexts.push(texts()))
        .observe(progress, { subtree: true, childList: true, characterData: true });
}"""


def test_a_slow_upload_shows_bytes(driver: PageDriver, context: BrowserContext, samples: Path) -> None:
    network = context.new_cdp_session(driver.page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": 128 * 1024}
    network.send("Network.emulateNetworkConditions", slow)
    driver.choose([samples / "slice.dcm"])
    driver.page.evaluate(RECORD_PROGRESS)
    driver.send_series()
    texts = driver.page.evaluate("window.progressTexts")
    activities = [text for text, _ in groupby(activity for activity, *_ in texts)]
    assert activities == ["Uploading", "Storing", "Finding the series"]
    assert any(amount.endswith("of 133 kB") for activity, amount, *_ in texts if activity == "Uploading")


@pytest.mark.parametrize(
    ("status", "body", "content_type", "text"),
    [
        (
            503,
            json.dumps({"title": "Too many requests", "detail": "cnn is busy"}),
            "application/problem+json",
            "7 seconds",
        ),
        (502, "<h1>Bad Gateway</h1>", "text/html", "The server answered 502"),
        (200, "<h1>Please log in</h1>", "text/html", "Unexpected response"),
        (413, "<h1>Too large</h1>", "text/html", "The upload is too large"),
    ],
)
def test_responses_of_a_proxy_are_shown(
    driver: PageDriver, samples: Path, status: int, body: str, content_type: str, text: str
) -> None:
    driver.fake_jobs(status, body, content_type, {"retry-after": "7"})
    driver.choose([samples / "slice.dcm"])
    driver.send_refused()
    expect(driver.problem).to_contain_text(text)
    expect(driver.problem.get_by_role("heading")).to_be_focused()
    driver.restore_service()
    driver.send_series()


def test_a_lost_connection_is_shown_and_can_be_retried(driver: PageDriver, samples: Path) -> None:
    driver.page.route("**/v1/jobs?blood*", lambda route: route.abort("connectionreset"))
    driver.choose([samples / "slice.dcm"])
    driver.send_refused()
    expect(driver.problem).to_contain_text("Connection lost")
    driver.page.unroute("**/v1/jobs?blood*")
    driver.button("Try again").click()
    expect(driver.verdict).to_be_visible(timeout=WAIT_MS)


def test_a_view_that_did_not_arrive_can_be_loaded_again(driver: PageDriver, service: Service) -> None:
    job = finished_job(service, {"a.dcm": ct_slice()})
    driver.page.route("**/viewer/series_view.js", lambda route: route.abort("connectionreset"))
    driver.page.goto(f"{service.url}/#/jobs/{job}/series/0")
    expect(driver.page.get_by_text("The service does not answer")).to_be_visible(timeout=WAIT_MS)
    driver.page.unroute("**/viewer/series_view.js")
    driver.button("Try again").click()
    expect(driver.verdict).to_be_visible(timeout=WAIT_MS)


def test_the_page_loads_before_the_service_is_ready(context: BrowserContext, service: Service) -> None:
    page = context.new_page()
    page.clock.install()
    page.route("**/v1/models", lambda route: route.fulfill(status=503, body=""))
    page.goto(f"{service.url}/")
    expect(page.locator("#served-model")).to_contain_text("not ready yet")
    page.unroute("**/v1/models")
    page.clock.fast_forward("00:05")
    expect(page.locator("#served-model")).to_contain_text("Served model", timeout=WAIT_MS)


def test_a_deleted_series_says_so(driver: PageDriver, service: Service) -> None:
    job = finished_job(service, {"a.dcm": ct_slice()})
    httpx.delete(f"{service.url}/v1/jobs/{job}")
    driver.page.goto(f"{service.url}/#/jobs/{job}/series/0")
    expect(driver.page.get_by_role("alert")).to_contain_text("This series does not exist any more", timeout=WAIT_MS)
