"""Phantom studies as the pictures that the cnn service receives.

Nothing here imports TensorFlow: the worker processes start quickly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.pictures import picture
from training.io.pool import parallel_map
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyRequest


@dataclass(frozen=True, slots=True)
class ServiceInput:
    """One phantom: slices (n, 512, 512, 3) uint8, positions (n,), labels and whether they are known (n, 6)."""

    slices: NDArray[np.uint8]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.slices)


def make_service_input(wanted: StudyRequest) -> ServiceInput:
    """Make one study in this process."""
    patient = draw_patient(wanted.seed, wanted.options)
    chosen = range(len(patient.scan.position_mm))[: wanted.slices]
    study = make_study(patient, chosen)
    slices = np.stack([picture(hu, study.scan.pixel_mm) for hu in study.hu])
    return ServiceInput(slices, study.position_mm, study.labels, study.label_mask)


def service_inputs(wanted: Sequence[StudyRequest]) -> Iterator[ServiceInput]:
    """Make studies on all cores, and yield them in their order."""
    return parallel_map(make_service_input, wanted)
