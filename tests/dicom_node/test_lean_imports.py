"""The node's own process reads headers without NumPy and the decoders."""

import subprocess
import sys
from pathlib import Path

from services.dicom_node.lean_imports import PACKAGES
from tests.running import ROOT

_SCRIPT = """
import sys
from services.dicom_node.lean_imports import keep_pixel_packages_out
keep_pixel_packages_out()
import services.dicom_node.app, pynetdicom, pydicom
print(pydicom.dcmread(sys.argv[1], stop_before_pixels=True).Modality)
print([name for name, module in sys.modules.items() if module and name.partition(".")[0] in sys.argv[2:]])
"""


def test_headers_are_read_without_packages_for_pixels() -> None:
    path = next(Path(ROOT, "samples", "series").glob("*.dcm"))
    command = [sys.executable, "-W", "error", "-c", _SCRIPT, str(path), *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["CT", "[]"]
