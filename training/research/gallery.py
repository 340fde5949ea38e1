"""Pictures for docs/explanation/phantoms: phantoms, and their comparison with a real series."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from PIL import Image

from services.common.labels import SUBTYPES, Label
from training.data.real_series import read_series
from training.io.plotting import save_plot
from training.phantom.geometry import SIZE
from training.phantom.mimics import KINDS, with_contrast_agent
from training.phantom.study import Patient, draw_patient, make_study
from training.phantom.study_options import StudyOptions
from training.research.realism import EDGES_MM, HU_BINS, SliceStatistics, slice_statistics

LOG = logging.getLogger(__name__)
SEED: Final = 6_000_000  # outside the seeds of training and test phantoms
HEIGHTS_MM: Final = (-42, -28, -14, -2, 12, 26, 44, 60)
COMPARED: Final = 24  # phantoms in the curves
Hu = NDArray[Any]


def draw(folder: Path, real: Path | None) -> None:
    """Write all pictures; the comparison only with the folder of a real series."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet(folder / "anatomy.jpg", [_levels(draw_patient(SEED + n, StudyOptions((), mimic=False))) for n in range(5)])
    sheet(
        folder / "haemorrhages.jpg",
        [[_largest(_patient_with(SEED + 20 + n, kind)) for n in range(8)] for kind in SUBTYPES],
    )
    sheet(folder / "small.jpg", [[_largest(patient) for patient in islice(_small(kind), 8)] for kind in SUBTYPES])
    sheet(folder / "mimics.jpg", _mimics())
    sheet(folder / "acquisition.jpg", [_scanners("noise_hu"), _scanners("blur_pixels"), _scanners("glow_hu")])
    sheet(folder / "study.jpg", _study(SEED + 300))
    if real:
        _compare(folder, real)


def sheet(path: Path, rows: Sequence[Sequence[Hu]]) -> None:
    """Slices side by side in the brain window, at half size."""
    picture = np.concatenate([np.concatenate([_shown(hu) for hu in row], axis=1) for row in rows], axis=0)
    Image.fromarray(picture).save(path, quality=72, optimize=True)
    LOG.info("%s: %.0f kB", path, path.stat().st_size / 1000)


def _shown(hu: Hu) -> NDArray[np.uint8]:
    small = np.asarray(Image.fromarray(np.clip(hu, 0, 80).astype(np.float32)).resize((SIZE // 2, SIZE // 2), 4))
    return (small * (255 / 80)).astype(np.uint8)


def _levels(patient: Patient) -> list[Hu]:
    places = np.array(patient.scan.position_mm)
    return list(make_study(patient, [int(np.abs(places - height).argmin()) for height in HEIGHTS_MM]).hu)


def _patient_with(seed: int, kind: Label, *, small: float = 0.0) -> Patient:
    return draw_patient(seed, StudyOptions(kinds=(kind,), mimic=False, small=small))


def _small(kind: Label) -> Iterator[Patient]:
    """Patients with a haemorrhage that the option `small` made smaller."""
    for seed in count(SEED + 500):
        patient = _patient_with(seed, kind, small=0.5)
        if patient.haemorrhages != _patient_with(seed, kind).haemorrhages:
            yield patient


def _largest(patient: Patient) -> Hu:
    """The slice with most blood."""
    study = make_study(patient)
    largest: Hu = study.hu[int(study.masks.sum(axis=(1, 2, 3), dtype=np.int64).argmax())]
    return largest


def _mimics() -> list[list[Hu]]:
    """The slice that each mimic changes most, two of each kind."""
    every = []
    for number, kind in enumerate(dict.fromkeys(KINDS)):
        for turn in range(2):
            plain = draw_patient(SEED + 100 + number, StudyOptions((), mimic=False))
            mimics = plain.mimics + kind(np.random.default_rng(10 * number + turn), plain.skull)
            skull = replace(plain.skull, holes=mimics.holes)
            changed = make_study(
                replace(plain, skull=skull, mimics=mimics, brain=with_contrast_agent(plain.brain, mimics))
            )
            difference = np.abs(changed.hu.astype(np.int32) - make_study(plain).hu).clip(0, 60)
            every.append(changed.hu[int(difference.sum(axis=(1, 2)).argmax())])
    width = len(every) // 2
    return [every[:width], every[width:]]


def _scanners(name: str) -> list[Hu]:
    """One slice by eight scanners that differ in one parameter."""
    ranges = {"noise_hu": (1.2, 8), "blur_pixels": (0.35, 1.5), "glow_hu": (0, 220)}
    patient = draw_patient(SEED + 200, StudyOptions((), mimic=False))
    middle = len(patient.scan.position_mm) // 2
    values = [float(value) for value in np.linspace(*ranges[name], 8)]
    # A dictionary of keywords has one type of value to mypy, a scanner has several.
    scanners = [replace(patient.scanner, **{name: value}) for value in values]  # type: ignore[arg-type]
    return [make_study(replace(patient, scanner=scanner), [middle]).hu[0] for scanner in scanners]


def _study(seed: int) -> list[list[Hu]]:
    patient = draw_patient(seed, StudyOptions(kinds=("subarachnoid", "intraventricular")))
    chosen = np.linspace(0, len(patient.scan.position_mm) - 1, 24).astype(int)
    slices = list(make_study(patient, [int(index) for index in chosen]).hu)
    return [slices[start : start + 8] for start in range(0, 24, 8)]


def _compare(folder: Path, real: Path, phantoms: int = COMPARED) -> None:
    slices, pixel_mm = read_series(real).reduced()
    chosen = [slices[int(place)] for place in np.linspace(0.2, 0.92, 8) * (len(slices) - 1)]
    beside = [_levels(draw_patient(SEED + n, StudyOptions((), mimic=False))) for n in (1, 3)]
    sheet(folder / "comparison.jpg", [chosen, *beside])
    real_slices = [look for hu in slices if (look := slice_statistics(hu, pixel_mm))]
    phantom_slices = []
    for number in range(phantoms):
        patient = draw_patient(SEED + 400 + number, StudyOptions((), mimic=False))
        phantom_slices += [
            look for hu in _levels(patient)[3:7] if (look := slice_statistics(hu, patient.scan.pixel_mm))
        ]
    _plot(folder / "comparison.svg", real_slices, phantom_slices)
    for name, looks in (("real", real_slices), ("phantoms", phantom_slices)):
        low, noise, high = np.quantile([look.noise_hu for look in looks], [0.1, 0.5, 0.9])
        border = np.nanmedian([look.border_hu for look in looks], axis=0)
        LOG.info("%s: %d slices, noise %.1f HU (%.1f to %.1f)", name, len(looks), noise, low, high)
        LOG.info("%s: border %s HU at %s mm", name, np.round(border, 1).tolist(), EDGES_MM[1:])


def _plot(path: Path, real_slices: Sequence[SliceStatistics], phantom_slices: Sequence[SliceStatistics]) -> None:
    """Plot the medians of both, and the 10th to 90th percentile of the phantoms."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    spread = np.arange(0, 0.5, 1 / 32)
    parts = (
        (left, "border_hu", np.array(EDGES_MM[1:]), "mm from the inner table", "median HU"),
        (middle, "histogram", (HU_BINS[:-1] + HU_BINS[1:]) / 2, "HU of the brain's core", "share of pixels"),
        (right, "spectrum", spread, "cycles a pixel", "share of the noise's power"),
    )
    for axes, name, x, xlabel, ylabel in parts:
        low, median, high = np.nanquantile([getattr(look, name) for look in phantom_slices], [0.1, 0.5, 0.9], axis=0)
        axes.fill_between(x, low, high, alpha=0.25, color="tab:blue", linewidth=0)
        axes.plot(x, median, color="tab:blue", label="phantoms")
        real = np.nanmedian([getattr(look, name) for look in real_slices], axis=0)
        axes.plot(x, real, color="black", label="a real series")
        axes.set(xlabel=xlabel, ylabel=ylabel)
    left.set_ylim(0, 120)
    left.legend(frameon=False)
    save_plot(figure, path)
    LOG.info("%s", path)
