"""`python -m tests.bench.index`: minutes and memory of an index of as many files as RSNA 2019 has.

The synthetic archive has files of 4 x 4 pixels, since the index reads no pixels. Names, headers, length of series and
the table of labels are as in the challenge. The slices of a series are scattered over the archive, as there.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.config import disable_value_validation

from tests.running import pss_bytes
from tests.scans import ct_slice
from training.phantom.rsna_archive import ROWS
from training.rsna.archive import FOLDERS, ROOT, TABLE

TRAIN, TEST = 752_803, 121_232
SLICES_A_SERIES: Final = 34
STEP: Final = 0x9E3779B1  # odd, so that multiples are distinct modulo 2**36
GIB: Final = 1024**3
_PLACEHOLDERS: Final = {
    "SOP": "ID_" + 9 * "s",
    "Study": "ID_" + 10 * "t",
    "Series": "ID_" + 10 * "u",
    "Patient": "ID_" + 8 * "v",
}
_HEIGHT_PLACEHOLDER_MM: Final = "9999.5"


def main() -> None:
    """Write the archive and index it in separate processes, to measure the memory of each."""
    arguments = _arguments()
    if arguments.archive:
        _write(arguments.archive, arguments.share)
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        archive, out = Path(folder) / "tiny.zip", Path(folder) / "index.parquet"
        _timed(
            "archive written",
            [sys.executable, "-m", "tests.bench.index", "--archive", str(archive), "--share", str(arguments.share)],
        )
        _timed("index built", [sys.executable, "-m", "training", "index", str(archive), "--out", str(out)])
        _timed("index found done", [sys.executable, "-m", "training", "index", str(archive), "--out", str(out)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="part of the challenge's files, 0..1 (%(default)s)")
    parser.add_argument("--scratch", type=Path, help="folder with 1 GB of space")
    parser.add_argument("--archive", type=Path, help="write the archive only")
    return parser.parse_args()


def _timed(title: str, command: list[str]) -> None:
    """Run a command; print its minutes and the peak memory of all its processes."""
    begin = time.monotonic()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, pss_bytes(process.pid))
        time.sleep(1)
    if process.returncode:
        sys.exit(process.returncode)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, cpu = (time.monotonic() - begin) / 60, (children.ru_utime + children.ru_stime) / 60
    print(
        f"{title:20}{minutes:7.2f} min{cpu:9.2f} core-min so far{peak / GIB:9.2f} GiB peak of all processes",
        flush=True,
    )


def _write(path: Path, share: float) -> None:
    train, test = round(TRAIN * share), round(TEST * share)
    template = _template()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in _scattered(train):
            archive.writestr(f"{ROOT}/{FOLDERS['train']}/{_id(number, 9)}.dcm", _filled(template, number))
        for number in _scattered(test):
            archive.writestr(
                f"{ROOT}/{FOLDERS['test']}/{_id(train + number, 9)}.dcm", _filled(template, train + number)
            )
        archive.writestr(f"{ROOT}/{TABLE}", "".join(_rows(train)))


def _scattered(count: int) -> Iterator[int]:
    yield from (int(number) for number in np.random.default_rng(1).permutation(count))


def _id(number: int, digits: int) -> str:
    return f"ID_{number * STEP % (1 << 4 * digits):0{digits}x}"


def _template() -> bytes:
    """A slice with the challenge's attributes, and placeholders for identifiers and position."""
    absent = ("ImageType", "BodyPartExamined", "KVP", "InstanceNumber", "SliceThickness")
    uids = {f"{level}InstanceUID": _PLACEHOLDERS[level] for level in ("SOP", "Study", "Series")}
    with disable_value_validation():  # the challenge's identifiers are not valid UIDs
        return ct_slice(
            0,
            np.zeros((4, 4), np.int16),
            **dict.fromkeys(absent),
            **uids,
            PatientID=_PLACEHOLDERS["Patient"],
            ImagePositionPatient=[-125, -125, float(_HEIGHT_PLACEHOLDER_MM)],
        )


def _filled(template: bytes, number: int) -> bytes:
    series, index = divmod(number, SLICES_A_SERIES)
    for level, placeholder in _PLACEHOLDERS.items():
        identifier = _id(number if level == "SOP" else series, len(placeholder) - 3)
        template = template.replace(placeholder.encode(), identifier.encode())
    return template.replace(_HEIGHT_PLACEHOLDER_MM.encode(), f"{5 * index:06.1f}".encode())


def _rows(train: int) -> Iterator[str]:
    yield "ID,Label\n"
    for number in range(train):
        identifier, positive = _id(number, 9), number % 7 == 0
        yield "".join(f"{identifier}_{label},{int(positive and label in ('any', 'subdural'))}\n" for label in ROWS)


if __name__ == "__main__":
    os.nice(5)
    main()
