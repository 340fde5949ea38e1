"""Inside the dura: grey and white matter, ventricles, cisterns, sulci, falx, tentorium and venous sinuses."""

from dataclasses import dataclass, replace

import numpy as np

from training.phantom.atlas import Tissue, look_up
from training.phantom.geometry import Points
from training.phantom.head import Head, standard
from training.phantom.noise import sample, waves
from training.phantom.shapes import Floats, soft_step

FOLD_MM = 34  # wavelength of the individual variation of gyri


@dataclass(frozen=True, slots=True)
class MassEffect:
    """Displacement of the brain by `move_mm` at `centre_mm`, decreasing over `reach_mm`."""

    centre_mm: tuple[float, float, float]
    move_mm: tuple[float, float, float]
    reach_mm: float


@dataclass(frozen=True, slots=True)
class Brain:
    """Properties of a brain's tissue."""

    head: Head
    grey_hu: float
    white_lower_hu: float
    patchy_hu: float  # standard deviation of slow variation
    csf_hu: float
    dura_hu: float
    dura_mm: float  # thickness of the rim along the inner table
    sinus_hu: float
    falx: float  # visibility of falx and tentorium, 0 to 1
    atrophy: float  # 0 to about 3
    ventricle_mm: float  # added to the ventricles' radii
    sulci: float  # additional CSF in the standard brain's sulci
    folds: float  # CSF in individual sulci
    lopsided: float
    leukoaraiosis_hu: float
    wobble_mm: float
    mass_effects: tuple[MassEffect, ...]
    seed: int

    def with_mass_effects(self, mass_effects: tuple[MassEffect, ...]) -> "Brain":
        """The same brain with the mass effect of haemorrhages."""
        return replace(self, mass_effects=mass_effects)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Anatomy at points inside the cavity; (n,) float32 each."""

    points: Points
    depth_mm: Floats  # from the dura
    vault_mm: Floats  # from the inner table of the vault
    tentorium_mm: Floats  # above the tentorium
    subarachnoid: Floats  # fraction of CSF outside the brain
    ventricle: Floats  # fraction of CSF inside it
    white: Floats  # fraction of white matter
    hu: Floats


def draw_brain(rng: np.random.Generator, head: Head, *, atrophy: float | None = None) -> Brain:
    """Draw a brain; atrophy has a heavy tail."""
    drawn = float(min(rng.gamma(1.6, 0.7), 3.4))
    shrunk = drawn if atrophy is None else atrophy
    return Brain(
        head=head,
        grey_hu=float(rng.uniform(32, 44)),
        white_lower_hu=float(rng.uniform(4, 12)),
        patchy_hu=float(rng.uniform(0.4, 2.5)),
        csf_hu=float(rng.uniform(0, 14)),
        dura_hu=float(rng.uniform(42, 68)),
        dura_mm=float(rng.uniform(0, 1.4)),
        sinus_hu=float(rng.uniform(44, 72)),
        falx=float(rng.uniform(0.2, 1)),
        atrophy=shrunk,
        ventricle_mm=float(1.1 * shrunk + rng.normal(-0.5, 0.9)),
        sulci=float(0.55 * shrunk + rng.uniform(-0.2, 0.5)),
        folds=float(rng.uniform(0, 0.12) + 0.12 * shrunk * rng.uniform(0, 1)),
        lopsided=float(rng.normal(0, 0.5)),
        leukoaraiosis_hu=float(rng.choice([0, rng.uniform(2, 10)])),
        wobble_mm=float(rng.uniform(0.8, 2.6)),
        mass_effects=(),
        seed=int(rng.integers(1 << 16)),
    )


def anatomy(brain: Brain, points: Points, *, vault_mm: Floats, cavity_mm: Floats) -> Anatomy:
    """Evaluate the anatomy at points inside the cavity."""
    inner = _standard(brain, points)
    tissue = look_up(inner)
    ventricle_mm = _ventricle_mm(brain, points, tissue)
    ventricle = soft_step(ventricle_mm)
    outer = _csf(brain, inner, tissue, cavity_mm)
    subarachnoid = outer * np.clip(-ventricle_mm / 3, 0, 1)
    white = _white(tissue)
    hu = _matter(brain, inner, tissue, white, ventricle_mm)
    hu += (np.float32(brain.csf_hu) - hu) * np.maximum(outer * (1 - ventricle), ventricle)
    tentorium = tissue.tentorium_mm * np.float32(1 / brain.head.mean_scale)
    _fill_dura(hu, brain, inner, vault_mm, cavity_mm, tentorium)
    return Anatomy(points, cavity_mm, vault_mm, tentorium, subarachnoid, ventricle, white, hu)


def _standard(brain: Brain, points: Points) -> Points:
    """Map points to the standard brain: undo mass effect, individual variation and scale."""
    x, y, z = points.x, points.y, points.z
    for effect in brain.mass_effects:
        weight = np.exp(-((points.distance(effect.centre_mm) / np.float32(effect.reach_mm)) ** 2))
        back_x, back_y, back_z = (-weight * np.float32(move) for move in effect.move_mm)
        x, y, z = x + back_x, y + back_y, z + back_z
    own = (
        np.float32(brain.wobble_mm) * waves(x, y, z, wavelength_mm=FOLD_MM, offset=brain.seed + number)
        for number in range(3)
    )
    return standard(brain.head, Points(*(axis + move for axis, move in zip((x, y, z), own, strict=True))))


def _ventricle_mm(brain: Brain, points: Points, tissue: Tissue) -> Floats:
    """Signed distance into this brain's ventricles in mm."""
    grow = np.float32(brain.ventricle_mm) + np.float32(brain.lopsided) * np.sign(points.x)
    distance: Floats = tissue.ventricle_mm * np.float32(1 / brain.head.mean_scale) + grow
    return distance.astype(np.float32)


def _csf(brain: Brain, inner: Points, tissue: Tissue, depth_mm: Floats) -> Floats:
    """Share of CSF: the standard brain's sulci and cisterns, widened, and individual sulci."""
    patchy = sample(inner.x, inner.y, inner.z, wavelength_mm=40, offset=brain.seed + 31)
    wide = np.float32(brain.sulci) * (1 + 0.35 * patchy) * np.where(tissue.tentorium_mm < 0, np.float32(0.45), 1)
    given = (1 - tissue.grey - tissue.white + wide * tissue.sulcus - np.float32(0.22)) * np.float32(1.7)
    folds = np.abs(sample(inner.x, inner.y, inner.z, wavelength_mm=21, offset=brain.seed + 41))
    near = np.clip(1 - depth_mm / (14 + 4 * np.float32(brain.atrophy)), 0, 1) * (tissue.tentorium_mm > 0)
    own = (
        (np.float32(brain.folds) * np.sqrt(near) - folds) * np.float32(3.2) + np.float32(0.5) * (near > 0) - (near <= 0)
    )
    share: Floats = np.clip(np.maximum(given, own), 0, 1).astype(np.float32)
    return share


def _white(tissue: Tissue) -> Floats:
    """Share of white matter, sharper than in the average of many brains."""
    share = tissue.white / (tissue.grey + tissue.white + np.float32(0.02))
    white: Floats = np.clip((share - 0.5) * np.float32(1.35) + 0.5, 0, 1)
    return white


def _matter(brain: Brain, inner: Points, tissue: Tissue, white: Floats, ventricle_mm: Floats) -> Floats:
    texture = sample(inner.x, inner.y, inner.z, wavelength_mm=11, offset=brain.seed + 51)
    slow = sample(inner.x, inner.y, inner.z, wavelength_mm=60, offset=brain.seed + 61)
    hu = np.float32(brain.grey_hu) - np.float32(brain.white_lower_hu) * white
    hu += 0.7 * texture + np.float32(brain.patchy_hu) * slow
    pale = np.exp(-((np.minimum(ventricle_mm, 0) / 9) ** 2)) * tissue.smooth_white * np.clip(1 + slow, 0, 2)
    hu -= np.float32(brain.leukoaraiosis_hu) * pale * white
    return hu.astype(np.float32)


def _fill_dura(hu: Floats, brain: Brain, inner: Points, vault_mm: Floats, depth_mm: Floats, tentorium: Floats) -> None:
    """Add dura, falx, tentorium and venous sinuses: bright sheets and tubes that resemble haemorrhages."""
    middle = np.abs(inner.x + 0.6 * np.sin(inner.y * np.float32(0.09)))
    behind = np.maximum(inner.y - 24, np.abs(inner.x) - 20)  # behind the brainstem, at the tentorial notch
    above = np.maximum(inner.z - 24, np.maximum(-inner.y - 40, np.minimum(inner.y - 46, tentorium)))
    falx = soft_step(np.minimum(np.float32(0.75) - middle, above)) * np.float32(brain.falx)
    sheet = soft_step(np.minimum(0.8 - np.abs(tentorium) * 0.8, behind)) * np.float32(0.6 * brain.falx)
    rim = soft_step(np.float32(brain.dura_mm - 0.5) - depth_mm)
    dura = np.maximum(np.maximum(falx, sheet), rim)
    hu += (np.float32(brain.dura_hu) - hu) * dura
    posterior = np.maximum(inner.z - 12, inner.y)
    sagittal = np.minimum(6.5 - vault_mm - middle * 1.1, posterior)
    transverse = np.minimum(4 - np.sqrt((tentorium + 1) ** 2 + (vault_mm - 3) ** 2), inner.y - 20)
    straight = np.minimum(2.2 - np.sqrt(inner.x**2 + (tentorium - 1) ** 2), inner.y - 40)
    sinus = soft_step(np.maximum(np.maximum(sagittal, transverse), straight))
    hu += (np.float32(brain.sinus_hu) - hu) * sinus
