"""Preprocesses files and prints the results: `python -m services.preprocess FILE_OR_FOLDER [--sheet out.png]`.

Prints each series with its reasons and evidence, and the files set aside. The exit code is 1 if no series would be
assessed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from PIL import Image

from services.common.acceptance import is_refused, pixel_reasons
from services.common.file_codes import describe_file_code
from services.common.recipe import DEFAULT_RECIPE
from services.common.schemas import Evidence, SeriesHeader
from services.common.series_selection import select_best_series
from services.common.sop_instances import classify_shared_files, files_sharing_instances
from services.preprocess.pipeline import Pipeline, Slices

_SHEET_COLUMNS: Final = 8
_SHEET_SIDE: Final = 192


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the files, print the results, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.preprocess", description="Print the series in files.")
    parser.add_argument("path", type=Path, help="a file, or a folder that is searched recursively")
    parser.add_argument("--sheet", type=Path, help="path of a PNG contact sheet of the windowed slices")
    options = parser.parse_args(arguments)
    paths = sorted(path for path in [options.path, *options.path.rglob("*")] if path.is_file())
    if not paths:
        parser.error(f"no file at {options.path}")
    paths = _without_copies(paths)
    files = [path.read_bytes() for path in paths]
    with Pipeline(DEFAULT_RECIPE, os.cpu_count() or 1) as pipeline:
        report = pipeline.read_headers(files, [len(file) for file in files])
        made = [_slices(pipeline, files, series) for series in report.series]
    assessed = [_print_series(series, slices) for series, slices in zip(report.series, made, strict=True)]
    _print_best(report.series)
    for aside in report.set_aside:
        print(f"set aside  {paths[aside.file]}: {describe_file_code(aside.code, aside.tag)}")
    if options.sheet and made:
        _sheet(np.concatenate([slices.slices for slices in made])).save(options.sheet)
    return 0 if any(assessed) else 1


def _without_copies(paths: Sequence[Path]) -> list[Path]:
    """The files without copies of one instance, which are printed."""
    files = [path.read_bytes() for path in paths]
    report = Pipeline.read_headers(files, [len(file) for file in files])
    shared = [numbers for series in report.series for numbers in files_sharing_instances(series)]
    copies = {
        later: first
        for first, later in classify_shared_files(shared, lambda first, later: files[first] == files[later]).copies
    }
    for later, first in sorted(copies.items()):
        print(f"duplicate  {paths[later]}: a copy of {paths[first]}; it counts once")
    return [path for number, path in enumerate(paths) if number not in copies]


def _slices(pipeline: Pipeline, files: Sequence[bytes], series: SeriesHeader) -> Slices:
    frames = np.array([(item.file, item.frame) for item in series.items], dtype=np.int32)
    return pipeline.make_slices(files, frames)


def _print_series(series: SeriesHeader, made: Slices) -> bool:
    """Print one series, and return whether it would be assessed."""
    failed = [item for item in made.evidence if item.failed]
    measured = [item for item in made.evidence if not item.failed]
    reasons = [*series.reasons, *(pixel_reasons(measured, headwards=series.uid is not None) if measured else [])]
    first, last = series.position_mm[0], series.position_mm[-1]
    print(f"series     {series.uid or 'pictures'}")
    print(f"  slices   {len(series.items)}, {first:g} to {last:g} mm{_spacing(series.position_mm)}")
    thickness = f"{series.thickness_mm:g} mm" if series.thickness_mm else "unknown"
    print(f"  scan     kernel {series.kernel}, thickness {thickness}, {'contrast' if series.contrast else 'plain'}")
    print(f"  evidence {_shares(measured)}")
    for code in sorted({item.failed or "" for item in failed}):
        print(f"  failed   {sum(item.failed == code for item in failed)} slices: {describe_file_code(code)}")
    for reason in reasons:
        print(f"  {reason.severity:8} {reason.code}: {reason.detail}")
    conflicts = sum(map(len, files_sharing_instances(series)))
    if conflicts:
        print(f"  failed   {conflicts} files have the SOPInstanceUID of another file and differ from it")
    assessed = not failed and not conflicts and not is_refused(reasons)
    print(f"  verdict  {'assessed' if assessed else 'not assessed'}")
    return assessed


def _print_best(series: Sequence[SeriesHeader]) -> None:
    """Print the series to assess of each study with several series."""
    for study in sorted({item.study_uid or "" for item in series}):
        if best := select_best_series([item for item in series if item.study_uid == study]):
            print(f"best       {best.uid}: {best.reason}")


def _spacing(position_mm: Sequence[float]) -> str:
    steps = np.diff(position_mm)
    return f", every {median(steps):.2f} mm" if len(steps) else ""


def _shares(evidence: Sequence[Evidence]) -> str:
    """The median shares over a series."""
    if not evidence:
        return "none"
    shares = {part: median(getattr(item, part) for item in evidence) for part in ("bone", "brain", "air")}
    centre_air = median(item.centre_air for item in evidence)
    return f"{', '.join(f'{part} {share:.1%}' for part, share in shares.items())}; amid the bone {centre_air:.0%} air"


def _sheet(slices: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    """A contact sheet of (n, 512, 512, 3) uint8 slices, row by row."""
    sheet = Image.new("RGB", (_SHEET_COLUMNS * _SHEET_SIDE, ceil(len(slices) / _SHEET_COLUMNS) * _SHEET_SIDE))
    for index, pixels in enumerate(slices):
        row, column = divmod(index, _SHEET_COLUMNS)
        small = Image.fromarray(pixels).resize((_SHEET_SIDE, _SHEET_SIDE), Image.Resampling.BILINEAR)
        sheet.paste(small, (column * _SHEET_SIDE, row * _SHEET_SIDE))
    return sheet


if __name__ == "__main__":
    sys.exit(main())
