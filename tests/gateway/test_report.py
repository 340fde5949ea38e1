import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.acceptance import make_reason
from services.common.labels import LABELS, SUBTYPES, Label
from services.common.operating_points import OperatingPoint, Thresholds, clamped
from services.common.report_schemas import Report, Timings
from services.common.schemas import Evidence, SeriesHeader, SliceReference
from services.common.version import VERSION
from services.gateway.assessment import Assessment
from services.gateway.bundle import ServedBundle
from services.gateway.jobs.report_formats import COLUMNS, csv_row
from services.gateway.prediction_responses import PREDICTION_RESPONSES
from services.gateway.report import ReportIdentity, build_report
from services.gateway.stages.network_requests import Scores
from tests.bundles import fake_bundle

WORK = {"preprocess": 1.0, "cnn": 2.0, "rnn": 3.0}
TIMINGS = Timings(upload=1, total=9, **WORK)
IDENTITY = ReportIdentity("r1", "2026-02-03T10:20:30.405Z")


def _header(slices: int, uid: str | None = "2.25.2") -> SeriesHeader:
    items = tuple(SliceReference(file=index, sop_instance_uid=f"2.25.{index}") for index in range(slices))
    return SeriesHeader(uid=uid, study_uid="2.25.1", items=items, position_mm=tuple(map(float, range(slices))))


def _row(highest: float) -> tuple[float, ...]:
    return (highest, *(highest * share for share in (0.1, 0.9, 0.2, 0.3, 0.4)))


@pytest.fixture
def bundle(tmp_path: Path) -> ServedBundle:
    opened = fake_bundle(tmp_path)
    return ServedBundle(opened.card, opened.card_sha256)


def _report(bundle: ServedBundle, assessment: Assessment, point: OperatingPoint = "default") -> Report:
    names = [f"{index}.dcm" for index in range(len(assessment.header.items))]
    return build_report(assessment, names, bundle, identity=IDENTITY, operating_point=point, timings=TIMINGS)


def _assessed(values: list[float], uid: str | None = "2.25.2") -> Assessment:
    whole = _row(max(values)) if uid or len(values) == 1 else None
    scores = Scores(tuple(map(_row, values)), whole, "sha")
    return Assessment(_header(len(values), uid), (), scores, (), WORK)


def test_findings_have_every_label_in_order(bundle: ServedBundle) -> None:
    report = _report(bundle, _assessed([0.2, 0.8]))
    assert [line.split(":")[0] for line in report.findings] == list(LABELS)
    assert report.findings[:3] == ("any: present (0.80)", "epidural: absent (0.08)", "intraparenchymal: present (0.72)")


def test_a_prediction_is_true_only_above_its_threshold(bundle: ServedBundle) -> None:
    assert _report(bundle, _assessed([0.5])).slices[0].predictions == dict.fromkeys(LABELS, False)
    predictions = _report(bundle, _assessed([0.5]), "sensitive").slices[0].predictions
    assert predictions == {**dict.fromkeys(LABELS, True), "epidural": False, "intraventricular": False}


def _served(bundle: ServedBundle, levels: tuple[Thresholds, Thresholds]) -> ServedBundle:
    """The fake bundle at any two ordered points."""
    points = clamped({"default": levels[0], "sensitive": levels[1]})
    return ServedBundle(bundle.card.model_copy(update={"thresholds": points}), bundle.card_sha256)


shares = st.floats(0, 1)
score_rows = st.tuples(*[shares] * len(LABELS))
even = score_rows.map(lambda row: dict(zip(LABELS, row, strict=True)))
threshold_levels = st.builds(Thresholds, slice=even, series=even)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    slices=st.lists(score_rows, min_size=1, max_size=4),
    whole=score_rows,
    levels=st.tuples(threshold_levels, threshold_levels),
    uid=st.sampled_from(["2.25.2", None]),
)
def test_no_report_contradicts_itself(
    bundle: ServedBundle,
    slices: list[tuple[float, ...]],
    whole: tuple[float, ...],
    levels: tuple[Thresholds, Thresholds],
    uid: str | None,
) -> None:
    given_series = whole if uid or len(slices) == 1 else None
    assessment = Assessment(_header(len(slices), uid), (), Scores(tuple(slices), given_series, "sha"), (), WORK)
    served = _served(bundle, levels)
    strict, loose = (_report(served, assessment, point) for point in ("default", "sensitive"))
    for report in (strict, loose):
        _consistent(report)
    for before, after in zip(_predictions(strict), _predictions(loose), strict=True):
        assert all(after[label] >= before[label] for label in LABELS)


def _predictions(report: Report) -> list[dict[Label, bool]]:
    every = [report.series.predictions] if report.series else []
    return [found for found in [*every, *(item.predictions for item in report.slices)] if found]


def _consistent(report: Report) -> None:
    for found in _predictions(report):
        assert found["any"] >= any(found[label] for label in SUBTYPES)
    whole = report.series.predictions if report.series else None
    for item in report.slices:
        assert item.predictions
        assert whole is None or all(whole[label] >= item.predictions[label] for label in LABELS)
        assert (item.index in report.key_slices) <= item.predictions["any"]
    if len(report.slices) == 1:
        assert whole == report.slices[0].predictions
    words = [": present" in line for line in report.findings]
    assert words[0] >= any(words[1:])
    table = list(csv_row("j", 0, json.loads(report.model_dump_json())))
    said = [value for name, value in zip(COLUMNS, table, strict=True) if name.startswith("prediction_")]
    assert said == ["true" if present else "false" for present in words]


def test_a_series_of_one_slice_has_the_values_of_its_slice(bundle: ServedBundle) -> None:
    scores = Scores((_row(0.6),), _row(0.3), "sha")
    report = _report(bundle, Assessment(_header(1), (), scores, (), WORK))
    assert report.series
    assert report.series.probabilities == report.slices[0].probabilities
    assert report.findings[0] == "any: present (0.60)"
    assert report.thresholds.series == report.thresholds.slice


def test_labels_of_slices_are_labels_of_the_series(bundle: ServedBundle) -> None:
    scores = Scores((_row(0.9), _row(0.2)), _row(0.3), "sha")
    report = _report(bundle, Assessment(_header(2), (), scores, (), WORK))
    assert report.findings[0] == "any: absent (0.30)"
    assert report.slices[0].probabilities
    assert report.slices[0].probabilities["any"] == 0.9
    assert not any(any(found.values()) for found in _predictions(report))
    assert report.key_slices == ()


def test_key_slices_are_the_five_highest_that_are_predicted(bundle: ServedBundle) -> None:
    assert _report(bundle, _assessed([0.6, 0.1, 0.9, 0.7, 0.8, 0.55, 0.65])).key_slices == (2, 4, 3, 6, 0)
    assert _report(bundle, _assessed([0.1, 0.2])).key_slices == ()


def test_key_slices_are_the_middle_slices_of_slabs(bundle: ServedBundle) -> None:
    whole = _assessed([0.7, 0.7, 0.7, 0.9, 0.9, 0.1, 0.6])
    report = _report(bundle, replace(whole, slabs=(0, 0, 0, 1, 1, 2, 3)))
    assert [item.slab for item in report.slices] == [0, 0, 0, 1, 1, 2, 3]
    assert report.key_slices == (4, 1, 6)
    assert {item.slab for item in _report(bundle, whole).slices} == {None}


def test_independent_slices_have_no_series(bundle: ServedBundle) -> None:
    report = _report(bundle, _assessed([0.2, 0.8], uid=None))
    assert report.series is None
    assert report.findings[0] == "any: present in 1 of 2 slices (highest 0.80)"
    assert report.findings[1] == "epidural: absent (highest 0.08)"


def test_a_report_that_is_not_assessed_has_no_probabilities(bundle: ServedBundle) -> None:
    refusal = make_reason("not_a_head", bone=0.0, brain=0.0, air=1.0, centre_air=0.0)
    seen = (Evidence(bone=0.1, air=0.6, air_hu=-990), Evidence(bone=0.3, air=0.8))
    report = _report(bundle, Assessment(_header(2), (refusal,), None, (), WORK, seen))
    assert report.status == "not_assessed"
    assert report.series is not None
    assert report.series.probabilities is None
    assert all(item.probabilities is None and item.predictions is None for item in report.slices)
    assert (report.findings, report.key_slices) == ((), ())
    assert report.evidence
    assert (report.evidence.slices_read, report.evidence.bone, report.evidence.air_hu) == (2, 0.2, -990)


def test_a_report_has_its_time_and_version(bundle: ServedBundle) -> None:
    report = _report(bundle, _assessed([0.2]))
    assert (report.id, report.created, report.version) == (IDENTITY.id, IDENTITY.created, VERSION)
    assert report.evidence is None


def test_a_report_of_an_older_version_is_valid(bundle: ServedBundle) -> None:
    report = _report(bundle, _assessed([0.2]))
    lacking: dict[str, Any] = {"created": True, "version": True, "evidence": True, "model": {"engines"}}
    older = Report.model_validate_json(report.model_dump_json(exclude=lacking))
    assert (older.created, older.version, older.evidence, older.model.engines) == (None, None, None, None)
    assert older.findings == report.findings


def test_pictures_belong_to_their_slices(bundle: ServedBundle) -> None:
    scores = Scores((_row(0.1), _row(0.2)), _row(0.2), "sha")
    report = _report(bundle, Assessment(_header(2), (), scores, (b"one", b"two"), WORK))
    assert [item.image for item in report.slices] == ["b25l", "dHdv"]


def test_the_examples_in_the_documentation_are_reports() -> None:
    for example in PREDICTION_RESPONSES[200]["content"]["application/json"]["examples"].values():
        Report.model_validate(example["value"])
