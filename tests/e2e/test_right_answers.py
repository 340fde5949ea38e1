"""Regression tests: inputs that once gave confident probabilities for the wrong image."""

import itertools
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset

from services.common.labels import LABELS
from tests.e2e.altered_series import (
    CORONAL,
    Slices,
    edited,
    encoded,
    enhanced,
    group,
    load,
    reformatted_coronal,
    reoriented,
)
from tests.running import Service
from tests.scans import zipped

pytestmark = pytest.mark.e2e
Report = dict[str, Any]


@pytest.fixture(scope="module")
def slices(samples: Path) -> Slices:
    return load(samples / "series")


@pytest.fixture(scope="module")
def plain(service: Service, slices: Slices) -> Report:
    return _assessed(service, encoded(slices))


def _ask(service: Service, files: dict[str, bytes], **query: str) -> httpx.Response:
    parts = [("files", (name, data)) for name, data in files.items()]
    return httpx.post(f"{service.url}/v1/predictions", files=parts, params=query, timeout=120)


def _assessed(service: Service, files: dict[str, bytes], **query: str) -> Report:
    answer = _ask(service, files, **query)
    assert answer.status_code == 200, answer.text
    report: Report = answer.json()
    return report


def _codes(report: Report, severity: str) -> set[str]:
    return {reason["code"] for reason in report["reasons"] if reason["severity"] == severity}


def _agree(report: Report, plain: Report, tolerance: float = 1e-4) -> bool:
    one, other = report["series"]["probabilities"], plain["series"]["probabilities"]
    return report["status"] == "assessed" and bool(one == pytest.approx(other, abs=tolerance))


@pytest.mark.parametrize("point", ["sensitive", "default", "specific"])
def test_predictions_of_slices_series_and_labels_agree(service: Service, slices: Slices, point: str) -> None:
    for files in (encoded(slices), encoded(slices[:9]), encoded(slices[13:14])):
        report = _assessed(service, files, operating_point=point)
        for predictions in (report["series"]["predictions"], *(item["predictions"] for item in report["slices"])):
            assert predictions["any"] >= any(predictions[label] for label in LABELS[1:])
        for item in report["slices"]:
            assert all(report["series"]["predictions"][label] >= item["predictions"][label] for label in LABELS)


def test_files_with_rfc_5987_names_are_all_assessed(service: Service, slices: Slices, plain: Report) -> None:
    body = b""
    for number, (name, data) in enumerate(encoded(slices).items()):
        star = f"filename*=utf-8''{quote(f'Schädel {name}')}"
        named = star if 10 <= number <= 20 else f'filename="{name}"'
        body += f'--X\r\nContent-Disposition: form-data; name="files"; {named}\r\n\r\n'.encode() + data + b"\r\n"
    headers = {"content-type": "multipart/form-data; boundary=X"}
    answer = httpx.post(f"{service.url}/v1/predictions", content=body + b"--X--\r\n", headers=headers, timeout=120)
    assert _agree(answer.json(), plain)
    assert answer.json()["slices"][10]["file"].startswith("Schädel")


def test_the_slices_of_a_zip_in_a_zip_are_assessed(service: Service, slices: Slices, plain: Report) -> None:
    files = list(encoded(slices).items())
    inner, outer = dict(files[10:21]), dict(files[:10] + files[21:])
    assert _agree(_assessed(service, {"study.zip": zipped({**outer, "more.zip": zipped(inner)})}), plain)


def test_folder_entries_of_windows_zips_are_not_files(service: Service, slices: Slices, plain: Report) -> None:
    files = {"HEAD\\": b"", **{f"HEAD\\{name}": data for name, data in encoded(slices).items()}}
    assert _agree(_assessed(service, {"study.zip": zipped(files)}), plain)


@pytest.mark.parametrize("parts", list(itertools.product((False, True), repeat=3))[1:])
def test_every_in_plane_orientation_gives_the_same_report(
    service: Service, slices: Slices, plain: Report, parts: tuple[bool, bool, bool]
) -> None:
    assert _agree(_assessed(service, encoded(edited(slices, reoriented(*parts)))), plain)


def test_frames_of_another_plane_are_set_aside(service: Service, slices: Slices, plain: Report) -> None:
    def coronal(number: int, frame: Dataset) -> None:
        if number >= len(slices):
            frame.PlaneOrientationSequence = group(ImageOrientationPatient=CORONAL)
            frame.PlanePositionSequence = group(ImagePositionPatient=[-104, -100 + number, 60])

    report = _assessed(service, {"e.dcm": enhanced(slices + reformatted_coronal(slices), coronal)})
    assert _agree(report, plain)
    assert len(report["slices"]) == len(slices)
    assert "file_set_aside" in {reason["code"] for reason in report["reasons"]} or _codes(report, "note")


def test_localizer_frames_are_set_aside(service: Service, slices: Slices, plain: Report) -> None:
    def localizer(number: int, frame: Dataset) -> None:
        if number < 2:
            frame.PlaneOrientationSequence = group(ImageOrientationPatient=CORONAL)
            frame.CTImageFrameTypeSequence = group(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])

    report = _assessed(service, {"e.dcm": enhanced(slices, localizer)})
    assert len(report["slices"]) == len(slices) - 2
    assert report["series"]["predictions"] == plain["series"]["predictions"]


def test_an_iodine_map_is_not_assessed(service: Service, slices: Slices) -> None:
    def iodine(_: int, item: Dataset) -> None:
        values = item.pixel_array.astype(float)
        item.PixelData = np.where(values < 500, 0, values * 0.3).astype(item.pixel_array.dtype).tobytes()
        item.RescaleType, item.ImageType = "MGML", ["DERIVED", "SECONDARY", "AXIAL", "MAT_SPECIFIC"]

    report = _assessed(service, encoded(edited(slices, iodine)))
    assert report["status"] == "not_assessed"
    assert "not_hounsfield" in _codes(report, "refuse")
    assert report["findings"] == []


def test_slices_without_positions_are_ordered_by_their_location(
    service: Service, slices: Slices, plain: Report
) -> None:
    def unplaced(_: int, item: Dataset) -> None:
        item.ImagePositionPatient = [0, 0, 0]

    report = _assessed(service, encoded(edited(slices, unplaced)))
    assert _agree(report, plain)
    assert [item["position_mm"] for item in report["slices"]] == [item["position_mm"] for item in plain["slices"]]
    assert any("SliceLocation" in reason["detail"] for reason in report["reasons"] if reason["severity"] == "warn")


@pytest.mark.parametrize("description", ["HEAD_CTA_0.6", "Kopf mit KM", "TDM avec injection"])
def test_a_description_with_contrast_warns(service: Service, slices: Slices, description: str) -> None:
    def named(_: int, item: Dataset) -> None:
        item.SeriesDescription = description

    assert "contrast" in _codes(_assessed(service, encoded(edited(slices[:9], named))), "warn")


def test_a_decimal_comma_is_read_as_a_decimal_point(service: Service, slices: Slices) -> None:
    def sloped(_: int, item: Dataset) -> None:
        item.RescaleSlope = "0.97"

    point = encoded(edited(slices, sloped))
    comma = {name: data.replace(b"0.97", b"0,97", 1) for name, data in point.items()}
    assert comma != point
    assert _agree(_assessed(service, comma), _assessed(service, point))


@pytest.mark.parametrize("spacing", [["5", "0.5"], ["0.05", "0.05"], ["1e307", "1e307"]])
def test_implausible_pixel_spacing_is_not_assessed(service: Service, slices: Slices, spacing: list[str]) -> None:
    def wide(_: int, item: Dataset) -> None:
        item.PixelSpacing = spacing

    answer = _ask(service, encoded(edited(slices, wide)))
    assert answer.status_code == 422 or answer.json()["status"] == "not_assessed"
