import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.batch.uploads import (
    JobLimits,
    SourceFile,
    Unit,
    Upload,
    find_hidden_files,
    find_units,
    pack_uploads,
)
from services.gateway.client import UsageError
from tests.gateway.batch.runs import write
from tests.scans import zipped


def _names(units: list[Unit]) -> list[list[str]]:
    return [[file.name for file in unit.files] for unit in units]


def _unit(*sizes: int) -> Unit:
    return Unit(tuple(SourceFile(f"{at}", Path(f"f/{at}"), size, 0, 1, size) for at, size in enumerate(sizes)))


def test_a_folder_is_one_unit_and_so_is_a_zip(tmp_path: Path) -> None:
    names = ("p/b/2.dcm", "p/b/1.dcm", "p/a/1.dcm", "p/1.dcm", "p/a/s.ZIP", "p/a/t.zip")
    write(tmp_path, dict.fromkeys((*names, ".git/x", "p/.DS_Store", "__MACOSX/p/1.dcm"), b"x"))
    assert _names(find_units(tmp_path)) == [
        ["p/1.dcm"],
        ["p/a/1.dcm"],
        ["p/a/s.ZIP"],
        ["p/a/t.zip"],
        ["p/b/1.dcm", "p/b/2.dcm"],
    ]


def test_together_keeps_all_files_below_a_level_in_one_unit(tmp_path: Path) -> None:
    write(tmp_path, {f"{patient}/{study}/{half}/1.dcm": b"x" for patient in "pq" for study in "st" for half in "ab"})
    assert _names(find_units(tmp_path, together=1))[0] == [f"p/{rest}/1.dcm" for rest in ("s/a", "s/b", "t/a", "t/b")]
    assert len(find_units(tmp_path, together=2)) == 4


def test_a_zip_counts_as_its_entries(tmp_path: Path) -> None:
    write(tmp_path, {"a.zip": zipped({f"{at}.dcm": b"0" * 1000 for at in range(30)}), "b.zip": b"PK damaged"})
    good, bad = find_units(tmp_path)
    assert (good.entries, good.unpacked_bytes) == (30, 30_000)
    assert (bad.entries, bad.unpacked_bytes) == (1, 10)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        find_units(tmp_path / "nothing")
    assert find_units(tmp_path) == []


def test_the_idempotency_key_changes_with_files_and_options_only(tmp_path: Path) -> None:
    write(tmp_path, {"a/1.dcm": b"x", "a/2.dcm": b"y"})

    def key(*options: str | None) -> str:
        return Upload(tuple(find_units(tmp_path))).idempotency_key(*options)

    first = key("routine", None)
    assert key("routine", None) == first
    assert len({first, key("urgent", None), key("routine", "sensitive")}) == 3
    os.utime(tmp_path / "a/2.dcm", ns=(5, 5))
    assert key("routine", None) != first


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=6), max_size=12))
def test_uploads_keep_the_order_the_limits_and_whole_units(sizes: list[list[int]]) -> None:
    units = [_unit(*each) for each in sizes]
    limits = JobLimits(max_files=8, max_bytes=300)
    uploads = pack_uploads(units, limits)
    assert [unit for upload in uploads for unit in upload.units] == units
    for upload in uploads:
        assert upload.entries <= limits.max_files
        assert sum(file.size for file in upload.files) <= limits.max_bytes
    for one, other in pairwise(uploads):  # no upload could take the next unit
        both = [*one.files, *other.units[0].files]
        assert len(both) > limits.max_files or sum(file.size for file in both) > limits.max_bytes


def test_a_folder_over_the_limits_is_cut_with_split_only() -> None:
    with pytest.raises(UsageError, match=r"f has 5 files and 0 MB; a job may have 2 files and 0 MB: raise --job-files"):
        pack_uploads([_unit(1, 1, 1, 1, 1)], JobLimits(max_files=2, max_bytes=100))
    uploads = pack_uploads([_unit(1, 1, 1, 1, 1)], JobLimits(max_files=2, max_bytes=100, split=True))
    assert [[file.name for file in upload.files] for upload in uploads] == [["0", "1"], ["2", "3"], ["4"]]
    with pytest.raises(UsageError, match="f/0 has 1 file and 0 MB"):
        pack_uploads([_unit(101)], JobLimits(max_files=2, max_bytes=100, split=True))


def test_hidden_files_are_left_out_and_listed(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(("a/1.dcm", "a/.2.dcm", ".b/3.dcm", "a/._1.dcm", "a/.DS_Store", "__MACOSX/4"), b"x"))
    assert [file.name for unit in find_units(tmp_path) for file in unit.files] == ["a/1.dcm"]
    assert [path.relative_to(tmp_path).as_posix() for path in find_hidden_files(tmp_path)] == [".b/3.dcm", "a/.2.dcm"]


def test_the_idempotency_key_is_that_of_version_0_2_0() -> None:
    """A run of that version may have sent the job already."""
    upload = Upload((_unit(1, 2), _unit(3)))
    assert upload.idempotency_key("routine", None) == "2c4cbfaab66f0ea532ee8d9c1a76101d"
