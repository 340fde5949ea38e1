"""A CycloneDX document for each dependency group: `cyclonedx-py` reads the lock, the licences are added."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.utils import canonicalize_name

from services.common.version import VERSION
from tests.running import ROOT
from tests.sbom.licences import Licences

if TYPE_CHECKING:
    from cyclonedx.validation.json import JsonStrictValidator

LOCKS: Final = ROOT / "requirements"
_SCHEMA: Final = "1.6"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? *\\?$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_OWN_LICENCE: Final = "Apache-2.0"


@dataclass(frozen=True)
class Pin:
    """A package of a lock. A lock for several platforms may have two versions of one."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]


def pins(group: str) -> list[Pin]:
    """All packages of a group's lock."""
    found = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", (LOCKS / f"{group}.txt").read_text()):
        first = block.splitlines()[0]
        if match := _PIN.match(first):
            name, version, marker = match.groups()
            hashes = frozenset(_HASH.findall(block))
            found.append(Pin(canonicalize_name(name), version, (marker or "").strip(), hashes))
    return found


def sbom(group: str, licences: Licences) -> dict[str, Any]:
    """The document of a group. The same lock and environment give the same document."""
    command = [str(Path(sys.executable).with_name("cyclonedx-py")), "requirements", str(LOCKS / f"{group}.txt")]
    options = ["--of", "JSON", "--sv", _SCHEMA, "--output-reproducible", "--no-validate"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    document["metadata"]["component"] = _own_component(group)
    markers = {(pin.name, pin.version): pin.marker for pin in pins(group)}
    for component in document["components"]:
        name = canonicalize_name(component["name"])
        component.pop("description", None)  # repeats the lines of the lock
        if expression := licences.of(name):
            component["licenses"] = [{"expression": expression}]
        properties = {
            "ich:marker": markers.get((name, component["version"])),
            "ich:bundled": licences.bundled.get(name),
        }
        component["properties"] = [{"name": key, "value": value} for key, value in properties.items() if value]
    return document


def _own_component(group: str) -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": f"ich-{group}",
        "name": f"ich-{group}",
        "version": VERSION,
        "licenses": [{"license": {"id": _OWN_LICENCE}}],
    }


def faults(group: str, document: dict[str, Any], licences: Licences) -> Iterator[str]:
    """A sentence for each fault: the schema, a package or hash of the lock that is missing, a licence."""
    if error := _validator().validate_str(json.dumps(document)):
        yield f"{group}: no valid CycloneDX {_SCHEMA}: {error}"
    yield from lock_faults(group, document, licences)


def lock_faults(group: str, document: dict[str, Any], licences: Licences) -> Iterator[str]:
    """As `faults`, without the schema, whose check takes seconds."""
    listed = {(canonicalize_name(each["name"]), each["version"]): each for each in document["components"]}
    for pin in pins(group):
        component = listed.pop((canonicalize_name(pin.name), pin.version), None)
        if component is None:
            yield f"{group}: {pin.name} {pin.version} of the lock is missing"
        else:
            yield from _faults_of(group, pin, component, licences)
    yield from (f"{group}: {name} {version} is not in the lock" for name, version in listed)


@cache
def _validator() -> "JsonStrictValidator":
    """Imported here: its grammars take seconds, and every test process collects this module."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    return JsonStrictValidator(SchemaVersion.from_version(_SCHEMA))


def _faults_of(group: str, pin: Pin, component: dict[str, Any], licences: Licences) -> Iterator[str]:
    found = {each["content"] for reference in component["externalReferences"] for each in reference["hashes"]}
    if not pin.hashes or found != pin.hashes:
        yield f"{group}: hashes of {pin.name} differ from the lock"
    if not component.get("licenses"):
        yield f"{group}: {pin.name} states no licence: write it into deploy/licences.toml"
    elif licences.refuses(pin.name):
        yield f"{group}: {pin.name} has {licences.of(pin.name)}: replace it, or give a reason in deploy/licences.toml"
