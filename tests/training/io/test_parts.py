"""The rules of parts, on units that are small files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.io.errors import TrainingError
from training.io.parts import MOST_PARTS, Part, Parts, read_part

UNITS = [f"{number:05d}" for number in range(5)]


def _parts(folder: Path, archive: str = "a") -> Parts:
    return Parts("shards", folder / "parts", {"archive": archive, "recipe": "r"}, lambda unit: [folder / f"{unit}.bin"])


def _make(folder: Path, part: Part, archive: str = "a") -> None:
    parts = _parts(folder, archive)
    parts.begin(part)
    for unit in part.of(UNITS):
        if not (folder / f"{unit}.bin").exists():
            (folder / f"{unit}.bin").write_text(unit)
    parts.finish(part, part.of(UNITS))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_every_unit_is_in_one_part(tmp_path: Path, count: int) -> None:
    for number in range(count, 0, -1):
        _make(tmp_path, Part(number, count))
    _parts(tmp_path).check(count, UNITS)
    found = [unit for number in range(1, count + 1) for unit in Part(number, count).of(UNITS)]
    assert sorted(found) == UNITS


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/4", "a/b", " 1/3", "1/99999", "1/3\n", "²/3"]
)
def test_a_part_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(TrainingError, match="is no part: give k/n"):
        read_part(text)
    assert read_part(f"1/{MOST_PARTS}") == Part(1, MOST_PARTS)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    _make(tmp_path, Part(2, 4))
    with pytest.raises(TrainingError, match=r"Parts 1/4, 3/4, 4/4 of shards are missing in .*parts: run"):
        _parts(tmp_path).check(4, UNITS)


def test_a_part_of_another_number_is_refused_when_it_begins_and_when_parts_are_joined(tmp_path: Path) -> None:
    _make(tmp_path, Part(1, 2))
    with pytest.raises(TrainingError, match="has part 1/2 of shards, and 3 parts are wanted"):
        _make(tmp_path, Part(1, 3))
    with pytest.raises(TrainingError, match="has part 1/2 of shards, and 3 parts are wanted"):
        _parts(tmp_path).check(3, UNITS)


def test_a_part_of_another_archive_is_refused_by_name_and_may_be_made_again(tmp_path: Path) -> None:
    _make(tmp_path, Part(1, 2))
    _make(tmp_path, Part(2, 2), archive="b")
    with pytest.raises(TrainingError, match=r"Part 2/2 of shards is of another archive: run .* --part 2/2"):
        _parts(tmp_path).check(2, UNITS)
    _make(tmp_path, Part(2, 2))
    _parts(tmp_path).check(2, UNITS)


def test_a_file_that_changed_is_refused_and_made_again_by_its_part(tmp_path: Path) -> None:
    for number in (1, 2):
        _make(tmp_path, Part(number, 2))
    (tmp_path / "00003.bin").write_text("")
    with pytest.raises(TrainingError, match=r"unit 00003 are missing or changed: run .* --part 2/2"):
        _parts(tmp_path).check(2, UNITS)
    _make(tmp_path, Part(2, 2))
    assert (tmp_path / "00003.bin").read_text() == "00003"
    _parts(tmp_path).check(2, UNITS)


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text(path.read_text()[:-9]), "2-of-2.json is damaged"),
        (lambda path: path.write_text("[]"), "2-of-2.json is damaged"),
        (_edit(lambda record: record.update(part="1/2")), "2-of-2.json is damaged"),
        (_edit(lambda record: record["inputs"].update(more="x")), "is of another program"),
        (_edit(lambda record: record["units"].pop("00003")), "Unit 00003 of shards is missing"),
        (_edit(lambda record: record["units"].update({"00000": {}})), "Unit 00000 of shards is double"),
        (_edit(lambda record: record["units"].update({"../x": {}})), r"Unit ../x of shards is unknown"),
    ],
)
def test_a_wrong_record_is_refused(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    for number in (1, 2):
        _make(tmp_path, Part(number, 2))
    spoil(tmp_path / "parts" / "2-of-2.json")
    with pytest.raises(TrainingError, match=message):
        _parts(tmp_path).check(2, UNITS)


@pytest.mark.parametrize("count", [0, -1, MOST_PARTS + 1])
def test_a_number_of_parts_out_of_range_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(TrainingError, match="is no number of parts"):
        _parts(tmp_path).check(count, UNITS)
