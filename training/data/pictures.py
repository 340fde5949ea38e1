"""Phantom studies as the pictures that the services would make of them, made on all cores and shrunk for the networks.

Nothing here needs TensorFlow: the processes that make pictures start quickly and stay small.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.resample import resample_and_pad
from services.preprocess.windowing import apply_windows
from training.io.pool import parallel_map
from training.networks.shrink import shrink
from training.phantom.geometry import SIZE
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyRequest

GRID = 32  # the lesion masks are kept as shares of blood on a grid of so many rows and columns
BRIGHT_HU = (50, 100)  # what one baseline counts
BRAIN_HU = (15, 50)  # and the other
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Slices of many studies, one study after another, each towards the head.

    small : (m, 256, 256, 2) uint8, what the CNN's graph makes first of a picture
    labels, label_mask : (m, 6) bool
    blood : (m, 32, 32, 5) uint8, share of each subtype, 255 being all
    position_mm : (m,) float32
    study : (m,) int32, the seed
    bright, brain : (m,) int32, pixels inside the skull from 50 to 100 HU and from 15 to 50 HU, for baselines
    """

    small: NDArray[np.uint8]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]
    blood: NDArray[np.uint8]
    position_mm: NDArray[np.float32]
    study: NDArray[np.int32]
    bright: NDArray[np.int32]
    brain: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.small)

    def series(self) -> list[slice]:
        """Where each study lies."""
        starts = np.flatnonzero(np.diff(self.study, prepend=-1))
        return [slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(self)], strict=True)]


def picture(hu: NDArray[np.int16], pixel_mm: float) -> NDArray[np.uint8]:
    """What the service shows the networks of one slice: (512, 512, 3) uint8."""
    return apply_windows(resample_and_pad(hu, pixel_mm, pixel_mm), DEFAULT_RECIPE)


def make(wanted: Sequence[StudyRequest], *, name: str) -> Pictures:
    """Make studies on all cores."""
    return joined(made_in_turn(wanted, name=name))


def made_in_turn(wanted: Sequence[StudyRequest], *, name: str) -> Iterator[Pictures]:
    """Make studies on all cores, and give each as soon as those before it were given."""
    yield from _with_progress(parallel_map(make_one, wanted), total=len(wanted), name=name)


def make_one(wanted: StudyRequest) -> Pictures:
    """Make one study in this process."""
    patient = draw_patient(wanted.seed, wanted.options)
    count = len(patient.scan.position_mm)
    chosen = np.arange(count)
    if wanted.slices is not None and wanted.slices < count:
        chosen = np.sort(np.random.default_rng([wanted.seed, 3]).choice(count, wanted.slices, replace=False))
    return shown(make_study(patient, [int(index) for index in chosen]), wanted.seed)


def shown(study: Study, seed: int) -> Pictures:
    """A study's pictures."""
    large = np.stack([picture(hu, study.scan.pixel_mm) for hu in study.hu])
    cells = study.masks.reshape(len(large), GRID, SIZE // GRID, GRID, SIZE // GRID, -1)
    return Pictures(
        small=shrink(large.astype(np.uint16)).astype(np.uint8),
        labels=study.labels,
        label_mask=study.label_mask,
        blood=np.rint(cells.mean(axis=(2, 4))).astype(np.uint8),
        position_mm=study.position_mm,
        study=np.full(len(large), seed, np.int32),
        bright=np.array([count_inside(slice_, BRIGHT_HU) for slice_ in large], np.int32),
        brain=np.array([count_inside(slice_, BRAIN_HU) for slice_ in large], np.int32),
    )


def count_inside(slice_: NDArray[np.uint8], between_hu: tuple[float, float]) -> int:
    """A baseline's score: how many pixels of a (512, 512, 3) picture lie between two HU inside the skull.

    Inside is what has bone (above 300 HU) on all four sides.
    """
    hu = slice_[..., 1].astype(np.float32) * (200 / 255) - 20
    bone = slice_[..., 0] > (300 + 800) * 255 / 2800
    inside = _between(bone) & _between(bone.T).T
    return int(((hu >= between_hu[0]) & (hu <= between_hu[1]) & inside).sum())


def _between(bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies from the first to the last true pixel of its row."""
    column, some = np.arange(bone.shape[1]), bone.any(axis=1)
    first = np.where(some, bone.argmax(axis=1), bone.shape[1])
    last = bone.shape[1] - 1 - bone[:, ::-1].argmax(axis=1)
    between: NDArray[np.bool_] = (column >= first[:, None]) & (column <= last[:, None])
    return between


def joined(parts: Iterable[Pictures]) -> Pictures:
    """Many parts as one."""
    every = list(parts)
    names = ("small", "labels", "label_mask", "blood", "position_mm", "study", "bright", "brain")
    return Pictures(**{name: np.concatenate([getattr(part, name) for part in every]) for name in names})


def _with_progress(parts: Iterator[Pictures], *, total: int, name: str) -> Iterator[Pictures]:
    start, slices = time.monotonic(), 0
    for done, part in enumerate(parts, 1):
        slices += len(part)
        if done % max(total // 10, 1) == 0 or done == total:
            spent = time.monotonic() - start
            left = spent / done * (total - done)
            LOG.info("%s: %d of %d studies, %.0f slices/s, %.0f s left", name, done, total, slices / spent, left)
        yield part
