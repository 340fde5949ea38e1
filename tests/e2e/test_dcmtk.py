"""Files that dcmtk writes: another DICOM implementation altogether, and its own JPEG codecs with 12 bits."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.preprocess.corpus import Entry, judge, table
from tests.preprocess.dicom_files import dataset, head_hu, written
from tests.preprocess.gdcm_files import eight_bits

pytestmark = pytest.mark.e2e
LOSSLESS = {
    "implicit little endian": ["dcmconv", "+ti"],
    "explicit little endian": ["dcmconv", "+te"],
    "big endian": ["dcmconv", "+tb"],
    "RLE": ["dcmcrle"],
    "JPEG lossless, predictor 1": ["dcmcjpeg", "+e1"],
    "JPEG lossless, predictor 5": ["dcmcjpeg", "+el", "+sv", "5"],
    "JPEG-LS": ["dcmcjpls", "+el"],
}
# With the error that is allowed, in Hounsfield units.
LOSSY = {
    "JPEG extended, 12 bits": (["dcmcjpeg", "+ee", "+q", "95"], 16),
    "JPEG-LS near lossless": (["dcmcjpls", "+en", "+md", "2"], 2),
}


def _by_dcmtk(folder: Path, command: list[str], file: bytes) -> bytes:
    assert shutil.which(command[0]), "dcmtk is needed: apt-get install dcmtk"
    (folder / "in.dcm").write_bytes(file)
    subprocess.run([*command, folder / "in.dcm", folder / "out.dcm"], check=True, capture_output=True)
    return (folder / "out.dcm").read_bytes()


def test_what_dcmtk_writes_is_read_right(tmp_path: Path) -> None:
    file, hu = written(dataset()), head_hu()
    entries = [Entry(name, _by_dcmtk(tmp_path, command, file), hu) for name, command in LOSSLESS.items()]
    entries += [Entry(name, _by_dcmtk(tmp_path, command, file), hu, error) for name, (command, error) in LOSSY.items()]
    baseline = _by_dcmtk(tmp_path, ["dcmcjpeg", "+eb", "+q", "95"], written(eight_bits()))
    fates = judge([*entries, Entry("JPEG baseline", baseline)])
    print(table(fates))
    assert [fate for fate in fates if fate.kind != "right"] == []


def test_what_dcmtk_deflates_is_refused(tmp_path: Path) -> None:
    (fate,) = judge([Entry("deflated", _by_dcmtk(tmp_path, ["dcmconv", "+td"], written(dataset())))])
    assert (fate.kind, fate.code) == ("refused", "unsupported_syntax")
