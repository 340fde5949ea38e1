"""Damaged DICOM files that look for code not reached before, by atheris (Linux).

    python -m tests.fuzz.guided --seconds 300

Starts from the same sound files as `tests.fuzz`. Pixels are decoded here only where that needs no decoder: a compressed
frame has a child process of its own, where coverage is not seen.
"""

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import atheris
import numpy as np
from numpy.typing import NDArray

with atheris.instrument_imports(include=["services.preprocess", "pydicom"]):
    from services.preprocess.dicom_file import open_dicom
    from services.preprocess.errors import IncompleteHeader, UnreadableFile
    from services.preprocess.pipeline import Pipeline
from tests.fuzz.memory import peak_bytes
from tests.fuzz.seeds import seeds

MAX_BYTES = 10**9
TIMEOUT_S = 20


class TooMuchMemory(Exception):
    """An input took more than the service may have."""


def read(data: bytes) -> None:
    """What preprocess does with a file's headers and its first frame; anything raised but a refusal is a fault."""
    Pipeline.read_headers([data], [len(data)])
    with suppress(UnreadableFile, IncompleteHeader):
        open_dicom(data).decode(0, _refuse)
    if (peak := peak_bytes()) > MAX_BYTES:
        raise TooMuchMemory(peak)


def _refuse(*_: object) -> NDArray[np.unsignedinteger]:
    raise UnreadableFile("corrupt_pixels")


def main() -> None:
    """Run until time or runs are used up; ends with an error at the first fault, which it writes to a file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided")
    parser.add_argument("--seconds", type=int, default=300, help="how long")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--faults", type=Path, default=Path(gettempdir()), help="where an input with a fault is written"
    )
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        for kind, files in seeds().items():
            for number, data in enumerate(files if kind.startswith("DICOM") else ()):
                Path(folder, f"{kind} {number}").write_bytes(data)
        limits = [f"-max_total_time={options.seconds}", f"-runs={options.runs}", f"-seed={options.seed}"]
        limits += ["-reload=0"]  # nobody else writes there, and what is read again would count among the runs
        # libFuzzer's own limit of memory asks for `ru_maxrss`; `read` asks for what this process has taken.
        limits += ["-rss_limit_mb=0", f"-timeout={TIMEOUT_S}", "-max_len=40000", f"-artifact_prefix={options.faults}/"]
        atheris.Setup([sys.argv[0], *limits, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
