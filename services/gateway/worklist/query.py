"""Queries of the worklist: filters, order and place in it, as SQL with parameters. Pure."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, TypeVar, get_args

from services.common.labels import LABELS, Label
from services.common.problems import BadRequest
from services.gateway.jobs.schemas import JobSource
from services.gateway.worklist.schemas import SeriesStatus

Order = Literal["asc", "desc"]
Word = TypeVar("Word", bound=str)
_STATUSES: Final[tuple[SeriesStatus, ...]] = get_args(SeriesStatus)
_PLACE: Final = ("newest", "job", "number")  # behind each key: newest first
_KEYS: Final[
    Mapping[str, tuple[tuple[str, ...], Order]]
] = {  # columns that order the list, and the order that reads them ascending
    "received": ((), "desc"),
    "acquired": (("newest_acquired",), "desc"),
    "description": (("description_key",), "asc"),
    "status": (("status_rank",), "asc"),
    "urgent": (("priority_rank",), "desc"),
    **{f"probability:{label}": ((f"ifnull(-p_{label}, 1)",), "desc") for label in LABELS},
}
SORTS: Final = tuple(_KEYS)
_ESCAPE: Final = "\\"
_LARGEST: Final = 2**63


class InvalidFilter(BadRequest):
    code = "invalid_filter"
    title = "A filter of the worklist has an unknown value"


class InvalidCursor(BadRequest):
    code = "invalid_cursor"
    title = "The cursor is none of this list"


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions. An entry meets all of them; None is no condition.

    sender : whose jobs; None for all
    since, until : bounds of the time of reception, UTC, ISO 8601; `until` is excluded
    """

    sender: str | None = None
    statuses: tuple[SeriesStatus, ...] = ()
    labels: tuple[Label, ...] = ()
    text: str | None = None
    urgent: bool | None = None
    present: bool | None = None
    source: JobSource | None = None
    patient: str | None = None
    job: str | None = None
    since: str | None = None
    until: str | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition, and its parameters by name."""
        exact = {
            "sender": self.sender,
            "source": self.source,
            "patient": self.patient,
            "job": self.job,
            "present": self.present,
            "priority": None if self.urgent is None else ("urgent" if self.urgent else "routine"),
        }
        given = {name: value for name, value in exact.items() if value is not None}
        conditions = [f"{name} = :{name}" for name in given]
        conditions += [
            f"received {sign} :{name}" for sign, name in ((">=", "since"), ("<", "until")) if getattr(self, name)
        ]
        statuses = {f"status_{number}": status for number, status in enumerate(self.statuses)}
        if statuses:
            conditions.append(f"status IN ({', '.join(f':{name}' for name in statuses)})")
        if self.labels:
            conditions.append(f"({' OR '.join(f'is_{label}' for label in self.labels)})")
        if self.text:
            conditions.append(f"text LIKE :text ESCAPE '{_ESCAPE}'")
        bounds = {"since": self.since, "until": self.until, "text": _pattern(self.text or "")}
        return " AND ".join(conditions) or "1", {**given, **statuses, **bounds}


@dataclass(frozen=True, slots=True)
class Sorting:
    """The order of the list."""

    sort: str = "received"
    order: Order | None = None

    @classmethod
    def parse(cls, sort: str, order: Order | None) -> "Sorting":
        """InvalidFilter for an unknown key."""
        return cls(_known(sort, SORTS, "sort"), order)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns whose values order the list."""
        return (*_KEYS[self.sort][0], *_PLACE)

    @property
    def ascending(self) -> bool:
        """Whether the columns ascend."""
        return self.order in (None, _KEYS[self.sort][1])

    def columns(self) -> str:
        """The values of an entry that make its place, as columns."""
        return ", ".join(f"{key} AS key_{number}" for number, key in enumerate(self.keys))

    def clause(self) -> str:
        """The ORDER BY clause."""
        return ", ".join(key if self.ascending else f"{key} DESC" for key in self.keys)

    def after(self, place: Sequence[Any]) -> tuple[str, dict[str, Any]]:
        """The condition that an entry comes after a place, and its parameters."""
        named = {f"key_{number}": value for number, value in enumerate(place)}
        sign = ">" if self.ascending else "<"
        return f"({', '.join(self.keys)}) {sign} ({', '.join(f':{name}' for name in named)})", named

    def cursor(self, place: Sequence[Any]) -> str:
        """The place as text that clients do not look into."""
        content = json.dumps([self.sort, self.ascending, *place], separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()

    def place(self, cursor: str) -> list[Any]:
        """The place in a cursor; InvalidCursor where it is none of this order."""
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            place: list[Any]
            sort, ascending, *place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, TypeError, RecursionError):
            raise InvalidCursor("the cursor is broken; follow the address in `next`, or begin without one") from None
        if (sort, ascending) != (self.sort, self.ascending) or not _fits(place, self.keys):
            raise InvalidCursor(
                "the cursor belongs to another order; begin without one after a change of sort or order"
            )
        return place


def _fits(place: Sequence[Any], keys: Sequence[str]) -> bool:
    """Whether the values of a place have the types of its keys."""
    texts = [key in ("job", "description_key") for key in keys]
    return len(place) == len(keys) and all(
        _is_text(value) if is_text else _is_number(value) for value, is_text in zip(place, texts, strict=True)
    )


def _is_text(value: object) -> bool:
    """Whether SQLite takes the value as text: UTF-8 has no halves of surrogate pairs, but JSON has."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_number(value: object) -> bool:
    """Whether SQLite takes the value as a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _pattern(text: str) -> str:
    """A LIKE pattern of a text that stands anywhere; the index holds case-folded text."""
    folded = text.casefold()
    for special in (_ESCAPE, "%", "_"):
        folded = folded.replace(special, f"{_ESCAPE}{special}")
    return f"%{folded}%"


def parse_statuses(text: str | None) -> tuple[SeriesStatus, ...]:
    """Statuses separated by commas; InvalidFilter for any other word."""
    return tuple(_known(word, _STATUSES, "status") for word in _words(text))


def parse_labels(text: str | None) -> tuple[Label, ...]:
    """Labels separated by commas; InvalidFilter for any other word."""
    return tuple(_known(word, LABELS, "label") for word in _words(text))


def _words(text: str | None) -> list[str]:
    return list(dict.fromkeys(text.split(","))) if text else []


def _known(word: str, words: Sequence[Word], name: str) -> Word:
    for known in words:
        if word == known:
            return known
    raise InvalidFilter(f"{name}={word[:64]!r} is unknown; it must be one of {', '.join(words)}")


def parse_since(text: str | None) -> str | None:
    """A date or time as the earliest time in UTC; InvalidFilter for any other text. A time without zone is UTC."""
    return _utc(text, "from", timedelta())


def parse_until(text: str | None) -> str | None:
    """A date or time as the time in UTC before which entries are; a date includes its day."""
    return _utc(text, "to", timedelta(days=1))


def _utc(text: str | None, name: str, end_of_date: timedelta) -> str | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == len("2026-01-31"):
            moment = datetime.combine(date.fromisoformat(text), time()) + end_of_date
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidFilter(f"{name} must be a date or time such as 2026-01-31 or 2026-01-31T08:00:00Z") from None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
