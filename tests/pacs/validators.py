"""Validators of DICOM objects by others: dciodvfy (dicom3tools) and PixelMed's DicomSRValidator."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

INSTALL: Final = "apt-get install dicom3tools pixelmed-apps default-jre-headless"
# The validator's style sheets exceed limits of newer Java runtimes for XPath.
_LIMITS: Final = tuple(f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprOp", "ExprGrp"))
_SR_VALIDATOR: Final = ("-Xss64m", *_LIMITS, "-cp", "/usr/share/java/*", "com.pixelmed.validate.DicomSRValidator")

# Parts of PixelMed's warnings, all "Content Item not in template": the templates are extensible.
KNOWN_WARNINGS: Final = {
    '"Measurement Group")/CODE (': "presence of the finding in the series, as a qualitative evaluation of TID 1501",
    'CONTAINER (18748-4,LN,"Diagnostic Imaging Report")/CONTAINER (': "sections of the text SR, which has no template",
}


def have_validators() -> bool:
    """Whether both are installed."""
    return bool(shutil.which("dciodvfy") and shutil.which("java") and Path("/usr/share/java/pixelmed.jar").exists())


def attribute_lines(path: Path) -> list[str]:
    """Errors and warnings of dciodvfy: modules, attributes and value representations."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, f"dciodvfy names no IOD; exit status {done.returncode}"
    return _findings(lines)


def template_lines(path: Path) -> list[str]:
    """Lines of PixelMed's validator about the content tree of an SR document: templates and context groups."""
    done = subprocess.run(["java", *_SR_VALIDATOR, str(path)], capture_output=True, text=True, check=False, timeout=120)
    lines = (done.stdout + done.stderr).splitlines()
    assert "IOD validation complete" in lines, lines[-20:]
    return _findings(lines)


def _findings(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith(("Error", "Warning"))]


def unknown(findings: Sequence[str]) -> list[str]:
    """Return errors, and warnings that have no known reason."""
    return [line for line in findings if line.startswith("Error") or not any(map(line.__contains__, KNOWN_WARNINGS))]
