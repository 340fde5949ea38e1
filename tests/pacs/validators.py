"""Validators of DICOM objects by others: dciodvfy (dicom3tools) and PixelMed's DicomSRValidator."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

INSTALL: Final = "apt-get install dicom3tools pixelmed-apps default-jre-headless"
_SR_VALIDATOR: Final = ("-Xss64m", "-cp", "/usr/share/java/*", "com.pixelmed.validate.DicomSRValidator")


def have_validators() -> bool:
    """Whether both are installed."""
    return bool(shutil.which("dciodvfy") and shutil.which("java") and Path("/usr/share/java/pixelmed.jar").exists())


def attributes(path: Path) -> list[str]:
    """Errors and warnings of dciodvfy: modules, attributes and value representations."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]


def templates(path: Path) -> list[str]:
    """Lines of PixelMed's validator about the content tree of an SR document: templates and context groups."""
    done = subprocess.run(["java", *_SR_VALIDATOR, str(path)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return (done.stdout + done.stderr).splitlines()


def errors(lines: Sequence[str]) -> list[str]:
    """Return the lines that report errors."""
    return [line for line in lines if line.startswith("Error")]
