"""Accessibility and languages of the page: axe-core, keyboard alone, a phone, print, German."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.axe import violations
from tests.e2e.page_driver import WAIT_MS, PageDriver
from tests.e2e.send_job import finished_job
from tests.e2e.viewer_driver import ViewerDriver
from tests.running import ROOT, Service
from tests.scans import ct_slice

pytestmark = pytest.mark.e2e
PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
MESSAGES: Final[dict[str, dict[str, str]]] = json.loads(
    (ROOT / "services" / "gateway" / "pages" / "i18n" / "messages.json").read_text()
)
Scheme = Literal["light", "dark"]


def _refused() -> dict[str, bytes]:
    return {"blank.dcm": ct_slice().replace(ct_slice()[-512 * 512 * 2 :], bytes(512 * 512 * 2))}


@pytest.fixture(scope="module")
def places(service: Service, sample_address: str) -> dict[str, str]:
    """Addresses of the views."""
    sample = sample_address.partition("#/jobs/")[2].split("/")[0]
    refused = finished_job(service, _refused())
    views = {
        "worklist": "#/",
        "job": f"#/jobs/{sample}",
        "series": f"#/jobs/{sample}/series/0",
        "not assessed": f"#/jobs/{refused}/series/0",
        "compare": f"#/compare/{sample}/0/{refused}/0",
        "model": "#/model",
    }
    return {name: f"{service.url}/?lang=LANG{view}" for name, view in views.items()}


def _open(page: Page, places: dict[str, str], name: str, language: str = "en") -> None:
    page.goto("about:blank")  # another part behind `#` loads nothing: the view before would be read
    page.goto(places[name].replace("LANG", language))
    shown = {
        "worklist": ".grid-row[data-kind=present]",
        "job": ".grid-row[data-kind=present]",
        "compare": ".compare-pane canvas >> nth=1",
        "model": "main table >> nth=0",
    }
    expect(page.locator(shown.get(name, ".report-panel .verdict")).first).to_be_visible(timeout=WAIT_MS)
    if "canvas" in shown.get(name, "canvas"):
        expect(page.locator(".slice-canvas .notice").first).to_be_empty(timeout=WAIT_MS)
    if name == "model":
        expect(page.get_by_text(MESSAGES["model.loading"][language], exact=True)).to_have_count(0)


@pytest.fixture(scope="module", params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    found: Scheme = request.param
    return found


@pytest.fixture(scope="module")
def page_in_scheme(browser: Browser, scheme: Scheme) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    yield context.new_page()
    context.close()


VIEWS: Final = ("worklist", "job", "series", "not assessed", "compare", "model")


@pytest.mark.parametrize("name", VIEWS)
def test_axe_finds_nothing_serious(page_in_scheme: Page, places: dict[str, str], name: str, scheme: Scheme) -> None:
    _open(page_in_scheme, places, name)
    for details in page_in_scheme.locator("details:not([open]) > summary:visible").all():
        details.click()
    assert violations(page_in_scheme) == []
    ground = page_in_scheme.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 3 * 128) == (scheme == "dark")


def test_axe_finds_nothing_serious_in_dialogs_and_problems(page_in_scheme: Page, places: dict[str, str]) -> None:
    page, problem = page_in_scheme, {"title": "Key required", "status": 401, "detail": "send a key"}
    for name in ("worklist", "series"):
        _open(page, places, name)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    _open(page, places, "worklist")
    PageDriver(page).choose({"a.dcm": ct_slice()})
    assert violations(page) == []
    page.route("**/v1/jobs?*", lambda route: route.fulfill(status=401, json=problem))
    PageDriver(page).button("Send").click()
    expect(page.get_by_role("dialog")).to_contain_text("Key required")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("section.problem")).to_be_visible()
    assert violations(page) == []
    page.unroute("**/v1/jobs?*")


def _tab_to(page: Page, is_there: Callable[[], bool]) -> None:
    """Press Tab until the focus is there; every stop on the way shows that it has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(SHOWS_FOCUS), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if is_there():
            return
    raise AssertionError("the tab key does not reach it")


SHOWS_FOCUS: Final = """() => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
    return document.activeElement === document.body || (outlineStyle !== 'none' && outlineWidth !== '0px')
        || boxShadow !== 'none';
}"""


def _focused(page: Page, selector: str, text: str = "") -> Callable[[], bool]:
    return lambda: bool(
        page.evaluate(
            "([selector, text]) => document.activeElement.matches(selector) && "
            "document.activeElement.textContent.includes(text)",
            [selector, text],
        )
    )


def test_the_page_works_by_keyboard_alone(driver: PageDriver, study: list[Path]) -> None:
    """From the start to a report, then to a slice, an opinion and back."""
    page, viewer = driver.page, ViewerDriver(driver.page)
    with page.expect_file_chooser() as chooser:  # the browser hears of it some time before the key
        _tab_to(page, _focused(page, "button", "Choose a folder"))
        page.keyboard.press("Enter")
    chooser.value.set_files(study[0].parent)
    expect(driver.button("Send")).to_be_focused()
    page.keyboard.press("Enter")
    viewer.wait_for_picture()
    expect(viewer.stage).to_be_focused()
    page.keyboard.press("ArrowDown")
    viewer.expect_slice(18)
    page.keyboard.press("h")
    expect(viewer.heat_map).to_have_attribute("aria-pressed", "false")
    _tab_to(page, _focused(page, ".report-panel button"))
    page.keyboard.press("Enter")
    page.evaluate("document.activeElement.blur()")
    _tab_to(page, _focused(page, "a", "Worklist"))
    page.keyboard.press("Enter")
    expect(driver.rows.first).to_be_visible()
    _tab_to(page, _focused(page, ".grid-row"))
    page.keyboard.press("Enter")
    viewer.wait_for_picture()


@pytest.mark.parametrize("name", VIEWS)
def test_a_phone_shows_everything_without_horizontal_scrolling(
    browser: Browser, places: dict[str, str], name: str
) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = context.new_page()
    for language in ("en", "de"):
        _open(page, places, name, language)
        for details in page.locator("details:not([open]) > summary:visible").all():
            details.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], language
    context.close()


def test_a_printed_report_has_the_disclaimer_and_no_controls(page_in_scheme: Page, places: dict[str, str]) -> None:
    page = page_in_scheme
    page.add_init_script("window.print = () => dispatchEvent(new Event('printed'))")
    _open(page, places, "series")
    page.emulate_media(media="print")
    page.get_by_role("button", name=MESSAGES["downloads.print"]["en"]).dispatch_event("click")
    sheet = page.locator(".print-sheet")
    expect(sheet).to_be_visible(timeout=WAIT_MS)
    expect(sheet).to_contain_text("not a medical device")
    expect(sheet).to_contain_text("intraparenchymal")
    assert page.locator("button:visible").count() == 0
    page.emulate_media(media="screen")


# Texts that the service words in English are marked so: lang="en". Names and values are no words.
SHOWN_TEXTS: Final = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        const own = parent.closest('[lang]').lang !== 'de' || parent.closest('script, style, noscript, code');
        if (!own) texts.push(walker.currentNode.textContent.trim());
    }
    for (const node of document.querySelectorAll('[aria-label], [title], [placeholder], [aria-valuetext]'))
        if (node.closest('[lang]').lang === 'de')
            for (const name of ['aria-label', 'title', 'placeholder', 'aria-valuetext'])
                if (node.getAttribute(name)) texts.push(node.getAttribute(name));
    return [...new Set(texts)].filter(text => text);
}"""


def _english_words() -> set[str]:
    """Words of the English texts that no German text has."""

    def words(language: str) -> set[str]:
        texts = (texts[language] for texts in MESSAGES.values())
        return {
            word.lower() for text in texts for word in re.findall(r"[A-Za-zÄÖÜäöüß]{3,}", re.sub(r"\{\w+\}", "", text))
        }

    return words("en") - words("de")


def _strings(value: object) -> Iterator[str]:
    """All names and texts of a JSON value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _strings(part)
    if isinstance(value, str):
        yield value


@pytest.fixture(scope="module")
def card_texts(service: Service) -> list[str]:
    """Names and texts of the served bundle, which the page shows as they are; the longest first."""
    served = httpx.get(f"{service.url}/v1/models").json()
    texts = {form for text in _strings(served) for form in (text, text.replace("_", " "))}
    return sorted(texts, key=len, reverse=True)


def _without(text: str, known: list[str]) -> str:
    for value in known:
        text = text.replace(value, " ") if len(value) > 3 else text
    return text


@pytest.mark.parametrize("name", VIEWS)
def test_german_has_no_english_leftovers(
    page_in_scheme: Page, places: dict[str, str], card_texts: list[str], name: str
) -> None:
    _open(page_in_scheme, places, name, "de")
    for details in page_in_scheme.locator("details:not([open]) > summary:visible").all():
        details.click()
    english = _english_words() - {"phantom", "patient"}  # of the sample's SeriesDescription
    shown = page_in_scheme.evaluate(SHOWN_TEXTS)
    assert len(shown) > 10
    texts = [_without(text, card_texts) for text in shown] if name == "model" else shown
    found = {text: words for text in texts if (words := english & set(re.findall(r"[a-zäöüß]{3,}", text.lower())))}
    assert found == {}
