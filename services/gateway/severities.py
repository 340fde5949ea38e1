"""A site's severities of the rules of acceptance: a TOML file, read once at start.

[severity]
other_body_part = "warn"
contrast = "refuse"
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args

from services.common.rules import RULES
from services.common.schemas import Reason, Severity

Severities = Mapping[str, Severity]
DEFAULT_SEVERITIES: Final[Severities] = MappingProxyType({})
_KNOWN: Final = get_args(Severity)


def read_severities(path: Path | None) -> Severities:
    """A site's severities by code; DEFAULT_SEVERITIES without a file.

    Raises
    ------
    ValueError
        the file cannot be read, has an unknown table, code or severity, or lowers a fixed refusal
    """
    if path is None:
        return DEFAULT_SEVERITIES
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    table = document.get("severity", {})
    if set(document) - {"severity"} or not isinstance(table, dict):
        raise ValueError(f"{path}: the only table is [severity]")
    if faults := [fault for code, severity in table.items() if (fault := _fault(code, severity))]:
        raise ValueError(f"{path}: {'; '.join(faults)}")
    return MappingProxyType(table)


def apply_severities(reasons: Iterable[Reason], severities: Severities) -> tuple[Reason, ...]:
    """Reasons with a site's severities; idempotent."""
    return tuple(item.model_copy(update={"severity": severities.get(item.code, item.severity)}) for item in reasons)


def _fault(code: str, severity: Any) -> str:
    """The fault of one line of the table; empty if it is valid."""
    if code not in RULES:
        return f"there is no rule {code}; rules are {', '.join(sorted(RULES))}"
    if severity not in _KNOWN:
        return f"{code} is {severity!r}; it must be one of {', '.join(_KNOWN)}"
    if RULES[code].fixed and severity != RULES[code].severity:
        return f"{code} cannot be lowered: a score needs pixels and an order of slices"
    return ""
