"""Controls the page as a user does, and reads it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import FilePayload, Locator, Page, Route, expect

WAIT_MS: Final = 60_000
_CHECKSUM: Final = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (let at = 0; at < pixels.length; at += 4) sum += pixels[at] * 3 + pixels[at + 1] * 5 + pixels[at + 2] * 7;
    return [sum, new Set(pixels).size];
}"""


class PageDriver:
    """Controls one open page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.verdict = page.locator("#verdict-title")
        self.problem = page.locator("#problem")
        self.picture = page.locator("#picture")

    def choose(self, files: Sequence[Path] | Mapping[str, bytes]) -> None:
        """Select files with the button "Choose files"; a mapping has names as keys and contents as values."""
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose files").click()
        chooser.value.set_files(_payloads(files) if isinstance(files, Mapping) else list(files))

    def predict(self) -> None:
        """Press Predict and wait for the report or the problem."""
        self.button("Predict").click()
        expect(self.verdict.or_(self.problem).filter(visible=True)).to_be_visible(timeout=WAIT_MS)

    def button(self, name: str) -> Locator:
        """A button by its exact name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def select_window(self, name: str) -> None:
        """Select another window."""
        self.page.get_by_role("radio", name=name, exact=True).check()

    def slice_number(self) -> int:
        """Number of the current slice, from 1."""
        return int(self.page.locator("#slice-number").inner_text().split()[1])

    def expect_slice(self, number: int) -> None:
        """Wait for a slice by its number, from 1."""
        expect(self.page.locator("#slice-number")).to_contain_text(f" {number} of ")

    def picture_checksum(self) -> tuple[int, int]:
        """Checksum of the picture, and its number of brightness levels."""
        checksum, levels = self.picture.evaluate(_CHECKSUM)
        return checksum, levels

    def expect_picture(self, other_than: int = 0) -> int:
        """Wait for a picture with another checksum; the new checksum."""
        for _ in range(100):
            checksum, levels = self.picture_checksum()
            if levels > 16 and checksum != other_than:
                return checksum
            self.page.wait_for_timeout(50)
        raise AssertionError("no new picture was drawn")

    def horizontal_overflow_px(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def fake_response(
        self, status: int, body: str, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Predictions get this response instead of the service's."""

        def fulfil(route: Route) -> None:
            route.fulfill(status=status, body=body, content_type=content_type, headers=dict(headers or {}))

        self.page.route("**/v1/predictions*", fulfil)

    def restore_service(self) -> None:
        """Predictions get the service's response again."""
        self.page.unroute("**/v1/predictions*")


def _payloads(files: Mapping[str, bytes]) -> list[FilePayload]:
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()]


def read_label_table(table: Locator) -> dict[str, tuple[float, str]]:
    """Probability and prediction by label."""
    rows: list[list[str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {label: (float(probability), predicted) for label, probability, _, predicted in rows}


def record_errors(page: Page, origin: str) -> list[str]:
    """A list that receives console errors and requests to other servers."""
    errors: list[str] = []

    def note_console(message: Any) -> None:
        # The browser logs every response from 400 on; the page shows these to its user.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            errors.append(f"console: {message.text}")

    def note_request(request: Any) -> None:
        if not request.url.startswith((origin, "blob:", "data:")):
            errors.append(f"request to {request.url}")

    page.on("console", note_console)
    page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
    page.on("request", note_request)
    return errors
