"""The heat map lies on the anatomy: its maximum, as drawn on the canvas, is in the painted haemorrhage."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, Route, expect

from tests.e2e.heat_map_sources import GEOMETRIES, SQUARES, Source, centre, make_phantom, store
from tests.e2e.page_driver import record_errors
from tests.e2e.send_job import finished_job
from tests.e2e.viewer_driver import ViewerDriver
from tests.running import Service
from training.phantom.study import Study

pytestmark = pytest.mark.e2e

MOST_MM: Final = 5
MOST_APART_MM: Final = 2
HALF: Final = 0.95 * 0.7  # opacity of the tint where half of a cell is blood
COLOUR: Final = np.array((240, 96, 60))  # of `intraparenchymal`


@pytest.fixture(scope="module")
def phantom() -> Study:
    return make_phantom()


@pytest.fixture
def viewer(context: BrowserContext, service: Service) -> Iterator[ViewerDriver]:
    """A page for a series; fails the test where it had an error."""
    page = context.new_page()
    errors = record_errors(page, service.url)
    yield ViewerDriver(page)
    assert errors == []


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_maximum_lies_in_the_haemorrhage(viewer: ViewerDriver, service: Service, phantom: Study, name: str) -> None:
    source = store(phantom, GEOMETRIES[name])
    viewer.open(f"{service.url}/#/jobs/{finished_job(service, source.files)}/series/0?slice=2")
    viewer.page.get_by_label("Drawn as").select_option("tint")
    for label, value in (("Shown above", "0"), ("Opacity", "0.95")):
        viewer.page.get_by_label(label).fill(value)
    viewer.set_window(0, 2000)
    drawn = viewer.pixels()
    viewer.hide_heat_map()
    plain = viewer.pixels()
    viewer.set_window(960, 40)
    opacity = tint_opacity(drawn, plain)
    squares = found_squares(viewer.pixels())
    distance = distance_mm(source, stored_point(source, squares, strongest(opacity)), 2)
    middle = stored_point(source, squares, centre(opacity > HALF)) - centre(source.blood[2])
    apart = float(np.hypot(*(middle * source.spacing_mm)))
    print(f"{name}: the maximum is {distance:.1f} mm from the haemorrhage, the middles are {apart:.1f} mm apart")
    assert opacity.max() > HALF
    assert distance <= MOST_MM
    assert apart <= MOST_APART_MM


def tint_opacity(drawn: NDArray[np.uint8], plain: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(rows, columns) float: the share of the label's colour in each pixel."""
    towards = COLOUR - plain[..., :3].astype(float)
    changed = drawn[..., :3].astype(float) - plain[..., :3]
    shares: NDArray[np.float64] = (changed * towards).sum(-1) / (towards**2).sum(-1)
    return shares


def strongest(opacity: NDArray[np.float64]) -> tuple[float, float]:
    """Row and column of the strongest tint: the middle of the pixels within rounding of it."""
    return centre(opacity > opacity.max() - 0.01)


def found_squares(pixels: NDArray[np.uint8]) -> dict[int, tuple[float, float]]:
    """Row and column on the canvas of the middle of each white square, by its rank in size."""
    left = pixels[..., 0] > 200
    squares = []
    while left.any():
        part = connected(left, tuple(np.argwhere(left)[0]))
        rows, columns = np.nonzero(part)
        filled = part.sum() / ((np.ptp(rows) + 1) * (np.ptp(columns) + 1))
        if filled > 0.85 and 7 < np.ptp(rows) < 60 and abs(np.ptp(rows) - np.ptp(columns)) < 4:
            squares.append((int(part.sum()), centre(part)))
        left &= ~part
    assert len(squares) == len(SQUARES), squares
    return {side: middle for side, (_, middle) in zip(SQUARES, sorted(squares), strict=True)}


def connected(mask: NDArray[np.bool_], start: tuple[int, ...]) -> NDArray[np.bool_]:
    """The part of a mask that is connected to a pixel."""
    part, waiting = np.zeros_like(mask), [start]
    while waiting:
        row, column = waiting.pop()
        if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column] and not part[row, column]:
            part[row, column] = True
            waiting += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return part


def stored_point(
    source: Source, on_canvas: dict[int, tuple[float, float]], point: tuple[float, float]
) -> NDArray[np.float64]:
    """Row and column in the stored frame of a point of the canvas, by the affine map of the three squares."""
    places = np.array([(*on_canvas[side], 1) for side in SQUARES])
    matrix = np.linalg.solve(places, np.array([source.squares[side] for side in SQUARES]))
    stored: NDArray[np.float64] = np.array((*point, 1)) @ matrix
    return stored


def distance_mm(source: Source, point: NDArray[np.float64], index: int) -> float:
    """From a point of the stored frame to the nearest pixel that is mostly blood; 0 within."""
    pixels = np.argwhere(source.blood[index] > 0.5) + 0.5
    away = np.abs(pixels - point) - 0.5
    return float(np.hypot(*(np.clip(away, 0, None) * source.spacing_mm).T).min())


def test_the_distance_and_the_map_of_squares_are_right(phantom: Study) -> None:
    source = store(phantom, GEOMETRIES["768 x 512, turned by 90 degrees"])
    mirrored = {side: (row, -column) for side, (row, column) in source.squares.items()}
    assert stored_point(source, mirrored, (10, -20)) == pytest.approx((10, 20))
    row, column = np.argwhere(source.blood[2] > 0.5)[0]
    assert distance_mm(source, np.array((row + 0.5, column + 0.5)), 2) == 0
    assert distance_mm(source, np.array((0.0, 0.0)), 2) > MOST_MM


def test_the_panel_says_where_and_goes_to_slices_with_blood(
    viewer: ViewerDriver, service: Service, phantom: Study
) -> None:
    files = store(phantom, GEOMETRIES["mirrored, feet first"]).files
    viewer.open(f"{service.url}/#/jobs/{finished_job(service, files)}/series/0?slice=2")
    panel = viewer.page.get_by_label("Overlays")
    expect(panel).to_contain_text("Heat map of intraparenchymal: highest")
    expect(panel).to_contain_text("on the patient's left, slice 3.")
    viewer.press("b")
    viewer.expect_slice(4)
    viewer.press("B")
    viewer.expect_slice(3)
    viewer.hide_heat_map()
    expect(panel).to_contain_text("The heat map is hidden.")


def test_the_tint_of_density_needs_no_network(viewer: ViewerDriver, service: Service, phantom: Study) -> None:
    files = store(phantom, GEOMETRIES["plain"]).files
    viewer.open(f"{service.url}/#/jobs/{finished_job(service, files)}/series/0?slice=2")
    viewer.hide_heat_map()
    plain = viewer.pixels()
    viewer.press("d")
    assert (viewer.pixels() != plain).any(axis=-1).mean() > 0.01
    viewer.press("d")
    assert (viewer.pixels() == plain).all()


def _coloured(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(rows, columns): pixels that are not grey."""
    coloured: NDArray[np.bool_] = np.ptp(picture.astype(int), axis=-1) > 30
    return coloured


def test_the_downloaded_slice_holds_the_overlay_and_the_disclaimer(
    viewer: ViewerDriver, service: Service, phantom: Study
) -> None:
    job = finished_job(service, store(phantom, GEOMETRIES["plain"]).files)
    viewer.open(f"{service.url}/#/jobs/{job}/series/0?slice=2")
    before = viewer.pixels()
    drawn = _download(viewer, job)
    viewer.hide_heat_map()
    plain = _download(viewer, job)
    viewer.press("h")
    assert (viewer.pixels() == before).all(), "the download changed the canvas"
    for picture in (drawn, plain):
        assert picture.shape[1] == 1024
        assert (picture[1024:] > 200).any(), "the text below the slice"
    assert _coloured(drawn)[:1024].mean() > 0.02
    assert not _coloured(plain).any()


def _download(viewer: ViewerDriver, job: str) -> NDArray[np.uint8]:
    """(rows, columns, 3) of the key slice."""
    with viewer.page.expect_download() as download:
        viewer.button("Download this slice as PNG").click()
    assert download.value.suggested_filename == f"key-slice-{job}-0-3.png"
    return np.asarray(Image.open(download.value.path()).convert("RGB"))


WITHOUT_MAP: Final[dict[str, dict[str, Any]]] = {
    "the job was sent without blood=true": {},
    "this bundle gives none": {
        "reasons": [{"code": "no_blood_map", "detail": "this bundle gives none", "severity": "note"}]
    },
    "the series is not assessed": {"status": "not_assessed"},
}


@pytest.mark.parametrize("why", WITHOUT_MAP)
def test_a_series_without_a_map_says_why(viewer: ViewerDriver, sample_address: str, why: str) -> None:
    def answer(route: Route) -> None:
        report = route.fetch().json()
        route.fulfill(json=report | {"blood": None} | WITHOUT_MAP[why])

    viewer.page.route("**/series/0/report", answer)
    viewer.open(sample_address)
    expect(viewer.page.get_by_label("Overlays")).to_contain_text(why)


def test_a_comma_of_the_language_leaves_the_threshold_a_number(
    viewer: ViewerDriver, service: Service, phantom: Study
) -> None:
    job = finished_job(service, store(phantom, GEOMETRIES["plain"]).files)
    viewer.open(f"{service.url}/?lang=de#/jobs/{job}/series/0?slice=2")
    viewer.page.get_by_label("Gezeigt ab").fill("0.25")
    panel = viewer.page.get_by_label("Überlagerungen")
    expect(panel).to_contain_text("Blut über 0,25 in 6 Schichten")
    expect(panel).to_contain_text("links am Patienten, Schicht 3.")
