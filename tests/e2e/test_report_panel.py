"""The report beside the pictures, its downloads and its printed sheet, and the page of the model."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Download, Locator, Page, expect
from pypdf import PdfReader

from services.common.addenda import Addendum
from services.common.labels import LABELS
from services.common.report_schemas import Report
from tests.addenda import addendum_of
from tests.bundles import write_bundle
from tests.e2e.page_driver import WAIT_MS, read_label_table, record_errors
from tests.running import ROOT, Service

pytestmark = pytest.mark.e2e
STORED: Final = ROOT / "tests" / "gateway" / "jobs" / "stored"
_SHOW: Final = """async report => {
    const { createReportPanel } = await import('./report/report_panel.js');
    const panel = createReportPanel({ job: 'none', number: 0, report, onSlice: index => panel.update(index) });
    document.getElementById('view').replaceChildren(panel);
}"""


@pytest.fixture
def page(context: BrowserContext, service: Service) -> Iterator[Page]:
    """A page without a print dialog, which no browser without a screen has; fails the test where it had an error."""
    found = context.new_page()
    found.add_init_script("window.print = () => {}")
    errors = record_errors(found, service.url)
    yield found
    assert errors == []


@pytest.fixture
def panel(page: Page, sample_address: str) -> Locator:
    """The report panel of the sample series."""
    page.goto(sample_address)
    found = page.locator(".report-panel")
    expect(found).to_be_visible(timeout=WAIT_MS)
    return found


def _report(service: Service, address: str) -> Report:
    """The report of a series by the address of its page."""
    path = address.partition("#/")[2].partition("?")[0]
    return Report.model_validate(httpx.get(f"{service.url}/v1/{path}/report").raise_for_status().json())


def test_the_panel_shows_the_report_and_follows_the_slice(
    page: Page, panel: Locator, service: Service, sample_address: str
) -> None:
    report = _report(service, sample_address)
    expect(panel.get_by_role("heading", level=2)).to_have_text("Haemorrhage predicted: intraparenchymal")
    assert report.series is not None
    assert report.series.probabilities is not None
    shown = read_label_table(panel.locator("table.labels").first)
    assert list(shown) == list(LABELS)
    assert shown["any"] == (round(report.series.probabilities["any"], 4), "● yes")
    location = (report.locations or {})["intraparenchymal"]
    place = f"slices {location.first + 1} to {location.last + 1}, {location.side}"
    expect(panel.locator(".findings .present").last).to_contain_text(place)
    expect(panel.locator(".figures")).to_contain_text("Unknown on patients.")

    page.locator(".slice-canvas").press("Home")
    expect(panel.locator(".this-slice h3")).to_have_text("Slice 1 of 28")
    probabilities = report.slices[0].probabilities
    assert probabilities is not None
    shown = read_label_table(panel.locator(".this-slice table"))
    assert shown["any"] == (round(probabilities["any"], 4), "○ no")


def _downloaded(page: Page, button: str) -> Download:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value


def test_the_report_is_downloaded_as_json_and_as_csv(
    page: Page, panel: Locator, service: Service, sample_address: str
) -> None:
    expect(panel).to_be_visible()
    report = _report(service, sample_address)
    assert Report.model_validate_json(Path(_downloaded(page, "Report (JSON)").path()).read_bytes()) == report
    table = _downloaded(page, "Table (CSV)")
    assert table.suggested_filename == f"report-{report.id}.csv"
    rows = list(csv.DictReader(io.StringIO(Path(table.path()).read_text())))
    assert len(rows) == 1
    assert report.series is not None
    assert rows[0]["series_instance_uid"] == report.series.series_instance_uid


def test_each_printed_page_holds_the_disclaimer(
    page: Page, panel: Locator, service: Service, sample_address: str, tmp_path: Path
) -> None:
    report = _report(service, sample_address)
    expect(panel.locator(".figures")).to_contain_text("Unknown on patients.", timeout=WAIT_MS)
    panel.get_by_role("button", name="Print or save as PDF").click()
    expect(page.locator(".print-sheet")).to_be_attached(timeout=WAIT_MS)
    assert page.title() == f"report-{report.id}"
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    pages = PdfReader(tmp_path / "report.pdf").pages
    texts = [" ".join(each.extract_text().split()) for each in pages]
    assert 2 <= len(pages) <= 6
    assert all(report.disclaimer in text for text in texts)
    assert all((round(each.mediabox.width), round(each.mediabox.height)) == (595, 842) for each in pages)  # A4
    whole = " ".join(texts)
    parts = ("Haemorrhage predicted: intraparenchymal", "Unknown on patients", report.model.sha256[:12], report.id)
    assert [part for part in parts if part not in whole] == []
    pictures = sum(len(each.images) for each in pages)
    assert pictures >= 2 * len(report.key_slices)
    expect(page.locator(".print-sheet")).not_to_be_attached()


def test_an_opinion_is_given_seen_by_all_withdrawn_and_counted(
    page: Page, panel: Locator, service: Service, sample_address: str
) -> None:
    path = sample_address.partition("#/")[2].partition("?")[0]
    feedback = f"{service.url}/v1/{path}/feedback"
    of_series = panel.get_by_role("group", name="any: predicted").first
    agree = of_series.get_by_role("button", name="agree", exact=True)
    agree.press("Enter")
    expect(agree).to_have_attribute("aria-pressed", "true")
    expect(agree).to_be_focused()
    of_slice = panel.get_by_role("group", name="subdural: not predicted").last
    of_slice.get_by_role("button", name="disagree").press("Space")
    expect(of_slice.get_by_role("button", name="disagree")).to_have_attribute("aria-pressed", "true")
    given = httpx.get(feedback).raise_for_status().json()["feedback"]
    index = int(panel.locator(".this-slice h3").inner_text().split()[1]) - 1
    found = {(each["label"], each["slice"], each["opinion"]) for each in given}
    assert found == {("any", None, "agree"), ("subdural", index, "disagree")}

    agree.press("Enter")
    expect(agree).to_have_attribute("aria-pressed", "false")
    assert [each["label"] for each in httpx.get(feedback).json()["feedback"]] == ["subdural"]
    page.goto(f"{service.url}/#/model")
    expect(page.locator(".agreement rect.disagree")).to_have_count(1, timeout=WAIT_MS)
    expect(page.locator(".agreement tbody")).to_contain_text(re.compile(r"\d{4}-W\d\d"))


def _stored() -> dict[str, dict[str, Any]]:
    """Reports that version 0.2.0 stored, by status and verdict, and one with the members that version 0.1.0 knew."""
    reports = [json.loads(path.read_bytes()) for path in sorted(STORED.glob("*/store/jobs/*/*/reports/*.json"))]
    found = {f"{each['status']} {each['series'].get('predictions', {}) and 'any'}": each for each in reports}
    oldest = dict(next(each for each in reports if each["status"] == "assessed"))
    for name in ("created", "version", "evidence"):
        oldest.pop(name, None)
    oldest["slices"] = [{key: each[key] for key in each if key not in ("slab", "image")} for each in oldest["slices"]]
    return {**found, "oldest": oldest}


@pytest.mark.parametrize("name", sorted(_stored()))
def test_reports_of_older_versions_are_shown(page: Page, service: Service, name: str) -> None:
    report = _stored()[name]
    page.goto(f"{service.url}/?lang=de#/model")
    expect(page.get_by_role("heading", name="Modell „default“")).to_be_visible(timeout=WAIT_MS)
    page.evaluate(_SHOW, report)
    titles = {"assessed": r"Blutung vorhergesagt", "not_assessed": "^Nicht beurteilt", "failed": "^Konnte nicht"}
    heading = page.locator(".report-panel .verdict h2")
    expect(heading).to_have_text(re.compile(titles[report["status"]]))
    kind = page.locator(".report-panel .verdict").get_attribute("data-kind")
    assert (kind == "unknown") == (report["status"] != "assessed")
    if report["status"] == "failed":
        expect(page.locator(".report-panel .verdict")).to_contain_text(report["problem"]["detail"])
    if report["status"] == "not_assessed":
        expect(page.locator(".reasons")).to_contain_text("Die Serie des Kopfes senden")


@pytest.fixture
def with_addendum(page: Page, service: Service, tmp_path: Path) -> Callable[[Mapping[str, Any]], Addendum]:
    """Let the service's model have an addendum, and further members."""

    def change(more: Mapping[str, Any]) -> Addendum:
        served = httpx.get(f"{service.url}/v1/models").raise_for_status().json()
        fake = addendum_of(write_bundle(tmp_path / "bundle"))
        addendum = fake.model_copy(update={"card_sha256": served["sha256"]})
        body = served | {"addenda": [addendum.model_dump(mode="json")], **more}
        page.route("**/v1/models", lambda route: route.fulfill(json=body))
        return addendum

    return change


def test_an_addendum_gives_likelihood_ratios_and_predictive_values(
    page: Page, sample_address: str, with_addendum: Callable[[Mapping[str, Any]], Addendum]
) -> None:
    addendum = with_addendum({"prevalence": 0.1})
    page.goto(sample_address)
    figures = page.locator(".figures")
    expect(figures).to_contain_text(addendum.data, timeout=WAIT_MS)
    expect(figures).not_to_contain_text("Unknown on patients")
    expect(figures.get_by_role("row", name="any predicted")).to_contain_text("9 (5.9 to 14)")
    expect(figures.get_by_role("row", name="subdural not predicted")).to_contain_text("0.11 (0.048 to 0.26)")
    expect(figures.get_by_role("status")).to_contain_text("Of 100 such patients with this result, 50 (39.5 to 60.5)")
    slider = figures.get_by_role("slider")
    slider.press("Home")
    expect(figures.get_by_role("status")).to_have_text("Set the prevalence to see predictive values.")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "99.9\u00a0%")
    expect(figures.get_by_role("status")).to_contain_text("Of 100 such patients with this result, 100 (100 to 100)")


def test_a_site_s_prevalence_is_taken_as_it_is(
    page: Page, sample_address: str, with_addendum: Callable[[Mapping[str, Any]], Addendum]
) -> None:
    with_addendum({"prevalence": 0.8})
    page.goto(sample_address)
    figures = page.locator(".figures")
    expect(figures.get_by_role("slider")).to_have_attribute("aria-valuetext", "80\u00a0%", timeout=WAIT_MS)
    expect(figures.get_by_role("status")).to_contain_text("Of 100 such patients with this result, 97.3")


def test_the_model_page_tells_first_that_it_learnt_from_phantoms(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/#/model")
    model = page.locator(".model-page")
    expect(model.get_by_role("heading", name="Model ‘default’")).to_be_visible(timeout=WAIT_MS)
    overview = model.locator("section").first
    expect(overview).to_contain_text("synthetic phantoms only")
    expect(overview).to_contain_text("Its card holds no figures on patients")
    card = httpx.get(f"{service.url}/v1/models").json()["card"]
    by_series = model.locator("section").nth(2)
    expect(by_series.get_by_role("row", name="epidural").first).to_contain_text(
        f"{card['metrics']['series']['epidural']['auc']:.3f}"
    )
    expect(model).to_contain_text("None is attached: unknown on patients.")
    expect(model.get_by_role("row", name="subdural 80 200")).to_be_visible()


def test_the_model_page_says_unknown_where_the_card_says_nothing(page: Page, service: Service) -> None:
    served = httpx.get(f"{service.url}/v1/models").raise_for_status().json()
    bare = served["card"] | {"metrics": {}, "training": {}, "versions": {}, "limits_of_use": [], "spacing_mm": None}
    page.route("**/v1/models", lambda route: route.fulfill(json=served | {"card": bare, "engines": {}}))
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{service.url}/#/model")
    expect(page.locator(".model-page section").nth(1)).to_contain_text("unknown", timeout=WAIT_MS)
    expect(page.locator(".model-page section").nth(2)).to_contain_text("unknown")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_the_model_page_shows_addenda_and_names_refused_ones(
    page: Page, service: Service, with_addendum: Callable[[Mapping[str, Any]], Addendum]
) -> None:
    addendum = with_addendum({"addenda_refused": [{"name": "old.json", "why": "it is about another card"}]})
    page.goto(f"{service.url}/#/model")
    expect(page.get_by_role("heading", name=addendum.data)).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("row", name="any, default").first).to_contain_text("45 / 20 / 180 / 5")
    expect(page.locator(".model-page")).to_contain_text("old.json is not used: it is about another card")
