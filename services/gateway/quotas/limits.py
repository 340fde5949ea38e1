"""The limits of each sender: the site's settings, and a TOML file for single senders, read once at start.

[senders.modality-1]
jobs = 200
bytes = 2_000_000_000_000
series = "none"
requests_per_minute = 6000
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from services.common.clients import SENDER_ID
from services.gateway.quotas.settings import QuotaSettings

Quota = Literal["jobs", "bytes", "series"]
QUOTAS: Final[tuple[Quota, ...]] = get_args(Quota)
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """Limits of a sender; None for no limit."""

    jobs: int | None = None
    bytes: int | None = None
    series: int | None = None
    requests_per_minute: int | None = None

    @property
    def of_jobs(self) -> bool:
        """Whether a limit concerns jobs."""
        return any(getattr(self, quota) is not None for quota in QUOTAS)


_NAMES: Final = tuple(one.name for one in fields(SenderLimits))


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of all senders."""

    default: SenderLimits
    by_sender: Mapping[str, SenderLimits] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: QuotaSettings) -> Self:
        """The limits of a site's settings.

        Raises
        ------
        ValueError
            the file cannot be read, or has an unknown table, a wrong sender or a wrong limit
        """
        default = SenderLimits(*(getattr(settings, f"quota_{name}") for name in _NAMES))
        if settings.quota_file is None:
            return cls(default)
        tables = _tables(settings.quota_file)
        faults = [fault for sender, table in tables.items() for fault in _faults(sender, table)]
        if faults:
            raise ValueError(f"{settings.quota_file}: {'; '.join(faults)}")
        return cls(default, {sender: replace(default, **_values(table)) for sender, table in tables.items()})

    def of(self, sender: str) -> SenderLimits:
        """The limits of a sender."""
        return self.by_sender.get(sender, self.default)

    @property
    def rates(self) -> bool:
        """Whether any sender has a rate limit."""
        return any(one.requests_per_minute for one in (self.default, *self.by_sender.values()))


def _tables(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    tables = document.get("senders", {})
    if set(document) - {"senders"} or not isinstance(tables, dict):
        raise ValueError(f"{path}: the only tables are [senders.ID]")
    return tables


def _faults(sender: str, table: Any) -> list[str]:
    """The faults of a sender's table."""
    if not SENDER_ID.fullmatch(sender) or not isinstance(table, dict):
        return [f"{sender!r} must be the id of a sender, with a table"]
    unknown = [f"{sender}: there is no limit {name}; limits are {', '.join(_NAMES)}" for name in set(table) - {*_NAMES}]
    wrong = [name for name, value in table.items() if value != _NONE and (type(value) is not int or value < 1)]
    return unknown + [f'{sender}: {name} must be a number of 1 or more, or "none"' for name in wrong]


def _values(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value == _NONE else value for name, value in table.items()}
