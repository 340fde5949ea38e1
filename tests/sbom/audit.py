"""`python -m tests.sbom.audit`: asks a database of vulnerabilities (`pip-audit`) about every locked package.

Exits with 1 for a known vulnerability, and with 3 where the database is not reachable: then nothing was audited.
`pip-audit` itself passes where a mirror of the package index knows no vulnerabilities. So a version with known ones is
asked about too, and must be found.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.sbom.documents import LOCKS

UNREACHABLE: Final = 3
CANARY: Final = ("urllib3", "1.24")  # CVE-2019-11324 and others
_LIMIT_S: Final = 300


def main() -> int:
    """Audit requirements/all.txt: 0 where no package has a known vulnerability."""
    with tempfile.TemporaryDirectory() as name:
        canary = Path(name) / "canary.txt"
        canary.write_text("==".join(CANARY) + "\n")
        if not answers(report(canary, "--no-deps")):
            return _unreachable("its answer for urllib3 1.24 names no vulnerability")
    found = report(LOCKS / "all.txt", "--require-hashes")
    if found is None:
        return _unreachable("it gave no answer for requirements/all.txt")
    lines = [*unaudited(found), *vulnerable(found)]
    print("\n".join(lines) or "No locked package has a known vulnerability.")
    return 1 if lines else 0


def report(requirements: Path, *options: str) -> Mapping[str, Any] | None:
    """pip-audit's report as JSON; None where it has none."""
    command = [str(Path(sys.executable).with_name("pip-audit")), "-r", str(requirements), "--disable-pip", *options]
    output = ["--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run([*command, *output], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        found: Mapping[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return found


def answers(canary: Mapping[str, Any] | None) -> bool:
    """Whether the database knows the vulnerabilities of the canary."""
    return canary is not None and any(package.get("vulns") for package in canary["dependencies"])


def unaudited(found: Mapping[str, Any]) -> Iterator[str]:
    """A line for each package that was skipped."""
    for package in found["dependencies"]:
        if reason := package.get("skip_reason"):
            yield f"{package['name']} was not audited: {reason}"


def vulnerable(found: Mapping[str, Any]) -> Iterator[str]:
    """A line for each vulnerability."""
    for package in found["dependencies"]:
        for each in package.get("vulns", ()):
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}"


def _unreachable(why: str) -> int:
    print(f"Dependencies were not audited: the database of vulnerabilities is not reachable; {why}.")
    return UNREACHABLE


if __name__ == "__main__":
    sys.exit(main())
