"""Where the standard brain has its ventricles, cisterns, fissures, deep nuclei and tentorium."""

import numpy as np

from training.phantom.geometry import Points
from training.phantom.shapes import Floats, soft_step


def tentorium_mm(inner: Points) -> Floats:
    """Height above the tentorium, a tent that rises towards the middle and ends at its notch; far above in front."""
    side = np.abs(inner.x)
    sheet = -22 + 20 * np.exp(-((side / 26) ** 2)) + 0.10 * (55 - inner.y)
    front = 6 + 0.55 * np.maximum(side - 14, 0)
    height: Floats = np.where(inner.y > front, inner.z - sheet, np.float32(60)).astype(np.float32)
    return height


def ventricles_mm(inner: Points, *, grow_mm: float, lopsided: float) -> Floats:
    """Signed distance into the ventricles, mm."""
    grow = np.float32(grow_mm)
    side = np.abs(inner.x) + np.float32(0.5 * lopsided) * np.sign(inner.x)
    folded = Points(side, inner.y, inner.z)
    best = np.full_like(inner.x, -50)
    for start, end, radius_start, radius_end in _HORNS:
        np.maximum(best, _capsule(folded, start, end, radius_start, radius_end, grow), out=best)
    third = np.minimum(1.2 + 0.5 * grow - np.abs(inner.x), 14 - np.abs(inner.y - 1))
    third = np.minimum(third, 7.5 - np.abs(inner.z + 1))
    fourth = 6 + 0.4 * grow - np.sqrt((inner.x / 1.5) ** 2 + (inner.y - 31) ** 2 + ((inner.z + 30) / 1.6) ** 2)
    result: Floats = np.maximum(best, np.maximum(third, fourth)).astype(np.float32)
    return result


# The lateral ventricle as capsules: from, to, radius there and there, mm; one side, mirrored.
_HORNS = (
    ((9.0, -34.0, 4.0), (8.0, -16.0, 15.0), 2.6, 4.2),
    ((8.0, -16.0, 15.0), (11.0, 10.0, 21.0), 4.0, 3.8),
    ((11.0, 10.0, 21.0), (23.0, 31.0, 9.0), 3.8, 5.0),
    ((23.0, 31.0, 9.0), (21.0, 52.0, 3.0), 4.2, 1.6),
    ((24.0, 30.0, 7.0), (33.0, 8.0, -14.0), 3.4, 1.6),
    ((33.0, 8.0, -14.0), (31.0, -10.0, -22.0), 1.2, 1.2),
)


def _capsule(
    points: Points,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius_start: float,
    radius_end: float,
    grow: np.float32,
) -> Floats:
    origin, axis = np.array(start, np.float32), np.array(end, np.float32) - np.array(start, np.float32)
    x, y, z = points.x - origin[0], points.y - origin[1], points.z - origin[2]
    along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / np.float32(axis @ axis), 0, 1)
    away = np.sqrt((x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2)
    radius = np.float32(radius_start) + along * np.float32(radius_end - radius_start)
    distance: Floats = radius * (1 + 0.16 * grow) + 0.35 * grow - away
    return distance


def cisterns_mm(inner: Points, *, atrophy: float) -> Floats:
    """Signed distance into the cisterns and fissures, mm."""
    side, grow = np.abs(inner.x), np.float32(0.6 * atrophy)
    suprasellar = 9 + grow - np.sqrt(inner.x**2 + (inner.y + 6) ** 2 + ((inner.z + 18) * 1.2) ** 2)
    from_brainstem = np.sqrt((inner.x / 1.15) ** 2 + (inner.y - 12) ** 2)
    ambient = np.minimum(1.0 + 0.7 * grow - np.abs(from_brainstem - 16.5), 9 - np.abs(inner.z + 13))
    ambient = np.minimum(ambient, inner.y - 6 - 0.5 * (side - 12))
    prepontine = np.minimum(2 + grow - np.abs(inner.y + 1 + 0.25 * (inner.z + 20)), 14 - side)
    prepontine = np.minimum(prepontine, 14 - np.abs(inner.z + 34))
    magna = 8 + grow - np.sqrt((inner.x / 1.6) ** 2 + (inner.y - 52) ** 2 + (inner.z + 50) ** 2)
    slope = inner.y + 12 - 0.45 * (side - 30) - 0.55 * (inner.z + 6)
    sylvian = np.minimum(1.1 + grow - np.abs(slope) * 0.8, np.minimum(side - 37, 14 - np.abs(inner.z + 3)))
    insula = np.minimum(0.9 + grow - np.abs(side - 38 + 0.002 * inner.y**2), 18 - np.abs(inner.y + 2))
    insula = np.minimum(insula, 13 - np.abs(inner.z - 4))
    hemispheres = np.minimum(0.6 + 0.6 * grow - side, np.maximum(inner.z - 24, -inner.y - 36))
    result = suprasellar
    for more in (ambient, prepontine, magna, sylvian, insula, hemispheres):
        result = np.maximum(result, more)
    return result.astype(np.float32)


def nuclei(inner: Points) -> Floats:
    """Share of grey matter in the deep nuclei: thalamus, lentiform nucleus, head of the caudate."""
    folded = Points(np.abs(inner.x), inner.y, inner.z)
    best = np.full_like(inner.x, -9)
    for (x, y, z), (rx, ry, rz) in _NUCLEI:
        q = np.sqrt(((folded.x - x) / rx) ** 2 + ((folded.y - y) / ry) ** 2 + ((folded.z - z) / rz) ** 2)
        np.maximum(best, (1 - q) * 6, out=best)
    return soft_step(best)


_NUCLEI = (
    ((10.0, 8.0, 4.0), (8.0, 14.0, 9.0)),
    ((23.0, -6.0, 2.0), (7.0, 15.0, 9.0)),
    ((13.0, -22.0, 8.0), (5.0, 8.0, 10.0)),
)
