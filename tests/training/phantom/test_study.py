import numpy as np
import pytest

from services.common.labels import LABELS, SUBTYPES, Label
from training.phantom.findings import draw_kinds
from training.phantom.skull import depths
from training.phantom.study import SEEN_MM2, TRACE_MM2, draw_patient, make_study, near_skin
from training.phantom.study_options import StudyOptions

SEED = 9_000_000


def test_the_same_seed_is_the_same_study() -> None:
    one, two = (make_study(draw_patient(SEED), [4, 9]) for _ in range(2))
    for name in ("hu", "labels", "label_mask", "masks", "position_mm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_slice_is_the_same_alone_and_in_its_study() -> None:
    patient = draw_patient(SEED)
    np.testing.assert_array_equal(make_study(patient, [3, 8]).hu[1], make_study(patient, [8]).hu[0])


def test_another_seed_is_another_study() -> None:
    one, two = (make_study(draw_patient(SEED + number), [9]) for number in range(2))
    assert (one.hu != two.hu).mean() > 0.2


@pytest.mark.parametrize("kind", SUBTYPES)
def test_labels_agree_with_masks(kind: Label) -> None:
    study = make_study(draw_patient(SEED + 3, StudyOptions(kinds=(kind,))))
    area_mm2 = study.masks.sum(axis=(1, 2)) / 255 * study.scan.pixel_mm**2
    seen_mm2 = [(study.masks >= level).sum(axis=(1, 2)) * study.scan.pixel_mm**2 for level in (127, 129)]
    for column, label in enumerate(SUBTYPES):
        seen = study.labels[:, LABELS.index(label)]
        # The masks are rounded to 1/255, so pixels near a half may be on either side of it.
        assert np.all(seen[seen_mm2[1][:, column] >= SEEN_MM2])
        assert not np.any(seen[seen_mm2[0][:, column] < SEEN_MM2])
        assert label == kind or not seen.any()
    np.testing.assert_array_equal(study.labels[:, 0], study.labels[:, 1:].any(axis=1))
    assert study.label_mask[area_mm2.max(axis=1) < 0.5 * TRACE_MM2].all()
    assert study.labels[:, LABELS.index(kind)].any()


def test_blood_is_where_the_mask_says() -> None:
    """The same patient without the haemorrhage differs only near the blood, at oedema and displaced brain."""
    study = make_study(draw_patient(SEED + 11, StudyOptions(kinds=("intraparenchymal",))))
    index = int(study.masks.sum(axis=(1, 2, 3), dtype=np.int64).argmax())
    inside = study.masks[index, ..., SUBTYPES.index("intraparenchymal")] > 250
    healthy = make_study(draw_patient(SEED + 11, StudyOptions(kinds=())), [index])
    assert study.hu[index][inside].mean() > healthy.hu[0][inside].mean() + 8
    assert not healthy.masks.any()


@pytest.mark.parametrize("height_mm", [-50, 0, 60])
def test_no_point_of_a_head_is_left_out(height_mm: float) -> None:
    for seed in range(SEED, SEED + 6):
        patient = draw_patient(seed)
        points = patient.scan.points(height_mm)
        seen = np.flatnonzero(depths(patient.skull, points).skin > -1)
        assert np.isin(seen, near_skin(patient.skull, points)).all()


def test_half_of_all_studies_have_no_blood() -> None:
    rng = np.random.default_rng(0)
    share = np.mean([not draw_kinds(rng) for _ in range(2000)])
    assert share == pytest.approx(0.5, abs=0.04)


def test_a_head_has_air_brain_and_bone() -> None:
    study = make_study(draw_patient(SEED + 1))
    middle = study.hu[len(study.hu) // 2]
    assert study.hu.dtype == np.int16
    assert 0.2 < (middle < -800).mean() < 0.8
    assert (middle > 300).mean() > 0.02
    assert ((middle > 0) & (middle < 80)).mean() > 0.1
