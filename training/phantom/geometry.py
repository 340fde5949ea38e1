"""Poses and positions of slices, and the points of their pixels in the head's frame."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.phantom.shapes import Floats

SIZE: Final = 256  # rows and columns of a phantom's slices
TILTED: Final = 0.5  # share of scans with a tilted gantry
UNEVEN: Final = 0.12  # share of scans with two slice spacings


@dataclass(frozen=True, slots=True)
class Points:
    """Points in the head's frame, in mm; three arrays of one shape (n,) float32."""

    x: Floats
    y: Floats
    z: Floats

    def at(self, index: NDArray[np.intp]) -> "Points":
        """The points at some indices."""
        return Points(self.x.take(index), self.y.take(index), self.z.take(index))

    def moved(self, x: Floats | float, y: Floats | float, z: Floats | float) -> "Points":
        """The points moved by an offset in mm."""
        return Points(self.x + np.float32(x), self.y + np.float32(y), self.z + np.float32(z))

    def distance(self, centre: tuple[float, float, float]) -> Floats:
        """Distance in mm of every point from a centre."""
        x, y, z = (np.float32(value) for value in centre)
        result: Floats = np.sqrt((self.x - x) ** 2 + (self.y - y) ** 2 + (self.z - z) ** 2)
        return result


@dataclass(frozen=True, slots=True)
class Scan:
    """Geometry of a study's slices. `position_mm` ascends towards the head, along the slices' normal."""

    pixel_mm: float
    thickness_mm: float
    position_mm: tuple[float, ...]
    gantry_tilt_deg: float  # recorded in the header
    pitch_deg: float  # the head's pose; not recorded
    roll_deg: float
    yaw_deg: float
    centre_mm: tuple[float, float]  # of the image, in the plane

    def orientation(self) -> NDArray[np.float64]:
        """Directions of the image's rows, of its columns and of the slices' normal, as rows of a matrix."""
        return rotation(pitch_deg=self.gantry_tilt_deg, roll_deg=0, yaw_deg=0)

    def points(self, position_mm: float) -> Points:
        """Points of all pixels of a plane, row by row, (SIZE * SIZE,) each, in the head's frame."""
        axes = self.orientation() @ rotation(pitch_deg=self.pitch_deg, roll_deg=self.roll_deg, yaw_deg=self.yaw_deg)
        steps = (np.arange(SIZE) - (SIZE - 1) / 2) * self.pixel_mm
        columns, rows = steps + self.centre_mm[0], (steps + self.centre_mm[1])[:, None]
        x, y, z = np.empty((3, SIZE, SIZE), np.float32)
        for out, (column, row, normal) in zip((x, y, z), axes.T, strict=True):
            np.add(columns * column + rows * row, position_mm * normal, out=out, casting="same_kind")
        return Points(x.ravel(), y.ravel(), z.ravel())


def rotation(*, pitch_deg: float, roll_deg: float, yaw_deg: float) -> NDArray[np.float64]:
    """Rotation about x (nodding), then y (leaning), then z (turning), as a matrix of row vectors."""
    (sx, cx), (sy, cy), (sz, cz) = (
        (np.sin(angle), np.cos(angle)) for angle in np.radians([pitch_deg, roll_deg, yaw_deg])
    )
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    product: NDArray[np.float64] = about_x @ about_y @ about_z
    return product


def draw_scan(rng: np.random.Generator) -> Scan:
    """Draw a protocol and a pose; slices reach from below the skull base to about the vertex."""
    spacing = float(rng.choice([rng.uniform(2.2, 4), rng.uniform(4, 6), 5.0], p=[0.2, 0.45, 0.35]))
    tilt = float(rng.uniform(-8, 24)) if rng.random() < TILTED else 0.0
    return Scan(
        pixel_mm=float(rng.uniform(205, 265)) / SIZE,
        thickness_mm=float(spacing * rng.choice([1, 1, 1, 0.5, 0.25])),
        position_mm=_positions(rng, spacing),
        gantry_tilt_deg=tilt,
        pitch_deg=float(rng.normal(0 if tilt else 8, 7)),
        roll_deg=float(rng.normal(0, 3.5)),
        yaw_deg=float(rng.normal(0, 4)),
        centre_mm=(float(rng.normal(0, 5)), float(rng.normal(6, 8))),
    )


def _positions(rng: np.random.Generator, spacing_mm: float) -> tuple[float, ...]:
    lowest, highest = rng.uniform(-85, -45), rng.uniform(64, 84)
    steps = np.arange(lowest, highest, spacing_mm)
    if rng.random() < UNEVEN:  # two blocks, with closer slices through the posterior fossa
        steps = np.concatenate([np.arange(lowest, -20, spacing_mm * 0.6), np.arange(-20, highest, spacing_mm)])
    return tuple(float(step) for step in steps)
