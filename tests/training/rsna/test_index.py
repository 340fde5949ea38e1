import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.common.labels import LABELS
from services.preprocess.pipeline import Pipeline
from tests.training.archives import SLICES, Files, files, name_of, positive, slice_of, write_folder, write_zip
from training.io.errors import TrainingError
from training.rsna.archive import ROOT, TABLE, Archive, ZipArchive, open_archive
from training.rsna.headers import REASON_TEXTS, SUSPECT
from training.rsna.index import build_index

HELD = files()
PATIENTS = 7


def _index(tmp_path: Path, held: Files, **options: Any) -> list[dict[str, Any]]:
    archive = open_archive(write_zip(tmp_path / "archive.zip", held))
    build_index(archive, tmp_path / "index.parquet", **{"processes": 1, **options})
    rows: list[dict[str, Any]] = pq.read_table(tmp_path / "index.parquet").to_pylist()
    return rows


def _counts(tmp_path: Path) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((tmp_path / "index.json").read_text())
    return counts


def test_every_file_has_a_row_with_what_its_header_says(tmp_path: Path) -> None:
    rows = _index(tmp_path, HELD)
    assert {row["file"] for row in rows} == set(HELD) - {TABLE}
    row = next(row for row in rows if row["file"] == name_of(4))
    assert {key: row[key] for key in row if key not in LABELS} == {
        "file": name_of(4),
        "split": "train",
        "sop_instance_uid": "ID_000000004",
        "patient_id": "ID_patient1",
        "study_uid": "ID_study00001",
        "series_uid": "ID_series0001",
        "rows": 8,
        "columns": 8,
        "bits_stored": 16,
        "pixel_representation": 1,
        "rescale_slope": 1.0,
        "rescale_intercept": 0.0,
        "intercept_repaired": False,
        "row_spacing_mm": 32.0,
        "column_spacing_mm": 32.0,
        "slice_thickness_mm": 5.0,
        "position_mm": 5.0,
        "order": 1,
        "reason": None,
    }


def test_training_slices_have_their_labels_and_test_slices_none(tmp_path: Path) -> None:
    for row in _index(tmp_path, HELD):
        number = int(row["file"][-13:-4], 16)
        train = {label: label in positive(number) for label in LABELS}
        assert {label: row[label] for label in LABELS} == (train if row["split"] == "train" else dict.fromkeys(LABELS))


def test_the_order_is_the_services_own_ties_tilt_and_duplicates_included(tmp_path: Path) -> None:
    tilted = [1, 0, 0, 0, 0.8, -0.6]
    places = [(0, 9), (3, 1), (3, 1), (-2, 4), (5, 0), (0, 0)]
    own = {
        name_of(number): slice_of(
            number, PatientID="P", SeriesInstanceUID="S", StudyInstanceUID="T",
            ImagePositionPatient=[0, y, z], ImageOrientationPatient=tilted,
        )
        for number, (y, z) in enumerate(places)
    }  # fmt: skip
    rows = _index(tmp_path, own | {TABLE: HELD[TABLE]})
    names = sorted(own)
    (series,) = Pipeline.read_headers([own[name] for name in names], [len(own[name]) for name in names]).series
    assert [row["file"] for row in rows] == [names[item.file] for item in series.items]
    assert [row["position_mm"] for row in rows] == list(series.position_mm)
    assert [row["order"] for row in rows] == list(range(len(places)))


def test_files_of_no_use_are_set_aside_with_a_reason_and_the_rest_is_indexed(tmp_path: Path) -> None:
    bad = {
        name_of(0): HELD[name_of(0)][:-20],
        name_of(4): b"noise" * 100,
        name_of(7): b"",
        name_of(10): slice_of(10, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        name_of(13): slice_of(13, PatientID=""),
        name_of(16): slice_of(16, NumberOfFrames=2, PixelData=bytes(256)),
    }
    rows = _index(tmp_path, HELD | bad)
    reasons = {row["file"]: row["reason"] for row in rows if row["reason"]}
    expected = ("truncated", "not_dicom", "empty_file", "not_a_ct_slice", "unidentified", "several_frames")
    assert reasons == dict(zip(bad, expected, strict=True))
    assert all((row["order"] is None) == bool(row["reason"]) for row in rows)
    listed = [line.split("\t") for line in (tmp_path / "index.set_aside.txt").read_text().splitlines()]
    assert {file: code for file, code, _ in listed} == reasons
    assert all(words == REASON_TEXTS[code] for _, code, words in listed)
    assert _counts(tmp_path)["set_aside"] == dict.fromkeys(expected, 1)


def test_series_that_the_service_refuses_for_their_geometry_are_set_aside(tmp_path: Path) -> None:
    wide = {name_of(number): slice_of(number, PixelSpacing=[20, 50]) for number in range(SLICES)}
    lost = {name_of(number): slice_of(number, ImagePositionPatient=None) for number in range(SLICES, 2 * SLICES)}
    rows = _index(tmp_path, HELD | wide | lost)
    reasons = {row["file"]: row["reason"] for row in rows if row["reason"]}
    expected = dict.fromkeys(wide, "implausible_geometry") | dict.fromkeys(lost, "no_order")
    assert reasons == expected
    assert all((row["order"] is None) == bool(row["reason"]) for row in rows)
    assert _counts(tmp_path)["set_aside"] == {"implausible_geometry": SLICES, "no_order": SLICES}


def test_the_slices_known_to_be_of_no_use_are_set_aside_by_name(tmp_path: Path) -> None:
    names = [f"stage_2_train/{name}.dcm" for name in sorted(SUSPECT)]
    rows = _index(tmp_path, HELD | dict.fromkeys(names, slice_of(99)))
    assert sorted(row["file"] for row in rows if row["reason"] == "suspect") == names
    assert len(names) == 5


def test_a_spoilt_entry_does_not_stop_the_others(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "archive.zip", HELD)
    archive = open_archive(path)
    assert isinstance(archive, ZipArchive)
    data = bytearray(path.read_bytes())
    data[archive.members[name_of(2)].offset] ^= 0xFF
    path.write_bytes(data)
    build_index(open_archive(path), tmp_path / "index.parquet", processes=1)
    reasons = {row["file"]: row["reason"] for row in pq.read_table(tmp_path / "index.parquet").to_pylist()}
    assert {file for file, reason in reasons.items() if reason} == {name_of(2)}
    assert reasons[name_of(2)] == "unreadable"


def test_the_lost_intercept_is_marked_for_the_services_table_mends_it(tmp_path: Path) -> None:
    faulty = slice_of(1, BitsStored=12, HighBit=11, PixelRepresentation=0)
    rows = _index(tmp_path, HELD | {name_of(1): faulty})
    assert [row["file"] for row in rows if row["intercept_repaired"]] == [name_of(1)]
    assert _counts(tmp_path)["intercepts_mended"] == 1


def test_missing_and_duplicate_labels_are_reported(tmp_path: Path) -> None:
    lines = HELD[TABLE].decode().splitlines()
    twice = "\n".join([*lines[:1], *lines[7:], *lines[7:13], "ID_nowhere_any,1", ""])
    rows = _index(tmp_path, HELD | {TABLE: twice.encode()})
    (unknown,) = (row for row in rows if row["split"] == "train" and row["any"] is None)
    assert (unknown["file"], unknown["reason"]) == (name_of(0), None)
    counts = _counts(tmp_path)
    assert (counts["label_rows_twice"], counts["training_slices_without_labels"]) == (6, 1)
    assert counts["labels_missing"] == 5
    assert counts["set_aside"] == {"missing_file": 1}
    assert "ID_nowhere\tmissing_file" in (tmp_path / "index.set_aside.txt").read_text()


def test_a_missing_file_of_a_folder_is_reported(tmp_path: Path) -> None:
    held = {name: data for name, data in HELD.items() if name != name_of(5)}
    build_index(open_archive(write_folder(tmp_path / "archive", held)), tmp_path / "index.parquet", processes=1)
    assert pq.read_table(tmp_path / "index.parquet").num_rows == PATIENTS * SLICES - 1
    assert (tmp_path / "index.set_aside.txt").read_text().startswith("ID_000000005\tmissing_file\t")


class _Stopping(Archive):
    """An archive that can be read so many times, and then ends as a killed process does."""

    def __init__(self, archive: Archive, reads: int) -> None:
        self.path, self._archive, self.reads = archive.path, archive, reads

    @property
    def sizes(self) -> Any:
        return self._archive.sizes

    @property
    def digest(self) -> str:
        return self._archive.digest

    def only(self, names: Any) -> Archive:  # noqa: ARG002 - all share one count
        return self

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        self.reads -= name != TABLE
        if self.reads < 0:
            raise KeyboardInterrupt
        return self._archive.read(name, limit_bytes)


def test_a_stopped_start_is_gone_on_with_and_a_finished_one_is_left_alone(tmp_path: Path) -> None:
    archive = open_archive(write_zip(tmp_path / "archive.zip", HELD))
    out, whole = tmp_path / "index.parquet", tmp_path / "whole.parquet"
    build_index(archive, whole, processes=1)
    stopping = _Stopping(archive, 12)
    with pytest.raises(KeyboardInterrupt):
        build_index(stopping, out, processes=1, block_files=5)
    assert not out.exists()
    stopping.reads = PATIENTS * SLICES - 10  # two blocks of five files are there
    build_index(stopping, out, processes=1, block_files=5)
    assert stopping.reads == 0
    assert pq.read_table(out).equals(pq.read_table(whole))
    assert not list(tmp_path.glob("*.part*-*"))
    build_index(stopping, out, processes=1, block_files=5)


def test_another_archive_is_another_index(tmp_path: Path) -> None:
    _index(tmp_path, HELD)
    assert len(_index(tmp_path, files(3, 0))) == 3 * SLICES


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    one = _index(tmp_path, HELD)
    (tmp_path / "index.parquet").unlink()
    assert _index(tmp_path, HELD, processes=2, block_files=8) == one


NO_ROOM = """
import resource, sys
from pathlib import Path
from training.rsna.archive import open_archive
from training.io.errors import TrainingError
from training.rsna.index import build_index
archive = open_archive(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    build_index(archive, Path(sys.argv[2]), processes=1, block_files=5)
except TrainingError as reason:
    print(reason)
"""


@pytest.fixture
def archive_path(tmp_path: Path) -> Iterator[Path]:
    path = write_zip(tmp_path / "archive.zip", HELD)
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before


@pytest.mark.parametrize("limit", [100, 6000])
def test_a_full_disk_ends_in_one_sentence_and_loses_nothing(tmp_path: Path, archive_path: Path, limit: int) -> None:
    """The smaller limit stops the first block, the larger one the index."""
    out = tmp_path / "index.parquet"
    command = [sys.executable, "-c", NO_ROOM, str(archive_path), str(out), str(limit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]).stdout
    assert said.startswith("No space is left for ")
    assert said.count("\n") == 1
    assert not out.exists()
    build_index(open_archive(archive_path), out, processes=1, block_files=5)
    assert pq.read_table(out).num_rows == PATIENTS * SLICES


def test_without_labels_no_header_is_read(tmp_path: Path) -> None:
    archive = _Stopping(open_archive(write_zip(tmp_path / "a.zip", {name_of(0): b""}, f"{ROOT}/")), 0)
    with pytest.raises(TrainingError, match=f"has no {TABLE}"):
        build_index(archive, tmp_path / "index.parquet", processes=1)


@pytest.mark.parametrize(
    "change", [lambda row: row.replace("ID_", "id-"), lambda row: row.replace("_", ".dcm_", 2).replace(".dcm_", "_", 1)]
)
def test_labels_of_no_file_end_with_names_of_both_sides(tmp_path: Path, change: Callable[[str], str]) -> None:
    head, *rows = HELD[TABLE].decode().splitlines(keepends=True)
    held = HELD | {TABLE: (head + "".join(map(change, rows))).encode()}
    with pytest.raises(TrainingError) as caught:
        _index(tmp_path, held)
    named = change("ID_000000000_any").removesuffix("_any")
    assert f"named {named}, " in str(caught.value)
    assert f"the files are {name_of(0)}, {name_of(1)}, {name_of(2)} ..." in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.zip"]


def test_an_archive_without_training_files_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no file stage_2_train"):
        _index(tmp_path, {name: data for name, data in HELD.items() if "train/" not in name})
