"""The licence of each locked package as an SPDX expression, and whether it is allowed."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Any, Final, Self

from license_expression import AND, OR, get_spdx_licensing
from packaging.utils import canonicalize_name

from tests.running import ROOT

TABLE: Final = ROOT / "deploy" / "licences.toml"
_SPDX: Final = get_spdx_licensing()
_GNU_LIBRARY: Final = re.compile(r"(libgfortran|libquadmath|libgomp|libgcc|libstdc)[^/]*\.so")
_SHORT: Final = 40  # longer ones are the text of a licence
# Classifiers and free texts that name one licence. A family such as "BSD License" names none.
_NAMES: Final = {
    "Apache": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True)
class Licences:
    """Licences by package: those of deploy/licences.toml first, else those of the installed metadata."""

    allowed: Sequence[str]
    stated: Mapping[str, str]
    exceptions: Mapping[str, str]
    bundled: Mapping[str, str]
    installed: Mapping[str, str]

    @classmethod
    def read(cls) -> Self:
        """From the table and the environment."""
        table = tomllib.loads(TABLE.read_text())
        found = {canonicalize_name(each.metadata["Name"]): expression_of(each.metadata) for each in distributions()}
        stated = {str(name): text for name, text in found.items() if text}
        return cls(table["allowed"], table["stated"], table["exceptions"], table["bundled"], stated)

    def of(self, package: str) -> str | None:
        """SPDX expression of a package's licence; None where neither source states one."""
        return self.stated.get(package) or self.installed.get(package)

    def refuses(self, package: str) -> bool:
        """Whether a package's licence is missing, or not allowed and no exception."""
        expression = self.of(package)
        if expression is None:
            return True
        return package not in self.exceptions and not self._allows(_SPDX.parse(expression))

    def _allows(self, expression: Any) -> bool:
        """Of `AND` all parts must be allowed, of `OR` one."""
        if isinstance(expression, AND):
            return all(map(self._allows, expression.args))
        if isinstance(expression, OR):
            return any(map(self._allows, expression.args))
        return str(expression) in self.allowed


def expression_of(metadata: Any) -> str | None:
    """SPDX expression in a package's metadata (PEP 639), or from its classifiers, or its short free text."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = metadata.get_all("Classifier") or []
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    known = sorted({_NAMES[name] for name in names if name in _NAMES})
    text = (metadata.get("License") or "").strip()
    return " AND ".join(known) or _NAMES.get(text) or (text if _is_spdx(text) else None)


def _is_spdx(text: str) -> bool:
    return 0 < len(text) < _SHORT and not _SPDX.validate(text).errors


def gnu_libraries() -> dict[str, set[str]]:
    """Names of the GNU libraries in installed wheels, by package."""
    found: dict[str, set[str]] = {}
    for each in distributions():
        for file in each.files or ():
            if match := _GNU_LIBRARY.match(file.name):
                found.setdefault(canonicalize_name(each.metadata["Name"]), set()).add(match[1])
    return found
