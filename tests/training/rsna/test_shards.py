import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from numpy.typing import NDArray

from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE, Recipe, Window
from services.preprocess.pipeline import Pipeline
from tests.scans import head
from tests.training.archives import SLICES, Files, files, name_of, positive, slice_of, write_zip
from training.io.errors import TrainingError
from training.rsna.archive import TABLE, open_archive
from training.rsna.folds import TEST, write_folds
from training.rsna.index import build_index
from training.rsna.pack_archive import _tasks, pack_archive
from training.rsna.pack_shard import Shard
from training.rsna.shards import Entry, open_shards

LARGE, WIDE, TURNED = name_of(0), name_of(4), name_of(8)
TRANSPOSED, FROM_ABOVE = name_of(10), name_of(13)
HELD = files() | {
    LARGE: slice_of(0, PixelData=head().tobytes(), Rows=512, Columns=512, PixelSpacing=[0.5, 0.5]),
    WIDE: slice_of(4, PixelSpacing=[25, 35]),
    TURNED: slice_of(8, BitsStored=12, HighBit=11, PixelRepresentation=0),
    TRANSPOSED: slice_of(10, PixelSpacing=[25, 35], ImageOrientationPatient=[0, 1, 0, 1, 0, 0]),
    FROM_ABOVE: slice_of(13, ImageOrientationPatient=[-1, 0, 0, 0, 0.94, -0.34]),
}


@dataclass(frozen=True)
class Made:
    """An archive, indexed and dealt."""

    path: Path
    index: Path
    folds: Path
    out: Path

    def pack(self, **options: Any) -> None:
        pack_archive(
            open_archive(self.path), self.index, self.folds, self.out, **{"processes": 1, "shard_slices": 6, **options}
        )


Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(held: Files = HELD, seed: int = 0) -> Made:
        found = Made(*(tmp_path / name for name in ("archive.zip", "index.parquet", "folds.parquet", "shards")))
        build_index(open_archive(write_zip(found.path, held)), found.index, processes=1)
        write_folds(found.index, found.folds, folds=3, seed=seed)
        return found

    return made


def _served(held: Files, entry: Entry) -> NDArray[np.uint8]:
    """What the service makes of a series' files."""
    with Pipeline(DEFAULT_RECIPE, threads=1) as pipeline:
        own = [held[file] for file in entry.files]
        frames = np.array([[number, 0] for number in range(len(own))], np.int32)
        return pipeline.make_slices(own, frames).slices


def test_slices_are_the_services_bytes_in_the_services_order(make: Make) -> None:
    made = make()
    made.pack()
    shards = open_shards(made.out)
    for entry in shards.entries:
        pixels = shards.slices(entry)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (SLICES, 512, 512, 3)
        np.testing.assert_array_equal(pixels, _served(HELD, entry))
        own = [HELD[file] for file in entry.files]
        (series,) = Pipeline.read_headers(own, list(map(len, own))).series
        assert [item.file for item in series.items] == list(range(SLICES))
        np.testing.assert_allclose(entry.position_mm, series.position_mm)
    assert {file for entry in shards.entries for file in entry.files} == set(HELD) - {TABLE}


def test_a_slice_is_packed_in_patient_orientation(make: Make) -> None:
    """However a scanner stores it, training is shown the same bytes."""
    stored = np.frombuffer(pydicom.dcmread(BytesIO(HELD[name_of(1)])).PixelData, "<i2").reshape(8, 8)
    turned = slice_of(1, ImageOrientationPatient=[0, 1, 0, 1, 0, 0], PixelData=stored.T.tobytes())
    found = []
    for held in (HELD, HELD | {name_of(1): turned}):
        made = make(held)
        shutil.rmtree(made.out, ignore_errors=True)
        made.pack()
        shards = open_shards(made.out)
        found.append(next(shards.slices(entry) for entry in shards.entries if name_of(1) in entry.files))
    before, after = found
    np.testing.assert_array_equal(before, after)


def test_shards_of_the_first_version_are_refused_with_the_remedy(make: Make) -> None:
    """They held pixels as they were stored, and no orientation."""
    made = make()
    made.pack()
    plan = json.loads((made.out / "plan.json").read_text())
    del plan["version"]
    (made.out / "plan.json").write_text(json.dumps(plan))
    for start in (lambda: open_shards(made.out), made.pack):
        with pytest.raises(TrainingError, match=r"has shards of version 1; .* Remove the folder"):
            start()


def test_some_slices_are_rows_of_all(make: Make) -> None:
    made = make()
    made.pack()
    shards = open_shards(made.out)
    entry = shards.entries[1]
    np.testing.assert_array_equal(shards.slices(entry, [2, 0, 2]), shards.slices(entry)[[2, 0, 2]])
    assert shards.slices(entry, []).shape == (0, 512, 512, 3)


def test_entries_know_whose_they_are_and_what_is_true_of_them(make: Make) -> None:
    made = make(HELD | {TABLE: b"\n".join(HELD[TABLE].splitlines()[:-6]) + b"\n"})  # the last slice's rows are missing
    made.pack()
    entries = {entry.patient_id: entry for entry in open_shards(made.out).entries}
    assert len(entries) == 7
    for patient, entry in enumerate(entries[f"ID_patient{number}"] for number in range(6)):
        numbers = range(patient * SLICES, (patient + 1) * SLICES)
        assert entry.files == tuple(map(name_of, numbers))
        assert (entry.series_uid, entry.split) == (f"ID_series{patient:04}", "train")
        expected = np.array([[label in positive(number) for label in LABELS] for number in numbers])
        np.testing.assert_array_equal(entry.labels, expected & entry.label_mask)
    assert entries["ID_patient5"].label_mask[:, 0].tolist() == [True, True, False]
    assert {entry.fold for entry in entries.values() if entry.split == "train"} == {0, 1, 2}
    test = entries["ID_patient6"]
    assert (test.split, test.fold) == ("test", TEST)
    assert not test.label_mask.any() | test.labels.any()


def test_they_can_be_read_in_another_process(make: Make) -> None:
    made = make()
    made.pack()
    shards = open_shards(made.out)
    again = pickle.loads(pickle.dumps(shards))  # noqa: S301 - as multiprocessing does
    np.testing.assert_array_equal(again.slices(again.entries[0]), shards.slices(shards.entries[0]))


def _spoil(path: Path, name: str) -> None:
    """Turn a byte in the middle of an entry's packed bytes."""
    archive = open_archive(path)
    member = archive.members[name]  # type: ignore[attr-defined] # a zip was opened
    data = bytearray(path.read_bytes())
    data[member.offset + 200 + member.packed_bytes // 2] ^= 0xFF
    path.write_bytes(data)


def test_a_slice_with_a_bad_checksum_is_set_aside_and_the_others_are_packed(make: Make) -> None:
    made = make()
    _spoil(made.path, LARGE)
    made.pack()
    shards = open_shards(made.out)
    assert (made.out / "set_aside.txt").read_text().split("\t")[:2] == [LARGE, "unreadable"]
    packed = {file for entry in shards.entries for file in entry.files}
    assert packed == set(HELD) - {TABLE, LARGE}
    (entry,) = (entry for entry in shards.entries if name_of(1) in entry.files)
    np.testing.assert_array_equal(shards.slices(entry), _served(HELD, entry))


def test_finished_shards_stay_and_the_others_are_made_again(make: Make) -> None:
    made = make()
    made.pack()
    before = open_shards(made.out)
    first, second = sorted(made.out.glob("0*.parquet"))[:2]
    stamp = first.stat().st_mtime_ns
    second.unlink()
    with pytest.raises(TrainingError, match="not finished: run `python -m training shards` again"):
        open_shards(made.out)
    made.pack()
    assert first.stat().st_mtime_ns == stamp
    after = open_shards(made.out)
    assert after.digest == before.digest
    np.testing.assert_array_equal(after.slices(after.entries[2]), before.slices(before.entries[2]))


def test_other_folds_need_no_other_shards(make: Make) -> None:
    made = make()
    made.pack()
    before, stamps = open_shards(made.out), {file: file.stat().st_mtime_ns for file in made.out.glob("0*")}
    write_folds(made.index, made.folds, folds=2, seed=5)
    made.pack()
    assert {file: file.stat().st_mtime_ns for file in made.out.glob("0*")} == stamps
    after = open_shards(made.out)
    assert after.digest != before.digest
    assert {entry.fold for entry in after.entries} == {TEST, 0, 1}


def test_two_processes_pack_what_one_packs(make: Make, tmp_path: Path) -> None:
    made = make()
    made.pack()
    both = Made(made.path, made.index, made.folds, tmp_path / "both")
    both.pack(processes=2)
    for file in made.out.glob("0*.bin"):
        assert (both.out / file.name).read_bytes() == file.read_bytes()


def test_a_process_is_handed_its_own_rows_alone(make: Make) -> None:
    made = make(files(40, 0))
    rows = pq.read_table(made.index)
    shard = Shard(made.out / "00000", "digest", DEFAULT_RECIPE, rows.slice(0, 3))
    handed_out = _tasks(open_archive(made.path), shard)
    assert handed_out[1].rows.equals(shard.rows)
    assert len(pickle.dumps(handed_out)) < len(pickle.dumps(rows)) / 4


def test_a_folder_with_the_shards_of_another_index_is_not_touched(make: Make) -> None:
    made = make()
    made.pack()
    before = sorted(made.out.iterdir())
    other = make(files(4, 0))
    with pytest.raises(TrainingError, match="has the shards of another index"):
        other.pack()
    assert sorted(made.out.iterdir()) == before
    assert open_shards(made.out)


def test_an_index_of_another_archive_is_refused(make: Make) -> None:
    made = make()
    write_zip(made.path, files(4, 0))
    with pytest.raises(TrainingError, match="was not made from"):
        made.pack()


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has no shards"):
        open_shards(tmp_path)


def test_a_recipe_that_shows_more_than_was_kept_is_refused(make: Make) -> None:
    made = make()
    made.pack()
    windows = (Window(name="wide", center_hu=600, width_hu=4000), *DEFAULT_RECIPE.windows[1:])
    with pytest.raises(TrainingError, match="has values from -800 to 2000 HU"):
        open_shards(made.out, Recipe(windows=windows))


NO_ROOM = """
import resource, sys
from pathlib import Path
from training.rsna.archive import open_archive
from training.io.errors import TrainingError
from training.rsna.pack_archive import _tasks, pack_archive
from training.rsna.pack_shard import Shard
archive, index, folds, out = map(Path, sys.argv[1:5])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), resource.RLIM_INFINITY))
try:
    pack_archive(open_archive(archive), index, folds, out, processes=1, shard_slices=3)
except TrainingError as reason:
    print(reason)
"""


def test_a_full_disk_ends_in_one_sentence_and_loses_nothing(make: Make) -> None:
    """Test slices come first, and their shard is small enough; that of the large slice is not."""
    made = make(
        HELD
        | {
            LARGE: slice_of(
                0,
                PixelData=np.random.default_rng(1).bytes(512 * 512 * 2),
                Rows=512,
                Columns=512,
                PixelSpacing=[0.5, 0.5],
            )
        }
    )
    paths = map(str, (made.path, made.index, made.folds, made.out))
    command = [sys.executable, "-c", NO_ROOM, *paths, "50000"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]).stdout
    assert said.startswith("No space is left for ")
    assert said.count("\n") == 1
    kept = {file: file.stat().st_mtime_ns for file in made.out.glob("0*.parquet")}
    assert kept
    assert not list(made.out.glob("*.part"))
    made.pack(shard_slices=3)
    assert kept.items() <= {file: file.stat().st_mtime_ns for file in made.out.glob("0*.parquet")}.items()
    assert len(open_shards(made.out).entries) == 7
    assert json.loads((made.out / "plan.json").read_text())["shards"] == 7
