"""Inside the dura: grey and white matter, ventricles, cisterns, sulci, falx, tentorium and venous sinuses."""
# ruff: noqa: PLR2004 - lengths in mm and Hounsfield units, each beside what it is of

from dataclasses import dataclass, replace

import numpy as np

from training.phantom.geometry import Points
from training.phantom.noise import sample
from training.phantom.shapes import Floats, soft_step
from training.phantom.skull import Skull
from training.phantom.spaces import cisterns_mm, nuclei, tentorium_mm, ventricles_mm


@dataclass(frozen=True, slots=True)
class Push:
    """Mass effect: brain near `centre_mm` has been moved by `move_mm`, less and less over `reach_mm`."""

    centre_mm: tuple[float, float, float]
    move_mm: tuple[float, float, float]
    reach_mm: float


@dataclass(frozen=True, slots=True)
class Brain:
    """One brain's tissue."""

    scale: tuple[float, float, float]  # of the standard brain to this head
    grey_hu: float
    white_lower_hu: float
    patchy_hu: float  # slow differences across the brain
    csf_hu: float
    dura_hu: float
    sinus_hu: float
    falx: float  # visibility of falx and tentorium, 0 to 1
    atrophy: float  # 0 to about 3
    ventricle_mm: float  # added to the ventricles' radii
    rim_mm: float
    sulci: float
    lopsided: float
    leukoaraiosis_hu: float
    wobble_mm: float
    pushes: tuple[Push, ...]
    seed: int

    def pushed(self, pushes: tuple[Push, ...]) -> "Brain":
        """The same brain under the mass effect of bleeds."""
        return replace(self, pushes=pushes)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What the bleeds need to know about points inside the cavity; (n,) float32 each."""

    points: Points
    depth_mm: Floats  # from the inner table or the skull base
    vault_mm: Floats  # from the inner table of the vault
    tentorium_mm: Floats  # above the tentorium
    subarachnoid: Floats  # fraction of CSF outside the brain
    ventricle: Floats  # fraction of CSF inside it
    hu: Floats


def draw_brain(rng: np.random.Generator, skull: Skull) -> Brain:
    """A brain that fills a skull; atrophy has a heavy tail."""
    atrophy = float(min(rng.gamma(1.6, 0.65), 3.2))
    width, length, height = skull.half_width_mm / 67, skull.half_length_mm / 83, skull.height_mm / 74
    return Brain(
        scale=(width, length, height),
        grey_hu=float(rng.uniform(32, 44)),
        white_lower_hu=float(rng.uniform(4, 13)),
        patchy_hu=float(rng.uniform(0.4, 2.5)),
        csf_hu=float(rng.uniform(0, 14)),
        dura_hu=float(rng.uniform(42, 66)),
        sinus_hu=float(rng.uniform(44, 72)),
        falx=float(rng.uniform(0.2, 1)),
        atrophy=atrophy,
        ventricle_mm=float(1.3 * atrophy + rng.normal(-0.8, 0.9)),
        rim_mm=float(rng.uniform(0.2, 1.4) + 1.3 * atrophy * rng.uniform(0.3, 1)),
        sulci=float(rng.uniform(0.06, 0.24) + 0.18 * atrophy),
        lopsided=float(rng.normal(0, 0.8)),
        leukoaraiosis_hu=float(rng.choice([0, rng.uniform(2, 10)])),
        wobble_mm=float(rng.uniform(1, 3)),
        pushes=(),
        seed=int(rng.integers(1 << 16)),
    )


def anatomy(brain: Brain, points: Points, *, vault_mm: Floats, floor_mm: Floats) -> Anatomy:
    """The tissue at points inside the cavity."""
    depth = np.minimum(vault_mm, floor_mm)
    inner = _standard(brain, points)
    tentorium = tentorium_mm(inner)
    ventricle_mm = ventricles_mm(inner, grow_mm=brain.ventricle_mm, lopsided=brain.lopsided)
    sulcus_mm, grey = _cortex(brain, inner, depth, tentorium)
    cistern_mm = cisterns_mm(inner, atrophy=brain.atrophy)
    ventricle = soft_step(ventricle_mm)
    subarachnoid = soft_step(np.maximum(sulcus_mm, cistern_mm)) * (1 - ventricle)
    hu = _matter(brain, inner, np.maximum(grey, nuclei(inner)), ventricle_mm)
    hu += (np.float32(brain.csf_hu) - hu) * np.clip(subarachnoid + ventricle, 0, 1)
    _fill_dura(hu, brain, points, inner, vault_mm, tentorium)
    return Anatomy(points, depth, vault_mm, tentorium, subarachnoid, ventricle, hu)


def _standard(brain: Brain, points: Points) -> Points:
    """Points of the head where they would lie in the standard brain: unscaled, unpushed, unwobbled."""
    x, y, z = points.x, points.y, points.z
    for push in brain.pushes:
        weight = np.exp(-((points.distance(push.centre_mm) / np.float32(push.reach_mm)) ** 2))
        back_x, back_y, back_z = (-weight * np.float32(move) for move in push.move_mm)
        x, y, z = x + back_x, y + back_y, z + back_z
    return Points(*(_relaxed(brain, points, axis, number) for number, axis in enumerate((x, y, z))))


def _relaxed(brain: Brain, points: Points, axis: Floats, number: int) -> Floats:
    """One coordinate without this brain's own wobble and size."""
    wobble = sample(points.x, points.y, points.z, wavelength_mm=48, offset=brain.seed + 7 * number)
    return (axis + np.float32(brain.wobble_mm) * wobble) * np.float32(1 / brain.scale[number])


def _cortex(brain: Brain, inner: Points, depth: Floats, tentorium: Floats) -> tuple[Floats, Floats]:
    """Signed distance into the CSF of rim and sulci in mm, and the share of grey matter in the cortex."""
    folds = np.abs(sample(inner.x, inner.y, inner.z, wavelength_mm=21, offset=brain.seed + 31))
    fine = sample(inner.x, inner.y, inner.z, wavelength_mm=33, offset=brain.seed + 41)
    below = tentorium < 0
    reach = np.where(below, np.float32(9), np.float32(17 + 4 * brain.atrophy))
    fading = np.clip(1 - depth / (reach * (1 + 0.3 * fine)), 0, 1)
    width = np.float32(brain.sulci) * np.where(below, np.float32(0.5), np.float32(1)) * np.sqrt(fading)
    sulcus = np.where(fading > 0, (width - folds) * np.float32(3.2), np.float32(-9))
    rim = np.float32(brain.rim_mm) * np.clip(0.75 + 0.5 * fine, 0.1, 2) - depth
    ribbon = np.maximum((width + 0.75 - folds) * 2 * (fading > 0.05), 5.5 - depth)
    grey = np.where(below, soft_step(ribbon) * 0.5 + 0.25, soft_step(ribbon))
    return np.maximum(sulcus, rim).astype(np.float32), grey.astype(np.float32)


def _matter(brain: Brain, inner: Points, grey: Floats, ventricle_mm: Floats) -> Floats:
    texture = sample(inner.x, inner.y, inner.z, wavelength_mm=11, offset=brain.seed + 51)
    slow = sample(inner.x, inner.y, inner.z, wavelength_mm=60, offset=brain.seed + 61)
    hu = np.float32(brain.grey_hu) - np.float32(brain.white_lower_hu) * (1 - grey)
    hu += 0.7 * texture + np.float32(brain.patchy_hu) * slow
    hu -= np.float32(brain.leukoaraiosis_hu) * np.exp(-((np.minimum(ventricle_mm, 0) / 9) ** 2)) * (1 - grey)
    return hu.astype(np.float32)


def _fill_dura(hu: Floats, brain: Brain, points: Points, inner: Points, vault_mm: Floats, tentorium: Floats) -> None:
    """Falx, tentorium and venous sinuses, bright sheets and tubes where a bleed may seem to be."""
    middle = np.abs(inner.x + 0.6 * np.sin(points.y * np.float32(0.09)))
    above = np.maximum(inner.z - 22, np.maximum(-inner.y - 34, np.minimum(inner.y - 42, tentorium)))
    falx = soft_step(np.minimum(np.float32(0.75) - middle, above)) * np.float32(brain.falx)
    sheet = soft_step(np.minimum(0.8 - np.abs(tentorium) * 0.8, inner.y - 8)) * np.float32(0.55 * brain.falx)
    dura = np.maximum(np.maximum(falx, sheet), soft_step(0.5 - vault_mm))
    hu += (np.float32(brain.dura_hu) - hu) * dura
    posterior = np.maximum(inner.z - 10, inner.y)
    sagittal = np.minimum(6.5 - vault_mm - middle * 1.1, posterior)
    transverse = np.minimum(4 - np.sqrt((tentorium + 2) ** 2 + (vault_mm - 3) ** 2), inner.y - 12)
    straight = np.minimum(2.0 - np.sqrt(inner.x**2 + (tentorium - 1) ** 2), inner.y - 36)
    sinus = soft_step(np.maximum(np.maximum(sagittal, transverse), straight))
    hu += (np.float32(brain.sinus_hu) - hu) * sinus
