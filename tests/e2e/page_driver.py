"""Controls the page as a user does, and reads it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from services.common.labels import LABELS

WAIT_MS: Final = 60_000
expect.set_options(timeout=30_000)  # of everything else: a loaded machine may take longer than Playwright's 5 s
SERIES: Final = re.compile(r"#/jobs/[0-9a-f]+/series/0")
JOB: Final = re.compile(r"#/jobs/[0-9a-f]+$")


class PageDriver:
    """Controls one open page: the upload, the worklist, the panel of a job, and the verdict of a series."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.upload = page.locator("section.upload")
        self.selection = page.locator(".selection-summary")
        self.problem = page.locator("section.problem")
        self.grid = page.get_by_role("grid")
        self.rows = page.locator(".grid-body .grid-row")
        self.job = page.locator("section.job")
        self.verdict = page.locator(".report-panel .verdict")

    def choose(self, files: Sequence[Path] | Mapping[str, bytes]) -> None:
        """Select files with the button "Choose files"; a mapping has names as keys and contents as values."""
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose files").click()
        chooser.value.set_files(_payloads(files) if isinstance(files, Mapping) else list(files))

    def choose_folder(self, folder: Path, files: Mapping[str, bytes] | None = None) -> None:
        """Select a folder, after writing files into it."""
        for name, content in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose a folder").click()
        chooser.value.set_files(folder)

    def send(self) -> None:
        """Press Send and wait for the series, for the list of several, or for a problem."""
        self.button("Send").click()
        expect(self.upload).to_be_hidden(timeout=WAIT_MS)

    def send_series(self) -> None:
        """Send one series and wait for its report."""
        self.send()
        expect(self.page).to_have_url(SERIES)
        expect(self.verdict).to_be_visible(timeout=WAIT_MS)

    def send_job(self, title: str) -> None:
        """Send several series and wait until the panel of the job has this title."""
        self.send()
        expect(self.page).to_have_url(JOB)
        expect(self.job.get_by_role("heading", name=title)).to_be_visible(timeout=WAIT_MS)

    def send_refused(self) -> None:
        """Press Send and wait for the problem."""
        self.button("Send").click()
        expect(self.problem).to_be_visible(timeout=WAIT_MS)

    def back(self) -> None:
        """Return to the worklist by its link."""
        self.page.get_by_role("link", name="Worklist", exact=True).click()
        expect(self.grid.or_(self.page.locator("section.empty")).filter(visible=True)).to_be_visible()

    def button(self, name: str) -> Locator:
        """A button by its exact name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def overflow_px(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def fake_jobs(self, status: int, body: str, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Uploads get this response instead of the service's."""

        def fulfil(route: Route) -> None:
            if route.request.method != "POST":
                return route.fallback()
            return route.fulfill(status=status, body=body, content_type=content_type, headers=dict(headers or {}))

        self.page.route("**/v1/jobs*", fulfil)

    def restore_service(self) -> None:
        """Uploads get the service's response again."""
        self.page.unroute("**/v1/jobs*")


def _payloads(files: Mapping[str, bytes]) -> list[FilePayload]:
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()]


def read_label_table(table: Locator) -> dict[str, tuple[float, str]]:
    """Probability and prediction by label, as soon as all labels are there."""
    expect(table.locator("tbody tr")).to_have_count(len(LABELS))
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
