"""`python -m tests.bench.index`: what an index of as many files as RSNA 2019 has costs in minutes and memory.

The archive that it writes has tiny files of 4 x 4 pixels, for the index reads no pixels; names, headers, the size of a
series and the table of labels are as in the challenge. Neighbours of a series are scattered over it, as they are there.
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

from tests.scans import ct_slice
from training.phantom.rsna_archive import ROWS
from training.rsna.archive import FOLDERS, ROOT, TABLE

TRAIN, TEST = 752_803, 121_232
SLICES_A_SERIES: Final = 34
STEP: Final = 0x9E3779B1  # odd, so that numbers times it are all different in 36 bits
GIB: Final = 1024**3
_MARKS: Final = {
    "SOP": "ID_" + 9 * "s",
    "Study": "ID_" + 10 * "t",
    "Series": "ID_" + 10 * "u",
    "Patient": "ID_" + 8 * "v",
}
_HEIGHT_MARK_MM: Final = "9999.5"


def main() -> None:
    """Write the archive in one process and index it in another, so that each one's memory is its own."""
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
    parser.add_argument("--share", type=float, default=1.0, help="of the challenge's files")
    parser.add_argument("--scratch", type=Path, help="folder for about 1 GB")
    parser.add_argument("--archive", type=Path, help="write the archive only")
    return parser.parse_args()


def _timed(what: str, command: list[str]) -> None:
    """Run a command and print its minutes and the most memory that it and its processes held at once."""
    begin = time.monotonic()
    process = subprocess.Popen(command)
    most = 0
    while process.poll() is None:
        most = max(most, _held_bytes(process.pid))
        time.sleep(1)
    if process.returncode:
        sys.exit(process.returncode)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, cpu = (time.monotonic() - begin) / 60, (children.ru_utime + children.ru_stime) / 60
    print(
        f"{what:20}{minutes:7.2f} min{cpu:9.2f} core-min so far{most / GIB:9.2f} GiB at most in all processes",
        flush=True,
    )


def _held_bytes(pid: int) -> int:
    """Proportional memory of a process and all below it: what they share is counted once."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        own = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, StopIteration):  # it has just ended
        return 0
    return own + sum(_held_bytes(int(child)) for child in below)


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
    """A slice with the challenge's attributes, and marks where the identifiers and the place of each will stand."""
    absent = ("ImageType", "BodyPartExamined", "KVP", "InstanceNumber", "SliceThickness")
    uids = {f"{level}InstanceUID": _MARKS[level] for level in ("SOP", "Study", "Series")}
    with disable_value_validation():  # the challenge's are no UIDs to pydicom
        return ct_slice(
            0,
            np.zeros((4, 4), np.int16),
            **dict.fromkeys(absent),
            **uids,
            PatientID=_MARKS["Patient"],
            ImagePositionPatient=[-125, -125, float(_HEIGHT_MARK_MM)],
        )


def _filled(template: bytes, number: int) -> bytes:
    series, place = divmod(number, SLICES_A_SERIES)
    for level, mark in _MARKS.items():
        own = _id(number if level == "SOP" else series, len(mark) - 3)
        template = template.replace(mark.encode(), own.encode())
    return template.replace(_HEIGHT_MARK_MM.encode(), f"{5 * place:06.1f}".encode())


def _rows(train: int) -> Iterator[str]:
    yield "ID,Label\n"
    for number in range(train):
        own, bleeds = _id(number, 9), number % 7 == 0
        yield "".join(f"{own}_{label},{int(bleeds and label in ('any', 'subdural'))}\n" for label in ROWS)


if __name__ == "__main__":
    os.nice(5)
    main()
