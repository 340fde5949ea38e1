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
from training.phantom.study_options import StudyRequest


@dataclass(frozen=True, slots=True)
class ServiceInput:
    """One phantom as the cnn service is sent it: slices (n, 512, 512, 3) uint8, and its truth (n, 6)."""

    slices: NDArray[np.uint8]
    position_mm: NDArray[np.float32]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]


def make_service_input(wanted: StudyRequest) -> ServiceInput:
    """One study, in this process."""
    patient = draw_patient(wanted.seed, wanted.options)
    chosen = range(len(patient.scan.position_mm))[: wanted.slices]
    study = make_study(patient, chosen)
    slices = np.stack([picture(hu, study.scan.pixel_mm) for hu in study.hu])
    return ServiceInput(slices, study.position_mm, study.labels, study.label_mask)


def service_inputs(wanted: Sequence[StudyRequest]) -> Iterator[ServiceInput]:
    """Studies in turn, made on all cores, few of them ahead."""
    return parallel_map(make_service_input, wanted)
