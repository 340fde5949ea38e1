"""The page in a real browser, in front of the real services."""

import json
from itertools import groupby
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from services.common.labels import LABELS
from services.common.predictions import PREDICTION_RULE
from services.common.report_schemas import Report
from tests.e2e.page_driver import WAIT_MS, PageDriver, read_label_table
from tests.running import Service
from tests.scans import ct_slice, picture, series, zipped

pytestmark = pytest.mark.e2e
PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture
def report_page(driver: PageDriver, study: list[Path]) -> PageDriver:
    """The page with the report of the sample series."""
    driver.choose(study)
    driver.predict()
    return driver


def test_a_series_is_selected_and_assessed(driver: PageDriver, study: list[Path]) -> None:
    expect(driver.button("Predict")).to_be_disabled()
    driver.choose(study)
    expect(driver.page.locator("#selection-summary")).to_have_text("28 files, 3.7 MB")
    driver.predict()

    expect(driver.verdict).to_contain_text("Haemorrhage predicted: intraparenchymal")
    expect(driver.verdict).to_be_focused()
    expect(driver.page.locator("#findings li")).to_have_count(6)
    expect(driver.page.locator("#strip rect.column")).to_have_count(28)
    expect(driver.page.get_by_text("Research software, not a medical device.", exact=True)).to_be_in_viewport()
    shown = read_label_table(driver.page.locator("#series-table"))
    assert tuple(shown) == LABELS
    assert shown["any"][0] > 0.5
    assert shown["any"][1] == "● yes"


def test_the_report_can_be_downloaded(report_page: PageDriver) -> None:
    with report_page.page.expect_download() as download:
        report_page.button("Download report (JSON)").click()

    text = Path(download.value.path()).read_text()
    report = Report.model_validate_json(text)
    assert download.value.suggested_filename == f"report-{report.id}.json"
    assert report.series is not None
    assert report.series.probabilities is not None
    assert [item.image for item in report.slices] == [None] * 28
    shown = read_label_table(report_page.page.locator("#series-table"))
    assert shown == {
        label: (round(p, 4), "● yes" if p > report.thresholds.series[label] else "○ no")
        for label, p in report.series.probabilities.items()
    }
    report_page.page.get_by_text("Report details").click()
    expect(report_page.page.locator("#details-body")).to_contain_text(report.model.sha256[:12])
    expect(report_page.page.locator("#details-body")).to_contain_text(report.model.recipe)
    expect(report_page.page.locator("#details-body")).to_contain_text(PREDICTION_RULE.replace("`", ""))
    above = sum(bool(item.predictions and item.predictions["any"]) for item in report.slices)
    expect(report_page.page.locator("#strip-hint")).to_have_text(f"{above} slices positive")
    assert report.created
    for text in (f"Software{report.version}", f"Created{report.created[:10]} {report.created[11:19]} UTC"):
        expect(report_page.page.locator("#details-body")).to_contain_text(text)


def test_the_slice_is_drawn_in_every_window(report_page: PageDriver) -> None:
    pictures = [report_page.expect_picture()]
    for name in ("Soft tissue", "Bone", "Composite"):
        report_page.select_window(name)
        pictures.append(report_page.expect_picture(other_than=pictures[-1]))
    assert len(set(pictures)) == 4


def test_keys_wheel_slider_strip_and_buttons_change_the_slice(report_page: PageDriver) -> None:
    page, start = report_page.page, report_page.slice_number()
    first = report_page.expect_picture()
    report_page.picture.press("ArrowRight")
    report_page.expect_slice(start + 1)
    assert report_page.expect_picture(other_than=first) != first
    report_page.picture.press("ArrowDown")
    report_page.expect_slice(start)
    report_page.picture.press("End")
    report_page.expect_slice(28)
    expect(report_page.button("Next slice")).to_be_disabled()
    report_page.button("Previous slice").click()
    report_page.expect_slice(27)
    page.get_by_role("slider", name="Slice").press("Home")
    report_page.expect_slice(1)
    report_page.picture.hover()
    page.mouse.wheel(0, -120)
    report_page.expect_slice(2)
    strip = page.locator("#strip")
    box = strip.bounding_box()
    assert box is not None
    strip.click(position={"x": box["width"] * 9.5 / 28, "y": box["height"] / 2})
    report_page.expect_slice(10)
    report_page.button(f"Key slice {start}").click()
    report_page.expect_slice(start)


def test_the_strip_shows_the_selected_label(report_page: PageDriver) -> None:
    heights = "rects => rects.map(rect => rect.getAttribute('height'))"
    columns = report_page.page.locator("#strip rect.column")
    of_any = columns.evaluate_all(heights)
    report_page.page.get_by_label("Probability by slice").select_option("epidural")
    assert columns.evaluate_all(heights) != of_any


def test_a_zip_and_a_folder_give_the_same_report(report_page: PageDriver, study: list[Path]) -> None:
    direct = read_label_table(report_page.page.locator("#series-table"))
    report_page.choose({"study.zip": zipped({path.name: path.read_bytes() for path in study})})
    expect(report_page.page.locator("#report")).to_be_hidden()
    report_page.predict()
    assert read_label_table(report_page.page.locator("#series-table")) == direct

    with report_page.page.expect_file_chooser() as chooser:
        report_page.button("Choose a folder").click()
    chooser.value.set_files(study[0].parent)
    expect(report_page.page.locator("#selection-summary")).to_contain_text("28 files")
    report_page.predict()
    assert read_label_table(report_page.page.locator("#series-table")) == direct
    expect(report_page.page.locator("#slice-file")).to_contain_text("series/")


def test_one_or_several_pictures_are_assessed(driver: PageDriver, samples: Path) -> None:
    driver.choose([samples / "slice.png"])
    driver.predict()
    expect(driver.page.locator("#series-title")).to_have_text("The series")
    driver.expect_picture()

    driver.choose({"normal.png": picture(), "haemorrhage.png": (samples / "slice.png").read_bytes()})
    driver.predict()
    expect(driver.verdict).to_contain_text("of 2 pictures")
    expect(driver.page.locator("#series-table tbody tr")).to_have_count(2)
    for number, name in ((2, "normal.png"), (1, "haemorrhage.png")):
        driver.button(name).click()
        driver.expect_slice(number)
        expect(driver.page.locator("#slice-file")).to_have_text(name)


def test_a_bad_file_is_named_and_a_good_one_is_accepted_next(driver: PageDriver, samples: Path) -> None:
    driver.choose({"notes.dcm": b"just text"})
    driver.predict()
    expect(driver.problem).to_contain_text("notes.dcm: neither DICOM nor PNG")
    expect(driver.problem).to_contain_text("try again")
    expect(driver.page.locator("#problem-title")).to_be_focused()

    with driver.page.expect_file_chooser() as chooser:
        driver.button("Choose other files").click()
    chooser.value.set_files(samples / "slice.dcm")
    expect(driver.problem).to_be_hidden()
    driver.predict()
    expect(driver.verdict).to_contain_text("predicted")


@pytest.mark.parametrize(
    ("files", "texts"),
    [
        ({"scout.dcm": ct_slice(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])}, ["scout.dcm", "localizer"]),
        ({**series(4), "cut.dcm": ct_slice(9)[:-1], "empty.dcm": b""}, ["cut.dcm", "empty.dcm", "the file is empty"]),
        ({"one.dcm": ct_slice(0), "two.dcm": ct_slice(1, SeriesInstanceUID="2.25.77")}, ["2.25.77", "1 slice"]),
        ({"broken.zip": b"PK\x03\x04" + bytes(100)}, ["broken.zip"]),
    ],
)
def test_the_problem_names_every_bad_file_and_series(
    driver: PageDriver, files: dict[str, bytes], texts: list[str]
) -> None:
    driver.choose(files)
    driver.predict()
    for text in texts:
        expect(driver.problem).to_contain_text(text)
    expect(driver.page.locator("#report")).to_be_hidden()
    expect(driver.button("Predict")).to_be_enabled()


def test_one_of_several_series_can_be_chosen(driver: PageDriver) -> None:
    thin = {f"thin {index}.dcm": ct_slice(index, SeriesInstanceUID="2.25.77", SliceThickness=1) for index in range(9)}
    driver.choose({**series(10), **thin})
    driver.predict()
    expect(driver.problem.get_by_role("listitem").filter(has_text="2.25.10")).to_contain_text("Best:")
    driver.button("Predict these 9 slices").click()
    expect(driver.verdict).to_be_visible(timeout=WAIT_MS)
    expect(driver.page.locator("#selection-summary")).to_contain_text("9 files")
    expect(driver.page.locator("#slice-number")).to_contain_text("of 9")


def test_several_series_in_a_zip_are_listed_without_buttons(driver: PageDriver) -> None:
    driver.choose({"study.zip": zipped({"one.dcm": ct_slice(0), "two.dcm": ct_slice(1, SeriesInstanceUID="2.25.77")})})
    driver.predict()
    expect(driver.problem).to_contain_text("2.25.77")
    expect(driver.problem.get_by_role("button", name="Predict these")).to_have_count(0)


def test_a_refused_series_is_not_shown_as_negative(driver: PageDriver) -> None:
    blank = ct_slice().replace(ct_slice()[-512 * 512 * 2 :], bytes(512 * 512 * 2))
    driver.choose({"blank.dcm": blank})
    driver.predict()
    expect(driver.verdict).to_have_text("Not assessed")
    expect(driver.page.locator("#verdict-detail")).to_contain_text("not a negative result")
    expect(driver.page.locator("#reasons")).to_contain_text("constant_image")
    expect(driver.page.locator("#evidence")).to_contain_text("Measured: medians over 1 slice: bone")
    expect(driver.page.locator("#strip-section")).to_be_hidden()


def test_a_positive_slice_of_a_negative_series_is_pointed_out(
    driver: PageDriver, service: Service, samples: Path
) -> None:
    parts = [("files", ("slice.dcm", (samples / "slice.dcm").read_bytes()))]
    report = httpx.post(f"{service.url}/v1/predictions", files=parts, timeout=60).json()
    report["series"]["predictions"] = dict.fromkeys(LABELS, False)
    report["slices"][0]["predictions"] = dict.fromkeys(LABELS, True)
    driver.fake_response(200, json.dumps(report), "application/json")
    driver.choose([samples / "slice.dcm"])
    driver.predict()
    expect(driver.verdict).to_have_text("No haemorrhage predicted")
    expect(driver.page.locator("#verdict-detail")).to_contain_text("but 1 slice exceeds its own: check it")


def test_the_size_of_a_slab_is_shown(driver: PageDriver, service: Service, samples: Path) -> None:
    parts = [("files", (path.name, path.read_bytes())) for path in sorted((samples / "series").glob("*.dcm"))[:3]]
    report = httpx.post(f"{service.url}/v1/predictions", files=parts, timeout=60).json()
    for item, slab in zip(report["slices"], (0, 0, None), strict=True):
        item["slab"] = slab
    driver.fake_response(200, json.dumps(report), "application/json")
    driver.choose([samples / "slice.dcm"])
    driver.predict()
    driver.page.get_by_role("slider", name="Slice").press("Home")
    expect(driver.page.locator("#slice-slab")).to_have_text("slab of 2 slices")
    driver.page.get_by_role("slider", name="Slice").press("End")
    expect(driver.page.locator("#slice-slab")).to_be_empty()


def test_a_report_of_an_older_version_is_shown(driver: PageDriver, service: Service, samples: Path) -> None:
    parts = [("files", ("slice.dcm", (samples / "slice.dcm").read_bytes()))]
    report = httpx.post(f"{service.url}/v1/predictions", files=parts, timeout=60).json()
    older = {name: value for name, value in report.items() if name not in ("created", "version", "evidence")}
    driver.fake_response(200, json.dumps(older), "application/json")
    driver.choose([samples / "slice.dcm"])
    driver.predict()
    driver.page.get_by_text("Report details").click()
    expect(driver.page.locator("#details-body")).to_contain_text("Softwareunknown")


def test_files_can_be_removed_from_the_selection(driver: PageDriver) -> None:
    driver.choose({"a.dcm": ct_slice(0), "b.dcm": ct_slice(1)})
    driver.page.get_by_text("Show the files").click()
    driver.button("Remove a.dcm").click()
    expect(driver.page.locator("#selection-summary")).to_contain_text("1 file,")
    expect(driver.button("Remove b.dcm")).to_be_focused()
    driver.button("Clear").click()
    expect(driver.page.locator("#selection-summary")).to_have_text("No files chosen")
    expect(driver.button("Predict")).to_be_disabled()


def test_a_folder_can_be_dropped(driver: PageDriver, context: BrowserContext, study: list[Path]) -> None:
    mouse = context.new_cdp_session(driver.page)
    folder = {"items": [], "files": [str(study[0].parent)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": folder})
    expect(driver.page.get_by_text("Drop files here")).to_be_visible()
    mouse.send("Input.dispatchDragEvent", {"type": "drop", "x": 600, "y": 400, "data": folder})
    expect(driver.page.get_by_text("Drop files here")).to_be_hidden()
    expect(driver.page.locator("#selection-summary")).to_have_text("28 files, 3.7 MB")
    driver.page.get_by_text("Show the files").click()
    expect(driver.page.locator("#selection-files li").first).to_contain_text("series/01.dcm")


def test_a_new_operating_point_needs_a_new_prediction(report_page: PageDriver) -> None:
    epidural = report_page.page.locator("#series-table td.column-threshold").nth(LABELS.index("epidural"))
    before = epidural.inner_text()
    report_page.page.get_by_label("Operating point").select_option("sensitive")
    expect(report_page.page.locator("#stale-hint")).to_contain_text("Press Predict for ‘sensitive’")
    report_page.predict()
    expect(report_page.page.locator("#verdict-detail")).to_contain_text("‘sensitive’")
    assert float(epidural.inner_text()) < float(before)
    expect(report_page.page.locator("#stale-hint")).to_be_empty()


def test_the_page_works_by_keyboard_alone(driver: PageDriver, study: list[Path]) -> None:
    page = driver.page
    with page.expect_file_chooser() as chooser:
        _tab_to(page, "choose-files")
        page.keyboard.press("Enter")
    chooser.value.set_files(study)
    _tab_to(page, "predict")
    page.keyboard.press("Enter")
    expect(driver.verdict).to_be_focused(timeout=WAIT_MS)
    _tab_to(page, "picture")
    number = driver.slice_number()
    page.keyboard.press("ArrowUp")
    driver.expect_slice(number + 1)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def _tab_to(page: Page, name: str) -> None:
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the tab key does not reach {name}")


def test_file_names_are_text_and_never_markup(driver: PageDriver) -> None:
    name = "<img src=x onerror=document.title='owned'>.dcm"
    driver.choose({name: b"just text"})
    driver.page.get_by_text("Show the files").click()
    driver.predict()
    expect(driver.problem).to_contain_text(name)
    expect(driver.page.locator("img")).to_have_count(0)
    assert driver.page.title() == "Intracranial haemorrhage on head CT"


def test_progress_is_shown_and_can_be_cancelled(driver: PageDriver, study: list[Path]) -> None:
    driver.page.route("**/v1/predictions*", lambda _: None)
    driver.choose(study)
    driver.button("Predict").click()
    expect(driver.page.locator("#progress")).to_be_visible()
    expect(driver.button("Cancel")).to_be_focused()
    expect(driver.button("Predict")).to_be_disabled()
    driver.button("Cancel").click()
    expect(driver.page.locator("#progress")).to_be_hidden()
    expect(driver.button("Predict")).to_be_focused()

    driver.restore_service()
    driver.predict()
    expect(driver.verdict).to_contain_text("Haemorrhage predicted")


# Records all progress texts: polling would miss short ones.
RECORD_PROGRESS = """() => {
    const text = document.getElementById("progress-text"), amount = document.getElementById("progress-amount");
    window.progressTexts = [];
    new MutationObserver(() => window.progressTexts.push([text.textContent, amount.textContent]))
        .observe(document.getElementById("progress"), { subtree: true, childList: true, characterData: true });
}"""


def test_a_slow_upload_shows_bytes_and_then_a_clock(driver: PageDriver, context: BrowserContext, samples: Path) -> None:
    network = context.new_cdp_session(driver.page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": 128 * 1024}
    network.send("Network.emulateNetworkConditions", slow)
    driver.choose([samples / "slice.dcm"])
    driver.page.evaluate(RECORD_PROGRESS)
    driver.button("Predict").click()
    expect(driver.verdict).to_be_visible(timeout=WAIT_MS)
    texts = driver.page.evaluate("window.progressTexts")
    assert [text for text, _ in groupby(text for text, _ in texts)] == ["Uploading", "Analysing", ""]
    amounts = [{amount for text, amount in texts if text == activity} for activity in ("Uploading", "Analysing")]
    assert any(amount.endswith("of 133 kB") for amount in amounts[0])
    assert len([amount for amount in amounts[1] if amount.endswith(" s")]) > 1  # a clock that runs


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
    driver.fake_response(status, body, content_type, {"retry-after": "7"})
    driver.choose([samples / "slice.dcm"])
    driver.predict()
    expect(driver.problem).to_contain_text(text)
    driver.restore_service()
    driver.predict()
    expect(driver.verdict).to_be_visible()


def test_a_lost_connection_is_shown_and_can_be_retried(driver: PageDriver, samples: Path) -> None:
    driver.page.route("**/v1/predictions*", lambda route: route.abort("connectionreset"))
    driver.choose([samples / "slice.dcm"])
    driver.predict()
    expect(driver.problem).to_contain_text("Connection lost")
    driver.restore_service()
    driver.button("Try again").click()
    expect(driver.verdict).to_be_visible(timeout=WAIT_MS)


def test_the_page_loads_before_the_service_is_ready(context: BrowserContext, service: Service, samples: Path) -> None:
    page = context.new_page()
    driver = PageDriver(page)
    page.clock.install()
    page.route("**/v1/models", lambda route: route.fulfill(status=503, body=""))
    page.goto(service.url)
    expect(page.locator("#served-model")).to_contain_text("not ready yet")
    driver.choose([samples / "slice.dcm"])
    page.unroute("**/v1/models")
    page.clock.fast_forward("00:05")
    expect(page.locator("#served-model")).to_contain_text("Served model", timeout=WAIT_MS)
    driver.predict()
    expect(driver.verdict).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_in_light_and_dark(
    browser: Browser, service: Service, study: list[Path], scheme: str
) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme="dark" if scheme == "dark" else "light", has_touch=True)
    page = context.new_page()
    driver = PageDriver(page)
    page.goto(service.url)
    assert driver.horizontal_overflow_px() == 0
    driver.choose(study)
    driver.predict()
    page.get_by_text("Report details").click()
    assert driver.horizontal_overflow_px() == 0
    for table in page.locator("table.labels").all():
        assert table.evaluate("table => table.scrollWidth - table.parentElement.clientWidth") <= 0
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 128) == (scheme == "dark")
    context.close()
