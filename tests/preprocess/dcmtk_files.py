"""Files written by dcmtk: another DICOM implementation, with its own 12-bit JPEG codecs."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.preprocess.dicom_files import Entry, dataset, head_hu, written
from tests.preprocess.gdcm_files import eight_bits

LOSSLESS = {
    "implicit little endian": ["dcmconv", "+ti"],
    "explicit little endian": ["dcmconv", "+te"],
    "big endian": ["dcmconv", "+tb"],
    "RLE": ["dcmcrle"],
    "JPEG lossless, predictor 1": ["dcmcjpeg", "+e1"],
    "JPEG lossless, predictor 5": ["dcmcjpeg", "+el", "+sv", "5"],
    "JPEG-LS": ["dcmcjpls", "+el"],
}
# With the tolerance in Hounsfield units.
LOSSY = {
    "JPEG extended, 12 bits": (["dcmcjpeg", "+ee", "+q", "95"], 16),
    "JPEG-LS near lossless": (["dcmcjpls", "+en", "+md", "2"], 2),
}


def is_installed() -> bool:
    """Whether dcmtk is installed."""
    return shutil.which("dcmcjpeg") is not None


def written_by_dcmtk(command: Sequence[str], file: bytes) -> bytes:
    """A file rewritten by a program of dcmtk."""
    with TemporaryDirectory() as folder:
        before, after = Path(folder, "in.dcm"), Path(folder, "out.dcm")
        before.write_bytes(file)
        subprocess.run([*command, before, after], check=True, capture_output=True)
        return after.read_bytes()


def by_dcmtk() -> list[Entry]:
    """The slice in every syntax that dcmtk writes; none where dcmtk is not installed."""
    if not is_installed():
        return []
    file, hu = written(dataset()), head_hu()
    lossless = [Entry(f"dcmtk {name}", written_by_dcmtk(command, file), hu) for name, command in LOSSLESS.items()]
    lossy = [
        Entry(f"dcmtk {name}", written_by_dcmtk(command, file), hu, error) for name, (command, error) in LOSSY.items()
    ]
    baseline = written_by_dcmtk(["dcmcjpeg", "+eb", "+q", "95"], written(eight_bits()))
    return [*lossless, *lossy, Entry("dcmtk JPEG baseline", baseline)]
