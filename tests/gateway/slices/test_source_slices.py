"""A report's slice is found in exactly one file, or not at all."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.common.schemas import SeriesHeader, SliceReference
from services.gateway.jobs.schemas import StoredFile
from services.gateway.slices.problems import AmbiguousSlice, NoPicture
from services.gateway.slices.source_slices import slices_by_header, slices_by_name


def files_of(*names: str) -> list[StoredFile]:
    return [StoredFile(name=name, number=f"{number:06d}", size=1) for number, name in enumerate(names)]


def report_of(*places: tuple[str, int | None], uids: Sequence[str | None] = (), **more: Any) -> dict[str, Any]:
    """A report whose slices are these files and frames."""
    known = [*uids, *(None for _ in places)]
    slices = [
        {"index": index, "file": file, "frame": frame, "sop_instance_uid": known[index], "slab": None}
        for index, (file, frame) in enumerate(places)
    ]
    return {"slices": slices, "series": {"series_instance_uid": "1.2.3"}, **more}


def test_names_and_frames_decide_whatever_the_order_of_the_upload() -> None:
    found = slices_by_name(report_of(("b", 0), ("c", 2), ("a", 0), ("c", 1)), files_of("a", "b", "c", "set aside"))
    assert found
    assert [(item.file, item.frame) for item in found.items] == [(1, 0), (2, 2), (0, 0), (2, 1)]


@pytest.mark.parametrize("places", [[("a", 0), ("b", 0)], [("b", None)]], ids=["two files of a name", "no frame"])
def test_a_doubt_is_not_decided_by_names(places: list[tuple[str, int | None]]) -> None:
    assert slices_by_name(report_of(*places), files_of("a", "a", "b")) is None


def test_a_file_that_the_plan_lacks_is_a_doubt() -> None:
    assert slices_by_name(report_of(("gone", 0)), files_of("a")) is None


def header(*items: tuple[int, int, str | None]) -> SeriesHeader:
    references = tuple(SliceReference(file=file, frame=frame, sop_instance_uid=uid) for file, frame, uid in items)
    return SeriesHeader(uid="1.2.3", study_uid="1.2", items=references, position_mm=(0.0,) * len(items))


def test_headers_must_agree_with_every_slice() -> None:
    report, files = report_of(("a", 0), ("a", None), uids=("1", "2")), files_of("a", "a")
    found = slices_by_header(report, files, header((1, 0, "1"), (0, 3, "2")))
    assert [(item.file, item.frame) for item in found.items] == [(1, 0), (0, 3)]
    for other in (
        header((1, 0, "1")),
        header((1, 0, "2"), (0, 3, "1")),
        header((1, 1, "1"), (0, 3, "2")),
    ):
        with pytest.raises(AmbiguousSlice):
            slices_by_header(report, files, other)


def test_slabs_and_indices() -> None:
    report = report_of(*((f"{index}", 0) for index in range(5)))
    for item, slab in zip(report["slices"], (0, 0, 1, 1, 1), strict=True):
        item["slab"] = slab
    found = slices_by_name(report, files_of(*"01234"))
    assert found
    assert [item.file for item in found.slab(1)] == [0, 1]
    assert [item.file for item in found.slab(4)] == [2, 3, 4]
    for index in (-1, 5):
        with pytest.raises(NoPicture, match="no_picture"):
            found.item(index)


@pytest.mark.parametrize("series", [None, {"series_instance_uid": None}])
def test_pngs_have_no_hounsfield_units(series: dict[str, None] | None) -> None:
    report = {**report_of(("a", 0)), "series": series}
    found = slices_by_name(report, files_of("a"))
    assert found
    assert not found.has_hu


def test_a_failed_series_has_no_slices() -> None:
    with pytest.raises(NoPicture):
        slices_by_name({"status": "failed", "series": {}}, files_of("a"))
