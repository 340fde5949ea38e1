"""The five kinds of haemorrhage: fraction of blood at a point, density, and mass effect."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.common.labels import Label
from training.phantom.brain import Anatomy, MassEffect
from training.phantom.noise import sample
from training.phantom.shapes import Floats, soft_step

Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Blood:
    """Density of a haemorrhage. `mottle_hu` is the standard deviation of its texture."""

    hu: float
    mottle_hu: float
    seed: int


class Haemorrhage(Protocol):
    """One haemorrhage."""

    @property
    def label(self) -> Label: ...
    @property
    def blood(self) -> Blood: ...
    def fraction(self, anatomy: Anatomy) -> Floats:
        """Share of blood at every point, (n,) float32."""
        ...

    def mass_effects(self) -> tuple[MassEffect, ...]:
        """Displacements of the brain around it."""
        ...


@dataclass(frozen=True, slots=True)
class Haematoma:
    """Intraparenchymal: an ellipsoid with a rough surface, and oedema around it."""

    centre_mm: Place
    radii_mm: Place
    roughness: float
    oedema_hu: float
    oedema_mm: float
    blood: Blood
    label: Label = "intraparenchymal"

    def surface(self, anatomy: Anatomy) -> Floats:
        """Signed distance into the haematoma, mm."""
        p, (rx, ry, rz) = anatomy.points, self.radii_mm
        x, y, z = self.centre_mm
        norm = np.sqrt(((p.x - x) / rx) ** 2 + ((p.y - y) / ry) ** 2 + ((p.z - z) / rz) ** 2)
        radius = np.float32(min(self.radii_mm))
        wavelength = float(np.clip(radius * 2.2, 8, 50))
        rough = sample(p.x, p.y, p.z, wavelength_mm=wavelength, offset=self.blood.seed)
        distance: Floats = ((1 + np.float32(self.roughness) * rough - norm) * radius).astype(np.float32)
        return distance

    def fraction(self, anatomy: Anatomy) -> Floats:
        inside = soft_step(self.surface(anatomy)) * soft_step(anatomy.depth_mm - 1.5)
        return inside * (1 - anatomy.ventricle)

    def mass_effects(self) -> tuple[MassEffect, ...]:
        x, _, _ = self.centre_mm
        radius = float(np.prod(self.radii_mm) ** (1 / 3))
        away = -1.0 if x > 0 else 1.0
        return (MassEffect(self.centre_mm, (away * 0.28 * radius, 0.0, 0.0), 26 + radius),)


@dataclass(frozen=True, slots=True)
class Crescent:
    """Subdural over the convexity: a crescent on one side, across sutures, thinner towards its rim."""

    centre_mm: Place
    thickness_mm: float
    radius_mm: float
    level_hu: float  # additional density at the back of a layered haemorrhage
    blood: Blood
    label: Label = "subdural"

    def fraction(self, anatomy: Anatomy) -> Floats:
        p, x = anatomy.points, self.centre_mm[0]
        away = p.distance(self.centre_mm) / np.float32(self.radius_mm)
        wobble = 1 + 0.2 * sample(p.x, p.y, p.z, wavelength_mm=30, offset=self.blood.seed)
        thickness = np.float32(self.thickness_mm) * wobble * np.sqrt(np.clip(1 - away**2, 0, 1))
        within = np.minimum(thickness - 0.3 - anatomy.depth_mm, np.sign(x) * p.x - 1.5)
        return soft_step(np.minimum(within, anatomy.tentorium_mm)) * (away < 1)

    def mass_effects(self) -> tuple[MassEffect, ...]:
        x, y, z = self.centre_mm
        inward = -0.55 * self.thickness_mm / max(float(np.sqrt(x * x + y * y + z * z)), 1)
        return (MassEffect(self.centre_mm, (inward * x, inward * y, inward * z), 0.9 * self.radius_mm),)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Subdural along the falx or on the tentorium."""

    centre_mm: Place
    thickness_mm: float
    radius_mm: float
    on_tentorium: bool
    blood: Blood
    label: Label = "subdural"

    def fraction(self, anatomy: Anatomy) -> Floats:
        p, side = anatomy.points, np.sign(self.centre_mm[0])
        away = p.distance(self.centre_mm) / np.float32(self.radius_mm)
        thickness = np.float32(self.thickness_mm) * np.sqrt(np.clip(1 - away**2, 0, 1))
        from_sheet = anatomy.tentorium_mm if self.on_tentorium else side * p.x
        within = np.minimum(thickness - from_sheet, from_sheet + 0.3)
        if self.on_tentorium:
            within = np.minimum(within, side * p.x - 6)
        return soft_step(within) * (away < 1)

    def mass_effects(self) -> tuple[MassEffect, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Lens:
    """Epidural: biconvex between skull and dura, with a blunt rim, bounded by sutures."""

    centre_mm: Place
    thickness_mm: float
    radius_mm: float
    blood: Blood
    label: Label = "epidural"

    def fraction(self, anatomy: Anatomy) -> Floats:
        away = anatomy.points.distance(self.centre_mm) / np.float32(self.radius_mm)
        thickness = np.float32(self.thickness_mm) * np.clip(1.08 - away**2, 0, 1)
        return soft_step(thickness - anatomy.depth_mm) * (away < 1)

    def mass_effects(self) -> tuple[MassEffect, ...]:
        x, y, z = self.centre_mm
        inward = -0.75 * self.thickness_mm / max(float(np.sqrt(x * x + y * y + z * z)), 1)
        return (MassEffect(self.centre_mm, (inward * x, inward * y, inward * z), 1.1 * self.radius_mm),)


@dataclass(frozen=True, slots=True)
class Cast:
    """Intraventricular: a fluid level in the dependent horns, or a cast; `side` is -1, 0 (both) or 1."""

    side: int
    behind_mm: float  # blood fills the ventricles behind this y; the patient is supine
    below_mm: float
    amount: float
    blood: Blood
    label: Label = "intraventricular"

    def fraction(self, anatomy: Anatomy) -> Floats:
        p = anatomy.points
        wobble = 3 * sample(p.x, p.y, p.z, wavelength_mm=16, offset=self.blood.seed)
        where = soft_step(np.minimum(p.y - self.behind_mm + wobble, self.below_mm - p.z))
        if self.side:
            where = where * soft_step(self.side * p.x + 2)
        return np.float32(self.amount) * where * anatomy.ventricle

    def mass_effects(self) -> tuple[MassEffect, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Film:
    """Subarachnoid: blood instead of CSF within a region of cisterns, fissures or sulci."""

    centre_mm: Place
    radius_mm: float
    amount: float
    blood: Blood
    label: Label = "subarachnoid"

    def fraction(self, anatomy: Anatomy) -> Floats:
        p = anatomy.points
        away = p.distance(self.centre_mm) / np.float32(self.radius_mm)
        patchy = 0.25 * sample(p.x, p.y, p.z, wavelength_mm=14, offset=self.blood.seed)
        region: Floats = np.clip((1.15 - away + patchy) * 3, 0, 1).astype(np.float32)
        # Blood widens the clefts that it fills.
        filled: Floats = np.float32(self.amount) * region * np.clip(2.2 * anatomy.subarachnoid - 0.2, 0, 1)
        return filled

    def mass_effects(self) -> tuple[MassEffect, ...]:
        return ()


def density(blood: Blood, anatomy: Anatomy) -> Floats:
    """Hounsfield units of pure blood at every point."""
    p = anatomy.points
    texture = sample(p.x, p.y, p.z, wavelength_mm=13, offset=blood.seed + 5)
    return np.float32(blood.hu) + np.float32(blood.mottle_hu) * texture


def mix(haemorrhage: Haemorrhage, anatomy: Anatomy, hu: Floats) -> tuple[Floats, Floats]:
    """Add a haemorrhage to tissue; return the new Hounsfield units and the share of blood."""
    share = haemorrhage.fraction(anatomy)
    blood = density(haemorrhage.blood, anatomy)
    if isinstance(haemorrhage, Haematoma):
        outside = np.clip(-haemorrhage.surface(anatomy) / np.float32(max(haemorrhage.oedema_mm, 0.1)), 0, 1)
        hu = hu + np.float32(haemorrhage.oedema_hu) * (1 - outside) * (1 - share)
    if isinstance(haemorrhage, Crescent):
        blood = blood + np.float32(haemorrhage.level_hu) * np.clip(
            (anatomy.points.y - haemorrhage.centre_mm[1]) / 12, -1, 1
        )
    return (hu + (blood - hu) * share).astype(np.float32), share.astype(np.float32)
