"""Orientation, spacing and positions of a series, from an upload to its report."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.contracts.conftest import Chain
from tests.preprocess.dicom_files import all_eight, dataset, head_hu, written

pytestmark = pytest.mark.anyio


def lopsided(index: int, **changes: Any) -> Dataset:
    """A slice without symmetry; slices with a higher index are higher."""
    hu = head_hu(96, 64).copy()
    hu[40:50, 20 + index : 30] = 75
    return dataset(
        Rows=96,
        Columns=64,
        PixelData=(hu + 1024).astype("<u2").tobytes(),
        PixelSpacing=[2.0, 2.5],
        ImagePositionPatient=[-80, -96, 5 * index],
        SOPInstanceUID=f"1.2.3.{index + 1}",
        InstanceNumber=index + 1,
        **changes,
    )


async def report_of(chain: Chain, datasets: Sequence[Dataset]) -> dict[str, Any]:
    files = {f"{index}.dcm": written(found) for index, found in enumerate(datasets)}
    answer = await chain.predict(files, images="true")
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def codes(report: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in report["reasons"]}


async def test_all_eight_orders_of_rows_and_columns_give_the_same_report(chain: Chain) -> None:
    stored = zip(*(all_eight(lopsided(index)) for index in range(3)), strict=True)
    reports = [await report_of(chain, one) for one in stored]
    for report in reports:
        assert [item["image"] for item in report["slices"]] == [item["image"] for item in reports[0]["slices"]]
        assert [item["probabilities"] for item in report["slices"]] == [
            item["probabilities"] for item in reports[0]["slices"]
        ]
        assert [item["file"] for item in report["slices"]] == ["0.dcm", "1.dcm", "2.dcm"]
        assert codes(report) == codes(reports[0])
        assert report["status"] == "assessed"
    assert len({item["image"] for item in reports[0]["slices"]}) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"PixelSpacing": [5, 0.5]}, "pixel aspect is 10"), ({"PixelSpacing": [0, 0]}, "it must exceed 0"),
     ({"ImagePositionPatient": [0, 20_000, 0]}, "y of ImagePositionPatient is 20000 mm"),
     ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "must be two unit vectors")],
)  # fmt: skip
async def test_implausible_geometry_is_not_assessed(chain: Chain, changes: dict[str, Any], words: str) -> None:
    report = await report_of(chain, [dataset(**changes)])
    assert report["status"] == "not_assessed"
    assert report["findings"] == []
    assert report["series"]["probabilities"] is None
    (refusal,) = [item for item in report["reasons"] if item["severity"] == "refuse"]
    assert refusal["code"] == "implausible_geometry"
    assert words in refusal["detail"]


async def test_missing_geometry_is_assessed_with_warnings(chain: Chain) -> None:
    report = await report_of(chain, [dataset(PixelSpacing=None, ImageOrientationPatient=None)])
    assert report["status"] == "assessed"
    assert {"no_pixel_spacing", "no_orientation"} <= codes(report)


async def test_series_without_positions_are_ordered_by_another_tag_or_refused(chain: Chain) -> None:
    def zeroed(location: float | None, number: int | None) -> Dataset:
        found = lopsided(int(location if location is not None else number or 0) % 10)
        found.ImagePositionPatient, found.SliceLocation, found.InstanceNumber = [0, 0, 0], location, number
        return found

    located = await report_of(chain, [zeroed(location, 1) for location in (9, 3, 6)])
    assert [item["file"] for item in located["slices"]] == ["1.dcm", "2.dcm", "0.dcm"]
    assert [item["position_mm"] for item in located["slices"]] == [0, 3, 6]
    assert located["status"] == "assessed"
    assert "SliceLocation" in next(item["detail"] for item in located["reasons"] if item["code"] == "no_position")
    lost = await report_of(chain, [zeroed(None, 1), zeroed(5, 1)])
    assert lost["status"] == "not_assessed"
    assert "no_order" in codes(lost)
    assert lost["series"]["probabilities"] is None
