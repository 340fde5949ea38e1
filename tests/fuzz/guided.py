"""Damaged DICOM files that look for code not reached before, by atheris (Linux).

    python -m tests.fuzz.guided --seconds 300

Starts from the same sound files as `tests.fuzz`. Pixels are decoded here only where that needs no decoder: a compressed
frame has a child process of its own, where coverage is not seen.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris
import numpy as np
from numpy.typing import NDArray

with atheris.instrument_imports(include=["services.preprocess", "pydicom"]):
    from services.preprocess.dicom import HeaderGoesOn, Unreadable, open_dicom
    from services.preprocess.pipeline import Pipeline
from tests.fuzz.seeds import seeds

MEMORY_MB = 1024
TIMEOUT_S = 20


def read(data: bytes) -> None:
    """What preprocess does with a file's headers and its first frame; anything raised but a refusal is a fault."""
    Pipeline.read_headers([data], [len(data)])
    try:
        open_dicom(data).image(0, _refuse)
    except (Unreadable, HeaderGoesOn):
        return


def _refuse(*_: object) -> NDArray[np.unsignedinteger]:
    raise Unreadable("corrupt_pixels")


def main() -> None:
    """Run until time or runs are used up; ends with an error at the first fault, which it writes to a file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided")
    parser.add_argument("--seconds", type=int, default=300, help="how long")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        for kind, files in seeds().items():
            for number, data in enumerate(files if kind.startswith("DICOM") else ()):
                Path(folder, f"{kind} {number}").write_bytes(data)
        limits = [f"-max_total_time={options.seconds}", f"-runs={options.runs}", f"-seed={options.seed}"]
        limits += [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={TIMEOUT_S}", "-max_len=40000"]
        atheris.Setup([sys.argv[0], *limits, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
