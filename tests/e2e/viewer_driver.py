"""Controls the view of a series as a reader does, and reads its canvas."""

import base64
from typing import Final

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

_WAIT_MS: Final = 60_000
_PIXELS: Final = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    let text = '';
    for (let at = 0; at < pixels.length; at += 32768) text += String.fromCharCode(...pixels.subarray(at, at + 32768));
    return [canvas.width, canvas.height, btoa(text)];
}"""
Pixels = NDArray[np.uint8]


class ViewerDriver:
    """Controls one open series."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.stage = page.locator(".slice-canvas")
        self.canvas = self.stage.locator("canvas")
        self.heat_map = page.get_by_role("button", name="Heat map (h)")

    def open(self, address: str) -> None:
        """Open a series by its address and wait for its picture."""
        self.page.goto(address)
        self.wait_for_picture()

    def wait_for_picture(self) -> None:
        """Wait until the current slice is drawn."""
        expect(self.stage).to_be_visible(timeout=_WAIT_MS)
        expect(self.stage.locator(".notice")).to_be_empty(timeout=_WAIT_MS)
        self.wait_for_frame()

    def wait_for_frame(self) -> None:
        """Wait until requested frames are drawn."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def button(self, name: str) -> Locator:
        """A button by its exact name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, *keys: str) -> None:
        """Press keys on the canvas."""
        for key in keys:
            self.stage.press(key)
        self.wait_for_frame()

    def go(self, number: int) -> None:
        """Show a slice by its number, from 1."""
        self.press("Home", *["PageDown"] * ((number - 1) // 10), *["ArrowDown"] * ((number - 1) % 10))
        self.expect_slice(number)
        self.wait_for_picture()

    def expect_slice(self, number: int) -> None:
        """Wait for a slice by its number, from 1."""
        expect(self.stage.locator(".place")).to_contain_text(f"Slice {number} of ")

    def hide_heat_map(self) -> None:
        """Switch the overlay off."""
        expect(self.heat_map).to_have_attribute("aria-pressed", "true", timeout=_WAIT_MS)
        self.press("h")
        expect(self.heat_map).to_have_attribute("aria-pressed", "false")

    def set_window(self, centre: int, width: int) -> None:
        """Set the window by its numbers."""
        self.page.get_by_label("Centre (HU)").fill(str(centre))
        self.page.get_by_label("Width (HU)").fill(str(width))
        self.wait_for_frame()

    def drag_window(self, steps: int) -> None:
        """Drag on the canvas to and fro, with a frame for each step."""
        self.stage.hover()
        self.page.mouse.down()
        box = self.stage.bounding_box()
        assert box is not None
        for step in range(steps):
            self.page.mouse.move(box["x"] + box["width"] / 2 + step % 20, box["y"] + box["height"] / 2)
            self.wait_for_frame()
        self.page.mouse.up()

    def pixels(self) -> Pixels:
        """The canvas: (rows, columns, 4), RGBA."""
        columns, rows, text = self.canvas.evaluate(_PIXELS)
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, columns, 4)

    def middle(self, rows: int, columns: int) -> Pixels:
        """The part of the canvas that a slice of this size covers at 1:1: (rows, columns, 4)."""
        pixels = self.pixels()
        top, left = round(pixels.shape[0] / 2 - rows / 2), round(pixels.shape[1] / 2 - columns / 2)
        return pixels[top : top + rows, left : left + columns]
