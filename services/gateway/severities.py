"""What a site says about how grave each rule is: one TOML file, read once at start.

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
    """A site's severities by code; none without a file.

    Raises
    ------
    ValueError
        the file can't be read, names a code or a severity that nobody knows, or lowers a refusal that is fixed
    """
    if path is None:
        return DEFAULT_SEVERITIES
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    table = document.get("severity", {})
    if set(document) - {"severity"} or not isinstance(table, dict):
        raise ValueError(f"{path}: one table is known here, [severity]")
    if faults := [fault for code, severity in table.items() if (fault := _fault(code, severity))]:
        raise ValueError(f"{path}: {'; '.join(faults)}")
    return MappingProxyType(table)


def apply_severities(reasons: Iterable[Reason], severities: Severities) -> tuple[Reason, ...]:
    """Reasons with a site's severities; judging twice changes nothing."""
    return tuple(item.model_copy(update={"severity": severities.get(item.code, item.severity)}) for item in reasons)


def _fault(code: str, severity: Any) -> str:
    """What is wrong with one line of the table; nothing, if it is right."""
    if code not in RULES:
        return f"no rule is called {code}; they are {', '.join(sorted(RULES))}"
    if severity not in _KNOWN:
        return f"{code} is {severity!r}, not one of {', '.join(_KNOWN)}"
    if RULES[code].fixed and severity != RULES[code].severity:
        return f"{code} can't be lowered: without pixels, or without an order of slices, there is nothing to score"
    return ""
