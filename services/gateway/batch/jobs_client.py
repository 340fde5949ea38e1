"""The batch client's calls of the gateway. What may pass is waited out: a gateway that is busy, full, or not there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from services.gateway.batch.uploads import Parcel
from services.gateway.client import Failure, Part, SentFile, part, problem_of

_MAY_PASS: Final = frozenset({429, 500, 502, 503, 504})
_KEY_REFUSED: Final = frozenset({401, 403})
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_PAGE: Final = 50


class Unreachable(Failure):
    """The gateway did not come back in time; the same command goes on later."""


class Refused(Exception):
    """The gateway won't have it, ever; `files` are those that it named."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("code", status))
        self.words = f"{status} {problem.get('title', 'refused')}: {problem.get('detail', 'no reason was given')}"
        self.files = {file["file"]: file.get("reason", "") for file in problem.get("files", ())}

    def names(self, file: str) -> bool:
        """Whether a file, or one in it if it is a zip, was named."""
        return any(name == file or name.startswith(f"{file}/") for name in self.files)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a gateway that does not answer, or not now."""

    longest_s: float
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Errands:
    """What the batch client asks of a gateway.

    Every call raises Unreachable where patience ends, Failure where the key is refused, Refused for any other no.
    """

    client: httpx.Client
    patience: Patience

    def send(self, parcel: Parcel, key: str, query: dict[str, str], on_bytes: Callable[[int], None]) -> str:
        """Send a job; its id, the same for the same key."""

        def parts() -> list[Part]:
            return [part(file.name, SentFile(file.path, file.size, on_bytes)) for file in parcel.files]

        ask = self.client.post
        answer = self._ask(lambda: ask("/v1/jobs", params=query, files=parts(), headers={"idempotency-key": key}))
        return str(answer.json()["id"])

    def look(self, job_id: str) -> dict[str, Any] | None:
        """The job's document; None where it is gone."""
        try:
            document: dict[str, Any] = self._ask(lambda: self.client.get(f"/v1/jobs/{job_id}")).json()
        except Refused as refused:
            _unless_gone(refused)
            return None
        return document

    def reports(self, job_id: str, after: int, *, gaps: bool = False) -> list[tuple[int, dict[str, Any]]]:
        """Reports with their numbers, from behind that one on, a page at most.

        gaps : whether there may be missing ones between; else the first that is still missing ends them
        """
        address, query = f"/v1/jobs/{job_id}/reports", {"after": after, "limit": _PAGE}
        try:
            page = self._ask(lambda: self.client.get(address, params=query)).json()["reports"]
        except Refused as refused:
            _unless_gone(refused)
            return []
        found = ((number_of(report), report) for report in page)
        return [(number, report) for at, (number, report) in enumerate(found, start=after + 1) if gaps or number == at]

    def remove(self, job_id: str) -> None:
        """Let the gateway forget a job that has ended."""
        try:
            self._ask(lambda: self.client.delete(f"/v1/jobs/{job_id}"))
        except Refused as refused:
            _unless_gone(refused)

    def _ask(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        end, wait_s = self.patience.clock() + self.patience.longest_s, _FIRST_WAIT_S
        while True:
            why, asked_s = "", None
            try:
                answer = call()
                if answer.status_code not in _MAY_PASS:
                    return _checked(answer)
                why, asked_s = _words(answer), _retry_after_s(answer)
            except httpx.TransportError as error:
                why = f"did not answer ({type(error).__name__})"
            self._wait(asked_s or wait_s, end, f"{self.client.base_url} {why}")
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _wait(self, seconds: float, end: float, why: str) -> None:
        if self.patience.clock() + seconds > end:
            raise Unreachable(f"{why}; run the same command again, and it goes on from here")
        self.patience.say(f"{why}; trying again in {seconds:.0f} s")
        self.patience.sleep(seconds)


def number_of(report: dict[str, Any]) -> int:
    """The number of a report's series in its job, which is the end of the report's id."""
    return int(report["id"].rpartition("-")[2])


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code in _KEY_REFUSED:
        raise Failure(f"{_words(answer)}; give the key in ICH_KEY or by --key-file")
    if answer.is_error:
        raise Refused(answer.status_code, problem_of(answer))
    return answer


def _unless_gone(refused: Refused) -> None:
    if not refused.words.startswith("404 "):
        raise refused


def _words(answer: httpx.Response) -> str:
    problem = problem_of(answer)
    return f"answered {answer.status_code}: {problem.get('detail') or problem.get('title') or answer.reason_phrase}"


def _retry_after_s(answer: httpx.Response) -> float | None:
    """Of `Retry-After`: seconds, or a date (RFC 9110, 10.2.3)."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
