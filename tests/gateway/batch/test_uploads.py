import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.batch.uploads import Bounds, Parcel, SourceFile, Unit, hidden_below, pack, units_of
from services.gateway.client import Failure
from tests.gateway.batch.runs import write
from tests.scans import zipped


def _names(units: list[Unit]) -> list[list[str]]:
    return [[file.name for file in unit.files] for unit in units]


def _unit(*sizes: int) -> Unit:
    return Unit(tuple(SourceFile(f"{at}", Path(f"f/{at}"), size, 0, 1, size) for at, size in enumerate(sizes)))


def test_files_of_a_folder_stay_together_and_a_zip_is_alone(tmp_path: Path) -> None:
    names = ("p/b/2.dcm", "p/b/1.dcm", "p/a/1.dcm", "p/1.dcm", "p/a/s.ZIP", "p/a/t.zip")
    write(tmp_path, dict.fromkeys((*names, ".git/x", "p/.DS_Store", "__MACOSX/p/1.dcm"), b"x"))
    assert _names(units_of(tmp_path)) == [
        ["p/1.dcm"],
        ["p/a/1.dcm"],
        ["p/a/s.ZIP"],
        ["p/a/t.zip"],
        ["p/b/1.dcm", "p/b/2.dcm"],
    ]


def test_all_below_a_level_can_stay_together(tmp_path: Path) -> None:
    write(tmp_path, {f"{patient}/{study}/{half}/1.dcm": b"x" for patient in "pq" for study in "st" for half in "ab"})
    assert _names(units_of(tmp_path, together=1))[0] == [f"p/{rest}/1.dcm" for rest in ("s/a", "s/b", "t/a", "t/b")]
    assert len(units_of(tmp_path, together=2)) == 4


def test_a_zip_counts_as_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, {"a.zip": zipped({f"{at}.dcm": b"0" * 1000 for at in range(30)}), "b.zip": b"PK damaged"})
    good, bad = units_of(tmp_path)
    assert (good.entries, good.unpacked_bytes) == (30, 30_000)
    assert (bad.entries, bad.unpacked_bytes) == (1, 10)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="there is no such folder"):
        units_of(tmp_path / "nothing")
    assert units_of(tmp_path) == []


def test_keys_stay_the_same_and_change_with_files_and_wishes(tmp_path: Path) -> None:
    write(tmp_path, {"a/1.dcm": b"x", "a/2.dcm": b"y"})

    def key(*wishes: str | None) -> str:
        return Parcel(tuple(units_of(tmp_path))).key(*wishes)

    first = key("routine", None)
    assert key("routine", None) == first
    assert len({first, key("urgent", None), key("routine", "sensitive")}) == 3
    os.utime(tmp_path / "a/2.dcm", ns=(5, 5))
    assert key("routine", None) != first


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=6), max_size=12))
def test_parcels_keep_order_bounds_and_units(sizes: list[list[int]]) -> None:
    units = [_unit(*each) for each in sizes]
    bounds = Bounds(files=8, bytes=300)
    parcels = pack(units, bounds)
    assert [unit for parcel in parcels for unit in parcel.units] == units
    for parcel in parcels:
        assert parcel.entries <= bounds.files
        assert sum(file.size for file in parcel.files) <= bounds.bytes
    for one, other in pairwise(parcels):  # as few as the order allows
        both = [*one.files, *other.units[0].files]
        assert len(both) > bounds.files or sum(file.size for file in both) > bounds.bytes


def test_a_folder_that_is_too_large_is_not_cut_unasked() -> None:
    with pytest.raises(Failure, match=r"f: 5 files, 0 MB are more than one job may hold; raise --job-files"):
        pack([_unit(1, 1, 1, 1, 1)], Bounds(files=2, bytes=100))
    parcels = pack([_unit(1, 1, 1, 1, 1)], Bounds(files=2, bytes=100, split=True))
    assert [[file.name for file in parcel.files] for parcel in parcels] == [["0", "1"], ["2", "3"], ["4"]]
    with pytest.raises(Failure, match="f/0: 1 files, 0 MB"):
        pack([_unit(101)], Bounds(files=2, bytes=100, split=True))


def test_hidden_files_are_left_out_and_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(("a/1.dcm", "a/.2.dcm", ".b/3.dcm", "a/._1.dcm", "a/.DS_Store", "__MACOSX/4"), b"x"))
    assert [file.name for unit in units_of(tmp_path) for file in unit.files] == ["a/1.dcm"]
    assert [path.relative_to(tmp_path).as_posix() for path in hidden_below(tmp_path)] == [".b/3.dcm", "a/.2.dcm"]
