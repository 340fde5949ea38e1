"""Verdicts on what hospitals send, and one reconstruction a study in any order of arrival."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.selection.rules import Selection
from services.dicom_node.selection.verdict import SeriesSummary, Verdict

SELECTION = Selection.read(None)
CT, ENHANCED, LEGACY = (f"1.2.840.10008.5.1.4.1.1.2{tail}" for tail in ("", ".1", ".2"))
AXIAL, CORONAL, SAGITTAL = (
    (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
)


def series(
    uid: str = "1.1", slices: int = 30, *, complete: bool = True, ours: bool | None = None, **tags: Any
) -> SeriesSummary:
    known: dict[str, Any] = {
        "sop_class_uid": CT,
        "modality": "CT",
        "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "body_part_examined": "HEAD",
        "convolution_kernel": "H30s",
        "slice_thickness_mm": 5.0,
        "image_orientation": AXIAL,
        "series_description": "Head 5.0 H30s",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
    }
    header = InstanceHeader("1", uid, f"{uid}.1", **{**known, **tags})
    return SeriesSummary(header, slices, complete, ours)


def test_one_derived_image_among_others_passes_a_series_over(tmp_path: Path) -> None:
    mixed = replace(series(), derived=True)
    assert codes(mixed) == ("derived",)
    assert codes(mixed, selection=site(tmp_path, "[series]\nderived = true")) == ("chosen",)


def codes(found: SeriesSummary, *study: SeriesSummary, selection: Selection = SELECTION) -> tuple[str, ...]:
    return selection.judge(found, study).codes


def site(tmp_path: Path, text: str) -> Selection:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return Selection.read(path)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"sop_class_uid": ENHANCED, "number_of_frames": 40, "image_orientation": CORONAL},
        {"sop_class_uid": LEGACY},
        {"modality": ""},
        {"body_part_examined": ""},
        {"body_part_examined": "CHEST"},
        {"body_part_examined": "ABDOMEN", "series_description": "Liver 5mm", "study_description": "CT ABDOMEN"},
        {"image_type": ()},
        {"image_type": ("MIXED", "PRIMARY", "AXIAL")},
        {"image_orientation": None},
        {"image_orientation": (0.98, 0.0, 0.17, 0.0, 0.87, -0.5)},
        {"convolution_kernel": "H70h", "series_description": "Knochen 1.0 H70h"},
        {"series_description": "CTA Head 0.6"},
        {"series_description": "LOW DOSE HEAD, ICP MONITORING"},
        {"series_description": "Corpus callosum / sagittal sinus"},
        {"series_description": ""},
        {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER"), "slices": 32},
    ],
    ids=str,
)
def test_a_possible_head_is_assessed_whatever_its_tags_say(tags: dict[str, Any]) -> None:
    verdict = SELECTION.judge(series(**tags), ())
    assert verdict.ours is True, verdict
    assert verdict.codes == ("chosen",)


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"software": "ich-detect"}, "own_object"),
        ({"modality": "MR"}, "other_modality"),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"}, "other_sop_class"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER"), "slices": 2}, "localizer"),
        ({"image_type": ("DERIVED", "SECONDARY", "AXIAL", "MPR")}, "derived"),
        ({"image_orientation": CORONAL}, "not_axial"),
        ({"image_orientation": SAGITTAL}, "not_axial"),
        ({"series_description": "Topogram 0.6 T20s"}, "excluded_description"),
        ({"series_description": "Dose Report"}, "excluded_description"),
        ({"series_description": "Patient Protocol"}, "excluded_description"),
        ({"series_description": "NeuroPCT 5.0 Perfusion"}, "excluded_description"),
        ({"series_description": "CTP_5mm"}, "excluded_description"),
        ({"series_description": "rCBV"}, "excluded_description"),
        ({"series_description": "TMAX"}, "excluded_description"),
        ({"series_description": "PreMonitoring"}, "excluded_description"),
        ({"series_description": "SmartPrep Series"}, "excluded_description"),
        ({"series_description": "MIP_axial_10mm"}, "excluded_description"),
        ({"slices": 2}, "too_few_images"),
    ],
    ids=str,
)
def test_a_series_that_a_rule_excludes_has_the_rule_as_its_reason(tags: dict[str, Any], code: str) -> None:
    verdict = SELECTION.judge(series(**tags), ())
    assert (verdict.ours, code in verdict.codes) == (False, True), verdict
    assert all(": " in reason for reason in verdict.reasons)


def test_all_reasons_are_listed() -> None:
    found = series(image_type=("DERIVED", "SECONDARY"), image_orientation=CORONAL, slices=1)
    assert codes(found) == ("derived", "not_axial", "too_few_images")


def test_no_reason_repeats_a_description() -> None:
    verdict = SELECTION.judge(series(series_description="MIP Doe^Jane", body_part_examined="CHEST Doe"), ())
    assert verdict.ours is False
    assert "DOE" not in " ".join(verdict.reasons).upper()


def test_a_site_may_pass_over_other_body_parts(tmp_path: Path) -> None:
    other = site(tmp_path, '[series]\nbody_part = "not other"')
    assert codes(series(body_part_examined="CHEST", series_description="Thx"), selection=other) == ("other_body_part",)
    assert codes(series(body_part_examined="CHEST"), selection=other) == ("chosen",), "a description names the head"
    assert codes(series(body_part_examined="", series_description="5mm"), selection=other) == ("chosen",)
    head = site(tmp_path, '[series]\nbody_part = "head"')
    assert codes(series(body_part_examined="", series_description="5mm"), selection=head) == ("no_head",)


def test_a_site_may_include_by_description(tmp_path: Path) -> None:
    selection = site(tmp_path, "[description]\ninclude = ['\\bSTROKE\\b']")
    assert codes(series(), selection=selection) == ("no_included_description",)
    assert codes(series(protocol_name="Stroke_Head"), selection=selection) == ("chosen",)


@pytest.mark.parametrize("pattern", ["h30s", "Schadel", r"\b5\.0\b", "^sch"])
def test_patterns_match_as_a_person_would_read_them(tmp_path: Path, pattern: str) -> None:
    selection = site(tmp_path, f"[series]\nmodalities = ['ct']\n[description]\nexclude = ['{pattern}']")
    assert codes(series(series_description="Schädel_5.0_H30s"), selection=selection) == ("excluded_description",)
    assert codes(series(series_description="Brain"), selection=selection) == ("chosen",)


def test_the_preferred_reconstruction_is_chosen_of_complete_series() -> None:
    bone = series("1.1", 200, convolution_kernel="H70h", slice_thickness_mm=0.75)
    thin = series("1.2", 240, slice_thickness_mm=0.6)
    cta = series("1.3", 30, series_description="CTA Head")
    neck = series("1.4", 60, body_part_examined="NECK", series_description="5.0", study_description="Trauma")
    best = series("1.5")
    study = [bone, thin, cta, neck, best]
    assert {item.header.series_instance_uid for item in study if SELECTION.judge(item, study).ours} == {"1.5"}
    reason = SELECTION.judge(bone, study).reasons[0]
    assert reason == (
        "not_preferred: another series is better (soft kernel, 5 mm, 30 slices, plain): its kernel is softer"
    )


def test_a_better_series_that_still_arrives_is_waited_for(tmp_path: Path) -> None:
    bone, soft = series("1.1", convolution_kernel="H70h"), series("1.2", 3, complete=False)
    assert SELECTION.judge(bone, [soft]) == Verdict(
        None, ("waiting: a better series is being received: its kernel is softer",)
    )
    assert codes(bone, soft, selection=site(tmp_path, "[preference]\nwait = false")) == ("chosen",)
    assert codes(soft, bone) == ("chosen",), "complete now or not, it is the better one"
    broken = replace(soft, slices=2, complete=True)
    assert codes(broken, bone) == ("too_few_images",)
    assert codes(bone, broken) == ("chosen",)


def test_a_better_series_that_stalled_is_neither_waited_for_nor_preferred() -> None:
    bone, soft = series("1.1", convolution_kernel="H70h"), series("1.2", 20, complete=False)
    assert codes(bone, replace(soft, stalled=True)) == ("chosen",)
    assert codes(replace(soft, complete=True), replace(bone, ours=True)) == ("already_chosen",)


def test_an_equal_series_is_not_waited_for() -> None:
    assert codes(series("1.2"), series("1.1", 5, complete=False)) == ("chosen",)


def test_a_better_series_that_arrives_later_changes_nothing() -> None:
    bone = series("1.1", convolution_kernel="H70h", ours=True)
    assert codes(series("1.2"), bone) == ("already_chosen",)
    assert codes(replace(bone, slices=40), series("1.2", ours=False)) == ("chosen",), "late slices of the chosen one"


def test_a_site_may_assess_every_reconstruction(tmp_path: Path) -> None:
    every = site(tmp_path, "[preference]\none_per_study = false")
    assert codes(series("1.2", convolution_kernel="H70h"), series("1.1"), selection=every) == ("chosen",)


KINDS = st.fixed_dictionaries(
    {
        "convolution_kernel": st.sampled_from(["H30s", "H70h", "X"]),
        "slice_thickness_mm": st.sampled_from([0.6, 5.0, None]),
        "series_description": st.sampled_from(["Head", "CTA", "MIP", ""]),
        "slices": st.sampled_from([2, 5, 30, 300]),
    }
)


@given(st.lists(KINDS, min_size=1, max_size=5), st.data())
def test_exactly_one_series_of_a_study_is_chosen_in_any_order(kinds: list[dict[str, Any]], data: st.DataObject) -> None:
    """As the registry does: a complete series is judged, and one that waits again after each change."""
    final = [series(f"1.{number}", **kind) for number, kind in enumerate(kinds)]
    state = [replace(item, slices=1, complete=False) for item in final]
    known: list[int] = []
    events = data.draw(st.permutations([*range(len(final)), *range(len(final))]))
    for number in events:
        if number not in known:
            known.append(number)
            continue
        state[number] = final[number]
        for at in known:
            if state[at].complete and state[at].ours is None:
                verdict = SELECTION.judge(state[at], [state[other] for other in known])
                state[at] = replace(state[at], ours=verdict.ours)
    possible = [item for item in final if SELECTION.judge(item, ()).ours]
    assert [item.ours for item in state].count(True) == bool(possible)
    assert not any(item.ours is None for item in state)
