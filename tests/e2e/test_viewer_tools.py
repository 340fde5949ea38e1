"""The viewer's canvas and tools in a real browser: what is drawn, measured and read is the sent Hounsfield units."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Error, Locator, Page, Route, expect

from tests.e2e.page_driver import WAIT_MS, record_errors
from tests.running import Service
from tests.scans import ct_slice, head, picture

pytestmark = pytest.mark.e2e
_SLICES: Final = 12
_ROWS, _COLUMNS = 200, 160
_SPACING: Final = (0.9, 0.6)  # mm of rows and of columns
_GREY: Final = """view => {
    const canvas = view.querySelector('canvas');
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    const { a, d, e, f } = view.sliceCanvas.sliceToCanvas;
    return { a, d, e, f, width: canvas.width, grey: Array.from(pixels.filter((_, at) => at % 4 === 0)) };
}"""
_AT: Final = """(view, [x, y]) => {
    const { left, top } = view.querySelector('canvas').getBoundingClientRect();
    const { x: canvasX, y: canvasY } = view.sliceCanvas.sliceToCanvas.transformPoint({ x, y });
    return [left + canvasX / devicePixelRatio, top + canvasY / devicePixelRatio];
}"""


def _hu(index: int) -> NDArray[np.int16]:
    """(rows, columns) int16: a head, with noise of its own for each slice."""
    noise = np.random.default_rng(index).normal(0, 12, (_ROWS, _COLUMNS)).astype(np.int16)
    made: NDArray[np.int16] = head(_ROWS)[:, (_ROWS - _COLUMNS) // 2 :][:, :_COLUMNS] + noise
    return np.ascontiguousarray(made)


def _send(service: Service, files: dict[str, bytes]) -> str:
    """The id of a finished job."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        sent = client.post("/v1/jobs", files=[("files", item) for item in files.items()])
        job = str(sent.raise_for_status().json()["id"])
        with client.stream("GET", f"/v1/jobs/{job}/events") as events:
            assert "event: end" in set(events.iter_lines())
    return job


@pytest.fixture(scope="module")
def job(service: Service) -> str:
    tags = {"PixelSpacing": list(_SPACING), "Rows": _ROWS, "Columns": _COLUMNS}
    return _send(service, {f"{index}.dcm": ct_slice(index, _hu(index), **tags) for index in range(_SLICES)})


@pytest.fixture
def page(context: BrowserContext, service: Service) -> Iterator[Page]:
    page = context.new_page()
    errors = record_errors(page, service.url)
    yield page
    assert errors == []


def _open(page: Page, service: Service, job: str, query: str = "") -> Locator:
    """The canvas of a job's first series."""
    page.goto(f"{service.url}/#/jobs/{job}/series/0{query}")
    view = page.locator(".slice-canvas")
    expect(view.locator(".notice")).to_be_empty(timeout=WAIT_MS)
    expect(view).to_be_focused()
    return view


def _shows(view: Locator, number: int) -> None:
    expect(view.locator(".place strong")).to_have_text(f"Slice {number} of {_SLICES}")


def _drawn(view: Locator, number: int) -> None:
    """Wait until the slice is drawn; its pixels are then read by the next call."""
    _shows(view, number)
    expect(view.locator(".notice")).to_be_empty(timeout=WAIT_MS)
    view.evaluate("view => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def _levels(hu: NDArray[np.int16], centre: float, width: float) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = np.rint(np.clip((hu - (centre - width / 2)) * (255 / width), 0, 255))
    return levels


def _difference(view: Locator, index: int, centre: float, width: float) -> float:
    """The most that a pixel at 1:1 differs from the source's grey level; rows are stretched, so their middles count."""
    shown: dict[str, Any] = view.evaluate(_GREY)
    assert shown["a"] == 1
    grey = np.array(shown["grey"], np.float64).reshape(-1, shown["width"])
    rows = np.floor(shown["f"] + (np.arange(_ROWS) + 0.5) * shown["d"]).astype(int)
    seen = (rows >= 0) & (rows < grey.shape[0])
    left = int(shown["e"])
    part = grey[rows[seen], left : left + _COLUMNS]
    return float(np.abs(part - _levels(_hu(index), centre, width)[seen]).max())


def _point(view: Locator, x: float, y: float) -> tuple[float, float]:
    found: list[float] = view.evaluate(_AT, [x, y])
    return found[0], found[1]


def test_slices_change_by_keys_wheel_and_buttons(page: Page, service: Service, job: str) -> None:
    view = _open(page, service, job, "?slice=4")
    _shows(view, 5)
    for key, number in (("ArrowDown", 6), ("ArrowUp", 5), ("PageDown", 12), ("Home", 1), ("End", 12)):
        page.keyboard.press(key)
        _shows(view, number)
    page.mouse.move(*_point(view, 80.5, 100.5))
    page.mouse.wheel(0, -60)
    _shows(view, 11)
    expect(view.locator(".readout")).to_have_text(f"Column 81, row 101: {_hu(10)[100, 80]} HU")
    page.get_by_role("button", name="Next slice", exact=True).click()
    _shows(view, 12)
    expect(view).to_have_attribute("aria-label", re.compile("Left in the picture is the patient's right"))
    expect(page).to_have_url(re.compile(r"\?slice=11$"))
    page.reload()
    _shows(page.locator(".slice-canvas"), 12)


def test_fast_scrolling_never_shows_another_slice(page: Page, service: Service, job: str) -> None:
    released = threading.Event()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if released.is_set():
            route.continue_()
        else:
            held.append(route)

    page.route(re.compile(r"/slices/[1-9]\d*$"), hold)
    view = _open(page, service, job, "?slice=0")
    for number in range(2, 6):
        page.keyboard.press("ArrowDown")
        _shows(view, number)
        expect(view.locator(".notice")).to_have_text(f"Slice {number} is loading …")
        view.evaluate("view => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert max(view.evaluate(_GREY)["grey"]) == 0
    released.set()
    for route in held:
        with suppress(Error):  # the viewer has cancelled requests for distant slices
            route.continue_()
    page.keyboard.press("0")
    _drawn(view, 5)
    assert _difference(view, 4, 40, 80) <= 1
    page.keyboard.press("4")
    page.keyboard.press("ArrowDown")
    _drawn(view, 6)
    assert _difference(view, 5, 600, 2800) <= 1


def test_a_slice_that_fails_says_why_and_the_others_are_shown(page: Page, service: Service, job: str) -> None:
    problem = {"title": "This slice cannot be decoded", "detail": "3.dcm is cut", "code": "unreadable_slice"}
    page.route(re.compile(r"/slices/3$"), lambda route: route.fulfill(status=422, json=problem))
    page.goto(f"{service.url}/#/jobs/{job}/series/0?slice=3")
    view = page.locator(".slice-canvas")
    expect(view.locator(".notice")).to_contain_text(
        "Slice 4 could not be shown. This slice cannot be decoded: 3.dcm is cut"
    )
    page.keyboard.press("ArrowDown")
    _drawn(view, 5)
    expect(view.locator(".place")).to_contain_text(f"{_SLICES - 1} of {_SLICES} slices loaded")


def test_lengths_and_ellipses_are_measured_with_the_pointer_and_the_keyboard(
    page: Page, service: Service, job: str
) -> None:
    view = _open(page, service, job, "?slice=4")
    found = page.get_by_role("list", name="Measurements of this slice").get_by_role("listitem")
    page.keyboard.press("l")
    page.mouse.click(*_point(view, 40, 60))  # both points by clicks, without dragging
    page.mouse.click(*_point(view, 80, 60))
    expect(found.first).to_contain_text(re.compile(r"^(23\.\d|24(\.\d)?)\u00a0mm"))
    page.keyboard.press("c")
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    for key in ["Shift+ArrowRight"] * 2 + ["Shift+ArrowDown"] * 3:
        page.keyboard.press(key)
    expect(view.locator(".readout")).to_have_text(f"Column 101, row 131: {_hu(4)[130, 100]} HU")
    page.keyboard.press("Enter")
    rows, columns = np.mgrid[:_ROWS, :_COLUMNS] + 0.5
    inside = ((columns - 90.5) / 10) ** 2 + ((rows - 115.5) / 15) ** 2 <= 1
    values = _hu(4)[inside]
    area = np.pi * 10 * 0.6 * 15 * 0.9
    expect(found.last).to_contain_text(
        re.compile(
            f"mean {_number(values.mean())} HU, SD {_number(values.std())}, min {values.min()}, "
            f"max {values.max()}, area {_number(area)}\u00a0mm²".replace(".", r"\.")
        )
    )
    page.keyboard.press("ArrowUp")  # moves the cross hair
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    expect(found).to_have_count(0)
    page.keyboard.press("ArrowUp")
    page.get_by_role("button", name=re.compile("^Delete measurement: mean")).click()
    expect(found).to_have_count(1)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def test_the_view_is_windowed_flipped_moved_and_reset(page: Page, service: Service, job: str) -> None:
    view = _open(page, service, job, "?slice=4")
    state = view.locator(".view-state")
    x, y = _point(view, 80, 100)
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x + 20, y + 10)
    page.mouse.up(button="right")
    expect(state).to_contain_text("C 50 · W 100 HU")
    page.get_by_role("spinbutton", name="Centre").fill("75")
    expect(state).to_contain_text("C 75 · W 100 HU")
    view.focus()
    page.keyboard.press("f")
    expect(view.locator("[data-side=left]")).to_have_text("L")
    page.keyboard.press("+")
    expect(state).to_contain_text("zoom 125 %")
    page.get_by_role("button", name="Move", exact=True).click()
    page.mouse.click(*_point(view, 60, 70))
    middle: list[float] = view.evaluate("view => Object.values(view.sliceCanvas.centre)")
    assert np.allclose(np.multiply(middle, [_COLUMNS, _ROWS]), [60, 70], atol=1)
    view.focus()
    page.keyboard.press("r")
    expect(state).to_contain_text("C 40 · W 80 HU · zoom 100 %")
    expect(view.locator("[data-side=left]")).to_have_text("R")


def test_a_picture_of_three_windows_says_that_it_has_no_hounsfield_units(page: Page, service: Service) -> None:
    view = _open(page, service, _send(service, {"head.png": picture()}))
    expect(page.get_by_text("it has no Hounsfield units")).to_be_visible()
    expect(page.get_by_role("button", name="Brain")).to_be_hidden()
    page.get_by_role("button", name="Bone").click()
    expect(page.get_by_role("button", name="Bone")).to_have_attribute("aria-pressed", "true")
    expect(view.locator("[data-side=left]")).to_be_empty()
    page.mouse.move(*_point(view, 100, 100))
    expect(view.locator(".readout")).to_have_text("Column 101, row 101")


def test_a_deleted_job_is_said_to_be_gone(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/#/jobs/01a223f9771c53de759ed1414c67/series/0")
    expect(page.get_by_role("alert").filter(has_text="does not exist any more")).to_be_visible()


def test_a_series_without_a_report_waits_and_opens(page: Page, service: Service, job: str) -> None:
    answers = iter([{"status": 404, "json": {"title": "No report", "code": "no_report"}}])
    page.route(re.compile(r"/series/0/report$"), lambda route: _fulfil_once(route, answers))
    _open(page, service, job)
    assert next(answers, None) is None


def _fulfil_once(route: Route, answers: Iterator[dict[str, Any]]) -> None:
    answer = next(answers, None)
    route.fulfill(**answer) if answer else route.continue_()


def test_the_same_patient_s_earlier_series_is_linked(page: Page, service: Service) -> None:
    def series(day: int) -> dict[str, bytes]:
        tags: dict[str, Any] = {
            "PatientID": "4711",
            "SeriesDescription": f"Head {day}",
            "AcquisitionDate": f"2026010{day}",
        }
        uid = f"2.25.88{day}"
        one: dict[str, Any] = {"SeriesInstanceUID": uid, "StudyInstanceUID": f"{uid}.1"}
        return {
            f"{index}.dcm": ct_slice(index, SOPInstanceUID=f"{uid}.{index + 2}", **one, **tags) for index in range(2)
        }

    _, early, late = (_send(service, series(day)) for day in (1, 2, 3))
    _open(page, service, late)
    expect(page.get_by_role("heading", name="Head 3")).to_be_visible()
    page.get_by_role("link", name="Compare with Head 2, 2026-01-02").click()
    expect(page).to_have_url(re.compile(f"#/compare/{late}/0/{early}/0$"))
