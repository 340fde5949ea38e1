"""Phantom studies as the services are sent them.

Nothing here needs TensorFlow: the processes that make them start quickly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.pictures import picture
from training.io.pool import parallel_map
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import Wanted


@dataclass(frozen=True, slots=True)
class Sent:
    """One phantom as the cnn service is sent it: slices (n, 512, 512, 3) uint8, and its truth (n, 6)."""

    slices: NDArray[np.uint8]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    certain: NDArray[np.bool_]


def make_sent(wanted: Wanted) -> Sent:
    """One study, in this process."""
    patient = draw_patient(wanted.seed, wanted.order)
    chosen = range(len(patient.scan.position_mm))[: wanted.slices]
    study = make_study(patient, chosen)
    slices = np.stack([picture(hu, study.scan.pixel_mm) for hu in study.hu])
    return Sent(slices, study.position_mm, study.labels, study.certain)


def sent_in_turn(wanted: Sequence[Wanted]) -> Iterator[Sent]:
    """Studies in turn, made on all cores, few of them ahead."""
    return parallel_map(make_sent, wanted)
