"""Coverage-guided fuzzing of DICOM headers and uncompressed pixels, by atheris (Linux).

    python -m tests.fuzz.guided --seconds 300

Starts from the same valid files as `tests.fuzz`. Compressed frames are not decoded: a child process does it, whose
coverage is not measured.
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
    """An input exceeded the service's memory limit."""


def read(data: bytes) -> None:
    """Read a file's header and first frame as preprocess does; any exception except a refusal is a fault."""
    Pipeline.read_headers([data], [len(data)])
    with suppress(UnreadableFile, IncompleteHeader):
        open_dicom(data).decode(0, _refuse)
    if (peak := peak_bytes()) > MAX_BYTES:
        raise TooMuchMemory(peak)


def _refuse(*_: object) -> NDArray[np.unsignedinteger]:
    raise UnreadableFile("corrupt_pixels")


def main() -> None:
    """Run until the limit of time or inputs; the first fault is written to a file and ends the run with an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided")
    parser.add_argument("--seconds", type=int, default=300, help="limit of time")
    parser.add_argument("--runs", type=int, default=-1, help="limit of inputs; -1 for none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=Path, default=Path(gettempdir()), help="folder for an input with a fault")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        for kind, files in seeds().items():
            for number, data in enumerate(files if kind.startswith("DICOM") else ()):
                Path(folder, f"{kind} {number}").write_bytes(data)
        limits = [f"-max_total_time={options.seconds}", f"-runs={options.runs}", f"-seed={options.seed}"]
        limits += ["-reload=0"]  # no other process writes there, and reloads would count as runs
        # libFuzzer's own memory limit uses `ru_maxrss`, which a parent raises; `read` measures this process.
        limits += ["-rss_limit_mb=0", f"-timeout={TIMEOUT_S}", "-max_len=40000", f"-artifact_prefix={options.faults}/"]
        atheris.Setup([sys.argv[0], *limits, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
