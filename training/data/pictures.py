"""Phantom studies as the pictures that the services would make, made on all cores and shrunk for the networks.

Nothing here imports TensorFlow: the worker processes start quickly and stay small.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.resample import resample_and_pad
from services.preprocess.windowing import apply_windows
from training.io.pool import parallel_map
from training.phantom.geometry import SIZE
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyRequest

GRID: Final = 32  # rows and columns of the map of blood
BRIGHT_HU: Final = (50, 100)  # counted by one baseline
BRAIN_HU: Final = (15, 50)  # counted by the other
BONE_HU: Final = 300
BONE_WINDOW, SUBDURAL_WINDOW = DEFAULT_RECIPE.windows[:2]
LOG = logging.getLogger(__name__)


class Sized(Protocol):
    """Anything with a number of slices."""

    def __len__(self) -> int: ...


S = TypeVar("S", bound=Sized)
P = TypeVar("P", bound="Pictures")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Slices of many studies, one study after another, each towards the head.

    small : (m, 256, 256, 2) uint8, the pictures shrunk as in the CNN's graph
    labels, label_mask : (m, 6) bool
    blood : (m, 32, 32, 5) uint8, share of each subtype; 255 is all of a cell
    position_mm : (m,) float32
    study : (m,) int32, the seed
    """

    small: NDArray[np.uint8]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]
    blood: NDArray[np.uint8]
    position_mm: NDArray[np.float32]
    study: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.small)

    def series(self) -> list[slice]:
        """The slices of each study."""
        starts = np.flatnonzero(np.diff(self.study, prepend=-1))
        return [slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(self)], strict=True)]


@dataclass(frozen=True, slots=True)
class CountedPictures(Pictures):
    """Pictures with counts for the baselines of evaluation, which take longer than the pictures themselves.

    bright, brain : (m,) int32, pixels inside the skull from 50 to 100 HU and from 15 to 50 HU
    """

    bright: NDArray[np.int32]
    brain: NDArray[np.int32]


def picture(hu: NDArray[np.int16], pixel_mm: float) -> NDArray[np.uint8]:
    """The picture that the service makes of one slice in Hounsfield units, (512, 512, 3) uint8."""
    return apply_windows(resample_and_pad(hu, pixel_mm, pixel_mm), DEFAULT_RECIPE)


def make_pictures(wanted: Sequence[StudyRequest], *, name: str) -> CountedPictures:
    """Make studies on all cores."""
    return concatenate(iterate_pictures(wanted, name=name))


def iterate_pictures(wanted: Sequence[StudyRequest], *, name: str) -> Iterator[CountedPictures]:
    """Make studies on all cores, and yield them in their order."""
    yield from log_progress(parallel_map(make_study_pictures, wanted), total=len(wanted), name=name)


def make_study_pictures(wanted: StudyRequest) -> CountedPictures:
    """Make one study in this process."""
    return pictures_of(_study(wanted), wanted.seed)


def make_stream_pictures(wanted: StudyRequest) -> Pictures:
    """Make one study in this process, without the counts, which no training of a CNN uses."""
    study = _study(wanted)
    return Pictures(*_values(study, [_bone_and_subdural(hu, study) for hu in study.hu], wanted.seed))


def _study(wanted: StudyRequest) -> Study:
    patient = draw_patient(wanted.seed, wanted.options)
    count = len(patient.scan.position_mm)
    chosen = np.arange(count)
    if wanted.slices is not None and wanted.slices < count:
        chosen = np.sort(np.random.default_rng([wanted.seed, 3]).choice(count, wanted.slices, replace=False))
    return make_study(patient, [int(index) for index in chosen])


def pictures_of(study: Study, seed: int) -> CountedPictures:
    """A study's pictures."""
    large = [_bone_and_subdural(hu, study) for hu in study.hu]
    bright, brain = _counts(np.stack([_levels_inside(both.view(np.uint16).reshape(512, 512, 2)) for both in large]))
    return CountedPictures(*(*_values(study, large, seed), bright, brain))


def _values(study: Study, large: Sequence[NDArray[np.uint32]], seed: int) -> tuple[NDArray[Any], ...]:
    """The values of `Pictures`."""
    small, number = np.stack([_shrunk(both) for both in large]), np.full(len(large), seed, np.int32)
    return small, study.labels, study.label_mask, _blood_cells(study.masks), study.position_mm, number


def _bone_and_subdural(hu: NDArray[np.int16], study: Study) -> NDArray[np.uint32]:
    """The first two channels of `picture` as the low and the high half of one number, (512, 512)."""
    large = resample_and_pad(hu, study.scan.pixel_mm, study.scan.pixel_mm)
    return np.take(_both_windows(), large.view(np.uint16), mode="clip")


@cache
def _both_windows() -> NDArray[np.uint32]:
    """(65536,) uint32, indexed by the bits of a value in HU."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.int16)[None]
    return np.ascontiguousarray(apply_windows(every, DEFAULT_RECIPE)[0, :, :2].astype(np.uint16)).view(np.uint32)[:, 0]


def _shrunk(both: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """As `training.networks.shrink`, of both channels at once: (256, 256, 2) of (512, 512)."""
    rows = both[::2] + both[1::2]
    sums = rows[:, ::2] + rows[:, 1::2]
    sums += 0x2_0002
    means = (sums.view(np.uint16) >> 2).astype(np.uint8)
    return means.reshape(*sums.shape, 2)


def _blood_cells(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean shares of blood (n, 32, 32, 5) of masks (n, 256, 256, 5)."""
    side = SIZE // GRID
    rows = masks.reshape(len(masks), GRID, side, SIZE, -1).sum(axis=2, dtype=np.uint16)
    cells = rows.reshape(len(masks), GRID, GRID, side, -1).sum(axis=3, dtype=np.uint16)
    means: NDArray[np.uint8] = np.rint(cells / side**2).astype(np.uint8)
    return means


def count_baselines(slices: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Counts of bright pixels and of pixels of brain, (n,) each, of pictures (n, 512, 512, 3)."""
    return _counts(np.stack([_levels_inside(slice_) for slice_ in slices]))


def _counts(levels: NDArray[np.intp]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sums (n,) each of pixels of every level (n, 256)."""
    bright, brain = (levels[:, _is_between(between)].sum(axis=1, dtype=np.int32) for between in (BRIGHT_HU, BRAIN_HU))
    return bright, brain


def count_inside(slice_: NDArray[np.uint8], between_hu: tuple[float, float]) -> int:
    """The number of pixels of a (512, 512, 3) picture between two HU inside the skull.

    A pixel is inside with bone (above 300 HU) on all four sides.
    """
    return int(_levels_inside(slice_)[_is_between(between_hu)].sum())


def _is_between(between_hu: tuple[float, float]) -> NDArray[np.bool_]:
    """Which of the 256 levels of the subdural window are between two HU."""
    hu = np.arange(256, dtype=np.float32) * (SUBDURAL_WINDOW.width_hu / 255) + SUBDURAL_WINDOW.lower_hu
    inside: NDArray[np.bool_] = (hu >= between_hu[0]) & (hu <= between_hu[1])
    return inside


def _levels_inside(slice_: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.intp]:
    """Pixels of each level of the subdural window inside the skull, (256,)."""
    bone = slice_[..., 0] > (BONE_HU - BONE_WINDOW.lower_hu) * 255 / BONE_WINDOW.width_hu
    inside = _between(bone) & _between(np.ascontiguousarray(bone.T)).T
    return np.bincount(slice_[..., 1][inside], minlength=256)


def _between(bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels from the first to the last true pixel of their row."""
    column, some = np.arange(bone.shape[1]), bone.any(axis=1)
    first = np.where(some, bone.argmax(axis=1), bone.shape[1])
    last = bone.shape[1] - 1 - np.ascontiguousarray(bone[:, ::-1]).argmax(axis=1)
    between: NDArray[np.bool_] = (column >= first[:, None]) & (column <= last[:, None])
    return between


def concatenate(parts: Iterable[P]) -> P:
    """Many parts as one."""
    every = list(parts)
    names, kind = (field.name for field in fields(every[0])), type(every[0])
    return kind(**{name: np.concatenate([getattr(part, name) for part in every]) for name in names})


def log_progress(studies: Iterable[S], *, total: int, name: str) -> Iterator[S]:
    """Yield studies, and log ten times how many are made."""
    start, slices = time.monotonic(), 0
    for done, study in enumerate(studies, 1):
        slices += len(study)
        if done % max(total // 10, 1) == 0 or done == total:
            spent = time.monotonic() - start
            left = spent / done * (total - done)
            LOG.info("%s: %d of %d studies, %.0f slices/s, %.0f s left", name, done, total, slices / spent, left)
        yield study
