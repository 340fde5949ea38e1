"""Series of one phantom as scanners of several kinds store them, with squares that show where pixels are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.scans import ct_slice
from training.phantom.geometry import rotation
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyOptions

SEED: Final = 9_400_112  # a haemorrhage in the brain, 28 mm from the middle
SQUARE_HU: Final = 1000
SQUARES: Final = (6, 9, 12)  # pixels of the phantom; their sizes tell which is which


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a series is stored.

    crop : columns of the phantom that are kept
    tall, wide : how often each row and column is repeated
    transpose, reverse_rows, reverse_columns : how the stored frame is turned, in this order
    thin : slices in place of one
    tilt_deg : of the gantry, in the header
    tags : of every file, set last
    """

    crop: tuple[int, int] = (0, 256)
    tall: int = 1
    wide: int = 1
    transpose: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False
    thin: int = 1
    tilt_deg: float = 0
    tags: Mapping[str, Any] = field(default_factory=dict)

    def stored(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """(256, 256) of the phantom as rows and columns of the stored frame."""
        cut = pixels[:, slice(*self.crop)]
        large = np.repeat(np.repeat(cut, self.tall, axis=0), self.wide, axis=1)
        turned = large.T if self.transpose else large
        rows, columns = -1 if self.reverse_rows else 1, -1 if self.reverse_columns else 1
        return np.ascontiguousarray(turned[::rows, ::columns])


GEOMETRIES: Final = {
    "plain": Geometry(),
    "oblique, padded, pixels not square": Geometry(crop=(14, 246), tall=2, tilt_deg=18),
    "768 x 512, turned by 90 degrees": Geometry(tall=3, wide=2, transpose=True, reverse_rows=True),
    "mirrored, feet first": Geometry(reverse_columns=True, wide=2, tags={"PatientPosition": "FFS"}),
    "turned by 180 degrees, thin": Geometry(reverse_rows=True, reverse_columns=True, thin=5),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A stored series.

    blood : (n, rows, columns) float, the share of blood in each stored pixel
    squares : centre of each square, (row, column) in the stored frame, by its side in the phantom's pixels
    spacing_mm : between rows, between columns
    """

    files: dict[str, bytes]
    blood: NDArray[np.float64]
    squares: dict[int, tuple[float, float]]
    spacing_mm: tuple[float, float]


def make_phantom() -> Study:
    """Six slices through the haemorrhage."""
    patient = draw_patient(SEED, StudyOptions(kinds=("intraparenchymal",)))
    whole = len(patient.scan.position_mm)
    return make_study(patient, range(whole // 2 - 2, whole // 2 + 4))


def store(study: Study, geometry: Geometry) -> Source:
    """The phantom as stored by a scanner with this geometry."""
    marks = _squares(geometry.crop)
    shares = study.masks.sum(axis=-1) / 255
    spacing = (study.scan.pixel_mm / geometry.tall, study.scan.pixel_mm / geometry.wide)
    spacing = spacing[::-1] if geometry.transpose else spacing
    files = {
        f"{index:03d}.dcm": ct_slice(
            index,
            hu=geometry.stored(np.where(sum(marks.values()) > 0, SQUARE_HU, study.hu[index // geometry.thin])),
            **_tags(study, geometry, index, spacing),
        )
        for index in range(len(study.hu) * geometry.thin)
    }
    blood = np.stack([geometry.stored(shares[index // geometry.thin]) for index in range(len(files))])
    return Source(files, blood, {side: centre(geometry.stored(mark)) for side, mark in marks.items()}, spacing)


def centre(weights: NDArray[Any]) -> tuple[float, float]:
    """Mean row and column of pixels; the centre of pixel 0 is 0.5."""
    rows, columns = np.indices(weights.shape) + 0.5
    return float((weights * rows).sum() / weights.sum()), float((weights * columns).sum() / weights.sum())


def _squares(crop: tuple[int, int]) -> dict[int, NDArray[np.float64]]:
    """Masks of squares near three corners of the cropped phantom, by their side."""
    first, last = crop[0] + 16, crop[1] - 26
    made = {}
    for side, (row, column) in zip(SQUARES, ((16, first), (16, last), (200, first)), strict=True):
        made[side] = np.zeros((256, 256))
        made[side][row : row + side, column : column + side] = 1
    return made


def _tags(study: Study, geometry: Geometry, index: int, spacing_mm: tuple[float, float]) -> dict[str, Any]:
    along_row, along_column, normal = rotation(pitch_deg=geometry.tilt_deg, roll_deg=0, yaw_deg=geometry.tilt_deg / 2)
    if geometry.transpose:
        along_row, along_column = along_column, along_row
    along_row = -along_row if geometry.reverse_columns else along_row
    along_column = -along_column if geometry.reverse_rows else along_column
    thick, part = divmod(index, geometry.thin)
    gap_mm = float(np.diff(study.position_mm).mean()) / geometry.thin
    position_mm = float(study.position_mm[thick]) + part * gap_mm
    return {
        "ImageOrientationPatient": [round(float(value), 8) for value in (*along_row, *along_column)],
        "ImagePositionPatient": [round(float(value), 4) for value in position_mm * normal],
        "PixelSpacing": [round(value, 6) for value in spacing_mm],
        "SliceThickness": round(gap_mm if geometry.thin > 1 else study.scan.thickness_mm, 4),
        **geometry.tags,
    }
