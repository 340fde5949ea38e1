"""The rule file: a site's TOML over the built-in rules of `default.toml`."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from unicodedata import combining, normalize

from pydantic import Field, ValidationError, field_validator

from services.common.schemas import Frozen, KernelKind

CLASSES: Final[Mapping[str, str]] = {
    "CT Image Storage": "1.2.840.10008.5.1.4.1.1.2",
    "Enhanced CT Image Storage": "1.2.840.10008.5.1.4.1.1.2.1",
    "Legacy Converted Enhanced CT Image Storage": "1.2.840.10008.5.1.4.1.1.2.2",
}
"""The SOP classes that can be assessed, by name (PS3.4 B.5)."""
DEFAULT: Final = Path(__file__).with_name("default.toml")
_KERNELS: Final = {"soft", "unknown", "sharp"}


class RuleFileError(ValueError):
    """A rule file that cannot be read; the message names file, place and remedy."""


class SeriesRules(Frozen):
    """Which series can be assessed, by the header of an image and their number."""

    modalities: tuple[str, ...] = Field(min_length=1)
    sop_classes: tuple[str, ...] = Field(min_length=1)
    body_part: Literal["any", "not other", "head"]
    axial: bool
    derived: bool
    min_images: int = Field(ge=1)
    max_localizer_images: int = Field(ge=0)

    @field_validator("sop_classes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in CLASSES]:
            raise ValueError(f"{unknown[0]!r} is no class of CT; the classes are {', '.join(map(repr, CLASSES))}")
        return names


class DescriptionRules(Frozen):
    """Regular expressions for descriptions."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]

    @field_validator("include", "exclude")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
            if any(map(combining, normalize("NFKD", pattern))):
                raise ValueError(f"{pattern!r} has accents: write it without, as descriptions are searched")
        return patterns


class PreferenceRules(Frozen):
    """Which series of a study is assessed."""

    one_per_study: bool
    kernels: tuple[KernelKind, ...]
    thickness_mm: float = Field(gt=0, allow_inf_nan=False)
    wait: bool

    @field_validator("kernels")
    @classmethod
    def _all(cls, kernels: tuple[KernelKind, ...]) -> tuple[KernelKind, ...]:
        if sorted(kernels) != sorted(_KERNELS):
            raise ValueError("list each of 'soft', 'unknown' and 'sharp' once, the better first")
        return kernels


class Rules(Frozen):
    """All rules."""

    series: SeriesRules
    description: DescriptionRules
    preference: PreferenceRules


def read_rules(path: Path | None) -> Rules:
    """The built-in rules, and in their place the values of a site's file.

    Raises
    ------
    RuleFileError
        the file cannot be read, or has an unknown name or a wrong value
    """
    default = tomllib.loads(DEFAULT.read_text())
    if path is None:
        return Rules.model_validate(default)
    try:
        site = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleFileError(f"{path}: {error}") from error
    if faults := list(_unknown_names(site, default)):
        raise RuleFileError(f"{path}: {'; '.join(faults)}")
    try:
        return Rules.model_validate({name: {**table, **site.get(name, {})} for name, table in default.items()})
    except ValidationError as error:
        raise RuleFileError(f"{path}: {'; '.join(map(_fault, error.errors()))}") from None


def rules_as_toml(rules: Rules) -> str:
    """Rules in the form of a rule file, which gives the same rules again."""
    # A JSON string is a TOML basic string (TOML 1.0, "String"), and so are numbers and lists of them.
    tables = (
        "\n".join((f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())))
        for name, table in rules.model_dump(mode="json").items()
    )
    return "\n\n".join(tables) + "\n"


def _unknown_names(site: Mapping[str, Any], default: Mapping[str, Any]) -> Iterator[str]:
    for name, table in site.items():
        if name not in default:
            yield f"unknown table [{name}]; the tables are {', '.join(f'[{known}]' for known in default)}"
        elif not isinstance(table, dict):
            yield f"{name} must be a table, [{name}]"
        else:
            listed = ", ".join(default[name])
            yield from (
                f"[{name}]: unknown name {key!r}; the names are {listed}" for key in table.keys() - default[name]
            )


def _fault(error: Any) -> str:
    table, *place = error["loc"]
    found = error["input"]
    return f"[{table}] {'.'.join(map(str, place))}: {error['msg'].removeprefix('Value error, ')}, not {found!r}"
