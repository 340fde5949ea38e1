"""Size and form of a head: maps its points to the standard brain, and gives their distance from its walls."""

from dataclasses import dataclass

import numpy as np

from training.phantom import atlas
from training.phantom.geometry import Points
from training.phantom.noise import waves
from training.phantom.shapes import Floats

SLOW_MM = 105  # wavelength of a head's own form; a shorter one makes the skull star-shaped


@dataclass(frozen=True, slots=True)
class Head:
    """A head's form.

    scale : mm of the standard brain for each mm of this head, along each axis; the standard brain is larger than most
    egg : how much wider it is at the back, and narrower in front, than the standard brain
    wobble_mm : standard deviation of its own form
    room_mm : distance of the dura from the standard brain's surface; larger with atrophy
    """

    scale: tuple[float, float, float]
    egg: float
    wobble_mm: float
    room_mm: float
    seed: int

    @property
    def mean_scale(self) -> float:
        return sum(self.scale) / len(self.scale)


def draw_head(rng: np.random.Generator) -> Head:
    """Draw an adult's head; the variation exceeds that of adults."""
    size = rng.normal(1.09, 0.045)
    x, y, z = (float(np.clip(size + value, 0.97, 1.22)) for value in rng.normal(0, 0.03, 3))
    return Head(
        scale=(x, y, z),
        egg=float(rng.normal(0, 0.03)),
        wobble_mm=float(rng.uniform(0.8, 3.2)),
        room_mm=float(rng.uniform(-0.6, 2)),
        seed=int(rng.integers(1 << 16)),
    )


def standard(head: Head, points: Points) -> Points:
    """Map points of a head to the standard brain."""
    x, y, z = (axis + _wobble(head, points, number) for number, axis in enumerate((points.x, points.y, points.z)))
    x = x * (1 - np.float32(head.egg / 80) * np.clip(y, -90, 90))
    return Points(*(axis * np.float32(scale) for axis, scale in zip((x, y, z), head.scale, strict=True)))


def walls_mm(head: Head, inner: Points) -> tuple[Floats, Floats]:
    """Signed distances in mm of standard points into the dura, and into the vault without skull base."""
    cavity, hull = atlas.walls_mm(inner)
    return _in_head(head, cavity), _in_head(head, hull)


def vault_mm(head: Head, inner: Points) -> Floats:
    """Signed distance in mm of standard points into the vault."""
    return _in_head(head, atlas.hull_mm(inner))


def _in_head(head: Head, distance_mm: Floats) -> Floats:
    moved: Floats = distance_mm * np.float32(1 / head.mean_scale) + np.float32(head.room_mm)
    return moved


def _wobble(head: Head, points: Points, number: int) -> Floats:
    return np.float32(head.wobble_mm) * waves(
        points.x, points.y, points.z, wavelength_mm=SLOW_MM, offset=head.seed + number
    )
