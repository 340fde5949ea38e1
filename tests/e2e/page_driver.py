"""The page as a person handles it: what is pressed, what is seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import FilePayload, Locator, Page, Route, expect

WAIT_MS: Final = 60_000
_PAINTED: Final = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (let at = 0; at < pixels.length; at += 4) sum += pixels[at] * 3 + pixels[at + 1] * 5 + pixels[at + 2] * 7;
    return [sum, new Set(pixels).size];
}"""


class PageDriver:
    """Handles one open page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.verdict = page.locator("#verdict-title")
        self.problem = page.locator("#problem")
        self.picture = page.locator("#picture")

    def choose(self, files: Sequence[Path] | Mapping[str, bytes]) -> None:
        """Choose files by the button; a mapping is of names to contents."""
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose files").click()
        chooser.value.set_files(_payloads(files) if isinstance(files, Mapping) else list(files))

    def predict(self) -> None:
        """Press Predict and wait for what comes of it."""
        self.button("Predict").click()
        expect(self.verdict.or_(self.problem).filter(visible=True)).to_be_visible(timeout=WAIT_MS)

    def button(self, name: str) -> Locator:
        """A button by the whole of its name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def window(self, name: str) -> None:
        """Look through another window."""
        self.page.get_by_role("radio", name=name, exact=True).check()

    def slice_number(self) -> int:
        """The slice that is shown, counted from 1."""
        return int(self.page.locator("#slice-number").inner_text().split()[1])

    def expect_slice(self, number: int) -> None:
        """Wait until that slice, counted from 1, is shown."""
        expect(self.page.locator("#slice-number")).to_contain_text(f" {number} of ")

    def painted(self) -> tuple[int, int]:
        """A checksum of the picture, and how many levels of brightness it has."""
        checksum, levels = self.picture.evaluate(_PAINTED)
        return checksum, levels

    def expect_painted(self, other_than: int = 0) -> int:
        """Wait until a picture is there, another than the one of a checksum; its checksum."""
        for _ in range(100):
            checksum, levels = self.painted()
            if levels > 16 and checksum != other_than:
                return checksum
            self.page.wait_for_timeout(50)
        raise AssertionError("no new picture was painted")

    def sideways_px(self) -> int:
        """How far the page can be scrolled sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def answer_with(self, status: int, body: str, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """From now on predictions get this answer instead of the service's."""

        def fulfil(route: Route) -> None:
            route.fulfill(status=status, body=body, content_type=content_type, headers=dict(headers or {}))

        self.page.route("**/v1/predictions*", fulfil)

    def answer_from_service(self) -> None:
        """From now on the service answers again."""
        self.page.unroute("**/v1/predictions*")


def _payloads(files: Mapping[str, bytes]) -> list[FilePayload]:
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()]


def labels_of(table: Locator) -> dict[str, tuple[float, str]]:
    """What a table of labels shows: probability and prediction."""
    rows: list[list[str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {label: (float(probability), predicted) for label, probability, _, predicted in rows}


def watched(page: Page, origin: str) -> list[str]:
    """A list that fills with what must not happen: errors in the console, and requests to other places."""
    faults: list[str] = []

    def note_console(message: Any) -> None:
        # The browser itself reports every answer from 400 on; the page shows those to the person.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            faults.append(f"console: {message.text}")

    def note_request(request: Any) -> None:
        if not request.url.startswith((origin, "blob:", "data:")):
            faults.append(f"request to {request.url}")

    page.on("console", note_console)
    page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
    page.on("request", note_request)
    return faults
