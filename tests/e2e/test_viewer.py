"""The view of a series in a real browser, in front of the real services."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, expect
from pydicom.dataset import Dataset

from tests.e2e.altered_series import edited, encoded, load, reoriented
from tests.e2e.page_driver import record_errors
from tests.e2e.send_job import finished_job
from tests.e2e.viewer_driver import ViewerDriver
from tests.running import Service

pytestmark = pytest.mark.e2e
WINDOWS: Final = {"1": (40, 80), "2": (75, 215), "3": (40, 40), "4": (600, 2800), "5": (40, 380)}
# Times each frame that draws: its script, and the drawing that it asked for, since reading a pixel waits for that.
TIME_FRAMES: Final = """() => {
    let drawn = null;
    window.frames_ms = [];
    const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const draw = CanvasRenderingContext2D.prototype.drawImage;
    CanvasRenderingContext2D.prototype.drawImage = function (...values) {
        drawn = this.canvas;
        return draw.apply(this, values);
    };
    const request = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = callback => request(time => {
        const start = performance.now();
        drawn = null;
        callback(time);
        if (!drawn) return;
        pixel.drawImage(drawn, 0, 0);
        pixel.getImageData(0, 0, 1, 1);
        window.frames_ms.push(performance.now() - start);
    });
}"""


@pytest.fixture
def viewer(context: BrowserContext, service: Service) -> Iterator[ViewerDriver]:
    """A page; fails the test where the page had an error."""
    page = context.new_page()
    errors = record_errors(page, service.url)
    yield ViewerDriver(page)
    assert errors == []


def _hounsfield(item: Dataset) -> NDArray[np.float64]:
    return item.pixel_array * float(item.RescaleSlope) + float(item.RescaleIntercept)


def _windowed(item: Dataset, centre: float, width: float) -> NDArray[np.float64]:
    """Grey levels of a window, by DICOM PS3.3 C.11.2.1.3.2 (LINEAR_EXACT)."""
    return np.clip((_hounsfield(item) - (centre - width / 2)) * 255 / width, 0, 255)


def _expect_grey(viewer: ViewerDriver, expected: NDArray[np.float64]) -> None:
    shown = viewer.middle(*expected.shape)
    assert shown.shape == (*expected.shape, 4)
    assert (shown[..., 3] == 255).all()
    assert np.abs(shown[..., :3] - expected[..., np.newaxis]).max() <= 1


@pytest.fixture(scope="session")
def sample_slices(samples: Path) -> list[pydicom.FileDataset]:
    """The sample series, from the feet to the head."""
    return sorted(load(samples / "series"), key=lambda item: float(item.ImagePositionPatient[2]))


def test_pixels_are_the_windowed_source(
    viewer: ViewerDriver, sample_address: str, sample_slices: list[pydicom.FileDataset]
) -> None:
    viewer.open(sample_address)
    viewer.hide_heat_map()
    viewer.press("0")
    for number in (1, 17, 28):
        viewer.go(number)
        for key, window in WINDOWS.items():
            viewer.press(key)
            _expect_grey(viewer, _windowed(sample_slices[number - 1], *window))
    viewer.set_window(-37, 333)
    _expect_grey(viewer, _windowed(sample_slices[27], -37, 333))


def test_pixels_are_in_patient_orientation(
    viewer: ViewerDriver, service: Service, sample_slices: list[pydicom.FileDataset]
) -> None:
    source = sample_slices[14:18]
    turned = edited(source, reoriented(transpose=True, flip_rows=False, flip_columns=True))
    viewer.open(f"{service.url}/#/jobs/{finished_job(service, encoded(turned))}/series/0")
    viewer.press("0", "5")
    for number, item in enumerate(source, 1):
        viewer.go(number)
        if viewer.heat_map.is_visible() and viewer.heat_map.get_attribute("aria-pressed") == "true":
            viewer.press("h")
        _expect_grey(viewer, _windowed(item, 40, 380))
    assert {side: viewer.stage.locator(f"[data-side={side}]").inner_text() for side in ("left", "right", "top")} == {
        "left": "R", "right": "L", "top": "A",
    }  # fmt: skip


def _doubled(_: int, item: Dataset) -> None:
    """Store the same slice with four times as many pixels."""
    pixels = np.kron(item.pixel_array, np.ones((2, 2), item.pixel_array.dtype))
    item.PixelData, (item.Rows, item.Columns) = pixels.tobytes(), pixels.shape
    item.PixelSpacing = [float(spacing) / 2 for spacing in item.PixelSpacing]


def test_a_frame_of_512_x_512_with_overlay(
    viewer: ViewerDriver,
    service: Service,
    sample_slices: list[pydicom.FileDataset],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each step of a drag changes the window, so that all pixels and the heat map are drawn again. Prints the times."""
    files = encoded(edited(sample_slices[10:20], _doubled))
    viewer.page.set_viewport_size({"width": 1100, "height": 1000})
    viewer.page.add_init_script(f"({TIME_FRAMES})()")
    viewer.open(f"{service.url}/#/jobs/{finished_job(service, files)}/series/0")
    viewer.press("0")
    expect(viewer.heat_map).to_have_attribute("aria-pressed", "true")
    viewer.page.evaluate("window.frames_ms.length = 0")
    viewer.drag_window(200)
    frames = viewer.page.evaluate("window.frames_ms")
    assert len(frames) >= 190
    with capsys.disabled():
        print(f"\na frame of 512 x 512 with overlay: median {statistics.median(frames):.1f} ms of {len(frames)}")
