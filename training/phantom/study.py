"""One study from one seed: slices in Hounsfield units with their ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.common.labels import SUBTYPES
from training.phantom.acquisition import Scanner, acquire, draw_scanner
from training.phantom.brain import Brain, anatomy, draw_brain
from training.phantom.broad import broad_atrophy, broad_haemorrhages, broad_mimics, broad_scanner, broad_skull
from training.phantom.findings import draw_haemorrhages, draw_kinds
from training.phantom.geometry import SIZE, Points, Scan, draw_scan
from training.phantom.haemorrhages import Haemorrhage, mix
from training.phantom.mimics import Mimics, draw_mimics, fill_brain, fill_headrest, fill_scalp, with_contrast_agent
from training.phantom.shapes import Floats
from training.phantom.shifts import shifted_atrophy, shifted_haemorrhage, shifted_scan, shifted_scanner, shifted_skull
from training.phantom.skull import Depths, Skull, depths, draw_skull, skin_mm, tissue
from training.phantom.small_haemorrhages import small_haemorrhages
from training.phantom.study_options import RANDOM_STUDY, StudyOptions

SEEN_MM2 = 14.0  # a slice's label is true from this area of blood, counting pixels
SEEN = 0.5  # with at least this share of blood: less is no denser than brain
PLANE_MM = 1.7  # largest distance of the planes that are averaged into a slice
PLANES = 3
PLANES_ABOVE = 5  # near the vertex, where the skull is almost parallel to the slice
HIGH_MM = 46.0
BLOCK = 4  # rows and columns of a block that is skipped where it is air,
FAR_MM = 8.0  # at this distance from the skin; the farthest distances of the atlas are hardly larger
TRACE_MM2 = 2.0  # below this area it is false; in between it is uncertain


@dataclass(frozen=True, slots=True)
class Patient:
    """Everything that is drawn for one study, except pixels."""

    skull: Skull
    brain: Brain
    haemorrhages: tuple[Haemorrhage, ...]
    mimics: Mimics
    scan: Scan
    scanner: Scanner
    seed: int


@dataclass(frozen=True, slots=True)
class Study:
    """Slices in order from foot to head.

    hu : (n, 256, 256) int16, Hounsfield units
    labels : (n, 6) bool, in the order of `LABELS`
    label_mask : (n, 6) bool, false where there is only a trace of blood
    masks : (n, 256, 256, 5) uint8, share of blood of each subtype; 255 is all
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.bool_]
    label_mask: NDArray[np.bool_]
    masks: NDArray[np.uint8]
    position_mm: NDArray[np.float32]
    scan: Scan


def draw_patient(seed: int, options: StudyOptions = RANDOM_STUDY) -> Patient:
    """Draw everything of a study except its pixels."""
    rng = np.random.default_rng([seed, 1])
    apart = np.random.default_rng([seed, 5])  # for `broad`, so that all other draws stay the same
    skull = shifted_skull(rng, draw_skull(rng), options)
    if options.broad:
        skull = broad_skull(apart, skull)
    scan = shifted_scan(rng, draw_scan(rng), options)
    scanner = shifted_scanner(rng, draw_scanner(rng), options)
    atrophy = shifted_atrophy(rng, options)
    if options.broad:
        atrophy = broad_atrophy(apart, atrophy)
    brain = draw_brain(rng, skull.head, atrophy=atrophy)
    mimics = draw_mimics(rng, skull, wanted=options.mimic)
    drawn = draw_kinds(rng)
    kinds = drawn if options.kinds is None else options.kinds
    haemorrhages = tuple(
        shifted_haemorrhage(haemorrhage, options)
        for kind in kinds
        for haemorrhage in draw_haemorrhages(rng, kind, skull)
    )
    if options.broad:
        scanner, haemorrhages = broad_scanner(apart, scanner), broad_haemorrhages(apart, haemorrhages)
        mimics = broad_mimics(apart, skull, mimics)
    if options.small:
        haemorrhages = small_haemorrhages(np.random.default_rng([seed, 6]), haemorrhages, options.small)
    patient = Patient(
        skull=replace(skull, holes=mimics.holes),
        brain=with_contrast_agent(brain, mimics).with_mass_effects(
            tuple(effect for haemorrhage in haemorrhages for effect in haemorrhage.mass_effects())
        ),
        haemorrhages=haemorrhages,
        mimics=mimics,
        scan=scan,
        scanner=scanner,
        seed=seed,
    )
    return patient if options.borders else _without_borders(patient)


def _without_borders(patient: Patient) -> Patient:
    """Remove dura along the inner table and the blur of bone."""
    brain = replace(patient.brain, dura_mm=0.0)
    return replace(patient, brain=brain, scanner=replace(patient.scanner, tail_hu=0.0, glow_hu=0.0))


def make_study(patient: Patient, indices: Sequence[int] | None = None) -> Study:
    """Compute the slices of a study, all or those at `indices` of `patient.scan.position_mm`."""
    chosen = range(len(patient.scan.position_mm)) if indices is None else indices
    slices = [_slice(patient, index) for index in chosen]
    shares = np.stack([blood for _, blood in slices])
    labels, label_mask = _truth(shares, patient)
    return Study(
        hu=np.stack([hu for hu, _ in slices]),
        labels=labels,
        label_mask=label_mask,
        masks=_masks(shares, patient),
        position_mm=np.array([patient.scan.position_mm[index] for index in chosen], np.float32),
        scan=patient.scan,
    )


def _slice(patient: Patient, index: int) -> tuple[NDArray[np.int16], Floats]:
    """One image (SIZE, SIZE) and its blood (k, SIZE * SIZE): the mean of planes across the slice's thickness.

    Blood has a row for each of the k kinds of haemorrhage of the patient, in the order of `_kinds`.
    """
    scan = patient.scan
    most = PLANES_ABOVE if scan.position_mm[index] > HIGH_MM else PLANES
    planes = min(max(round(scan.thickness_mm / PLANE_MM), 1), most)
    offsets = ((np.arange(planes) + 0.5) / planes - 0.5) * scan.thickness_mm
    tissues = [_plane(patient, scan.points(scan.position_mm[index] + float(offset))) for offset in offsets]
    hu: Floats = np.mean([hu for hu, _ in tissues], axis=0, dtype=np.float32)
    blood: Floats = np.mean([blood for _, blood in tissues], axis=0, dtype=np.float32)
    return acquire(patient.scanner, hu, np.random.default_rng([patient.seed, 2, index])), blood


def _plane(patient: Patient, points: Points) -> tuple[Floats, Floats]:
    hu = np.full(points.x.shape, -1000, np.float32)
    blood = np.zeros((len(_kinds(patient)), SIZE * SIZE), np.float32)
    near = near_skin(patient.skull, points)
    depth = depths(patient.skull, points.at(near))
    cavity = depth.cavity > 0
    around, inside = np.flatnonzero((depth.skin > -1) & ~cavity), np.flatnonzero(cavity)
    hu[near[around]] = _around(patient, points.at(near[around]), depth.at(around))
    if inside.size:
        place = near[inside]
        hu[place], blood[:, place] = _brain(patient, points.at(place), depth.at(inside))
    fill_headrest(hu, points, patient.skull.seed)
    return hu.reshape(SIZE, SIZE), blood


def near_skin(skull: Skull, points: Points) -> NDArray[np.intp]:
    """Indices of points that may be inside the head: without blocks whose middle is far outside."""
    every = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)
    middles = every[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]
    near = skin_mm(skull, points.at(middles.ravel())).reshape(middles.shape) > -FAR_MM
    return np.flatnonzero(np.repeat(np.repeat(near, BLOCK, 0), BLOCK, 1))


def _around(patient: Patient, points: Points, depth: Depths) -> Floats:
    hu = tissue(patient.skull, points, depth)
    fill_scalp(hu, patient.mimics, points, depth, patient.skull.thickness_mm)
    return hu


def _brain(patient: Patient, points: Points, depth: Depths) -> tuple[Floats, Floats]:
    inside = anatomy(patient.brain, points, vault_mm=depth.vault, cavity_mm=depth.cavity)
    kinds = _kinds(patient)
    hu, blood = inside.hu, np.zeros((len(kinds), len(points.x)), np.float32)
    fill_brain(hu, patient.mimics, inside)
    for haemorrhage in patient.haemorrhages:
        hu, share = mix(haemorrhage, inside, hu)
        row = blood[kinds.index(SUBTYPES.index(haemorrhage.label))]
        np.maximum(row, share, out=row)
    return hu, blood


def _kinds(patient: Patient) -> list[int]:
    """The patient's kinds of haemorrhage, as indices of `SUBTYPES`."""
    return sorted({SUBTYPES.index(haemorrhage.label) for haemorrhage in patient.haemorrhages})


def _masks(shares: Floats, patient: Patient) -> NDArray[np.uint8]:
    """Share of blood of each subtype, (n, SIZE, SIZE, 5), from that of the patient's kinds (n, k, SIZE * SIZE)."""
    masks = np.zeros((len(shares), SIZE, SIZE, len(SUBTYPES)), np.uint8)
    for row, kind in enumerate(_kinds(patient)):
        masks[..., kind] = np.rint(shares[:, row] * 255).reshape(-1, SIZE, SIZE)
    return masks


def _truth(shares: Floats, patient: Patient) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Labels and whether they are certain, (n, 6) each, from the area of blood."""
    every = np.zeros((len(shares), len(SUBTYPES)), np.float32)
    seen = np.zeros((len(shares), len(SUBTYPES)))
    for row, kind in enumerate(_kinds(patient)):
        every[:, kind] = [_total(share) for share in shares[:, row]]
        seen[:, kind] = np.count_nonzero(shares[:, row] >= SEEN, axis=1)
    every, seen = every * patient.scan.pixel_mm**2, seen * patient.scan.pixel_mm**2
    labels = _with_any(seen) >= SEEN_MM2
    return labels, labels | (_with_any(every) < TRACE_MM2)


def _total(share: Floats) -> np.float32:
    """Sum in the order of pixels: in another one, rounding could change a label at the limit."""
    some = share[share > 0]
    return np.float32(np.add.accumulate(some)[-1] if some.size else 0)


def _with_any(areas: Floats) -> Floats:
    """Areas (n, 6): the largest of the subtypes, then the subtypes (n, 5)."""
    both: Floats = np.concatenate([areas.max(axis=1, keepdims=True), areas], axis=1)
    return both
