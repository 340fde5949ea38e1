"""A worklist of many series for the page, in place of the service's: `GET /v1/worklist` and its events."""

import itertools
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Page, Route

from services.common.labels import LABELS
from services.gateway.worklist.schemas import WorklistEntry, WorklistPage

_STATUSES: Final = ("assessed", "assessed", "assessed", "not_assessed")


class FakeWorklist:
    """Series, newest first; each change is an event for the page at most a second later."""

    def __init__(self, page: Page, series: int) -> None:
        self.entries = [entry(number) for number in reversed(range(series))]
        self.requests: list[str] = []
        page.route("**/v1/worklist?**", self._list)
        page.route("**/v1/worklist/events", self._events)

    def add(self, count: int) -> None:
        """Series arrive."""
        first = len(self.entries)
        self.entries[:0] = [entry(number) for number in reversed(range(first, first + count))]

    def _list(self, route: Route) -> None:
        self.requests.append(route.request.url)
        query = dict(parse_qsl(urlsplit(route.request.url).query))
        wanted = query.get("status", "assessed,not_assessed").split(",")
        found = [item for item in self.entries if item.status in wanted]
        first = int(query.get("offset", 0))
        answer = _page(found, tuple(found[first : first + int(query["limit"])]))
        route.fulfill(json=answer.model_dump(mode="json"))

    def _events(self, route: Route) -> None:
        """One event; the page reconnects a second after its end."""
        body = f'event: changed\ndata: {{"version": {len(self.entries)}}}\n\n'
        route.fulfill(body=body, content_type="text/event-stream")


def entry(number: int) -> WorklistEntry:
    """The entry of a series; every fourth is not assessed."""
    status = _STATUSES[number % 4]
    assessed = status == "assessed"
    present = number % 2 == 0
    return WorklistEntry.model_validate(
        {
            "job": f"0{number:x}",
            "number": 0,
            "status": status,
            "received": "2026-01-31T08:00:00.000Z",
            "reported": "2026-01-31T08:00:09.000Z",
            "priority": "routine",
            "source": "batch",
            "slices": 34,
            "present": present if assessed else None,
            "warnings": number % 3,
            "probabilities": dict.fromkeys(LABELS, 0.25) if assessed else None,
            "predictions": dict.fromkeys(LABELS, present) if assessed else None,
            "reason": None if assessed else "no_brain",
            "reason_detail": None if assessed else "there is no brain",
            "key_slice": 3,
            "blood": True,
            "series_description": f"Series {number}",
            "study_description": "CT head",
            "acquired": "2026-01-30T07:00:00",
            "patient": "f" * 32,
            "patient_name": None,
            "feedback": {},
        }
    )


def _page(found: list[WorklistEntry], entries: tuple[WorklistEntry, ...]) -> WorklistPage:
    def count(is_one: Callable[[WorklistEntry], Any]) -> int:
        return sum(map(bool, map(is_one, found)))

    return WorklistPage(
        entries=entries,
        next=None,
        total=len(found),
        positive=count(lambda item: item.present),
        not_assessed=count(lambda item: item.status == "not_assessed"),
        waiting=0,
        complete=True,
        version=next(_versions),
    )


_versions = itertools.count(1)
