"""Index and shards of an archive with the challenge's faults: in parts, by the command line, as on one machine."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.archives import files, write_zip
from training.cli.app import main
from training.io.errors import TrainingError
from training.io.parts import Part
from training.phantom.rsna_archive import Plan, write_archive
from training.rsna import pack_in_parts
from training.rsna.archive import open_archive
from training.rsna.pack_archive import pack_archive, plan_packing
from training.rsna.shards import open_shards

STUDIES, SHARD_SLICES = 8, 60


@dataclass(frozen=True)
class Made:
    """An archive with its index, folds and shards in a folder, made on one machine."""

    archive: Path
    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index.parquet"

    @property
    def folds(self) -> Path:
        return self.folder / "folds.parquet"


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("one")
    made = Made(folder / "phantoms.zip", folder)
    write_archive(made.archive, Plan(STUDIES, 9_500_300, traps=True))
    run("index", made.archive, "--out", made.index)
    run("folds", "--index", made.index, "--out", made.folds, "--folds", 3)
    pack_archive(open_archive(made.archive), made.index, made.folds, folder / "shards", shard_slices=SHARD_SLICES)
    return made


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern) if path.is_file()}


@pytest.mark.parametrize("count", [1, 3])
def test_an_index_in_parts_has_the_bytes_of_one_machines(one: Made, tmp_path: Path, count: int) -> None:
    out = tmp_path / "index.parquet"
    for number in [*range(count, 0, -1), 1]:  # in any order, and repeated
        run("index", one.archive, "--out", out, "--part", f"{number}/{count}")
    assert not out.exists()
    run("index", one.archive, "--out", out, "--join", count)
    assert contents(tmp_path, "index.*") == contents(one.folder, "index.*")
    assert b"\ttruncated\t" in (tmp_path / "index.set_aside.txt").read_bytes()
    assert not list(tmp_path.glob("*.parts*"))
    run("index", one.archive, "--out", out, "--join", count)  # a join that was killed at its end is repeated
    run("index", one.archive, "--out", out, "--part", f"1/{count}")
    assert contents(tmp_path, "index.*") == contents(one.folder, "index.*")
    assert not list(tmp_path.glob("*.parts*"))


def test_an_index_may_have_more_parts_than_files(tmp_path: Path) -> None:
    archive, count = write_zip(tmp_path / "archive.zip", files(2, 1)), 12
    run("index", archive, "--out", tmp_path / "whole.parquet")
    out = tmp_path / "index.parquet"
    for number in range(1, count + 1):
        run("index", archive, "--out", out, "--part", f"{number}/{count}")
    run("index", archive, "--out", out, "--join", count)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_missing_part_of_the_index_and_one_of_another_archive_are_refused(tmp_path: Path) -> None:
    archive, other = write_zip(tmp_path / "a.zip", files()), write_zip(tmp_path / "b.zip", files(3, 0))
    out = tmp_path / "index.parquet"
    run("index", archive, "--out", out, "--part", "1/2")
    with pytest.raises(SystemExit, match="Part 2/2 of index is missing"):
        run("index", archive, "--out", out, "--join", 2)
    run("index", other, "--out", out, "--part", "2/2")
    with pytest.raises(SystemExit, match="Part 2/2 of index is of another archive"):
        run("index", archive, "--out", out, "--join", 2)
    with pytest.raises(SystemExit, match="has part 1/2 of index, and 3 parts are wanted"):
        run("index", archive, "--out", out, "--part", "3/3")
    assert not out.exists()
    run("index", archive, "--out", out, "--part", "2/2")
    run("index", archive, "--out", out, "--join", 2)
    assert out.exists()


def test_a_file_that_a_killed_process_left_half_written_is_no_block(tmp_path: Path) -> None:
    archive, out = write_zip(tmp_path / "archive.zip", files()), tmp_path / "index.parquet"
    run("index", archive, "--out", out, "--part", "1/1")
    (blocks,) = tmp_path.glob("*.parts?-*")
    (blocks / "train-0000000.parquet.0badcafe.part").write_bytes(b"PAR1")
    run("index", archive, "--out", out, "--join", 1)
    assert out.exists()


def pack(one: Made, out: Path, part: Part) -> None:
    archive = open_archive(one.archive)
    packing = plan_packing(archive, one.index, one.folds, out, SHARD_SLICES)
    pack_in_parts.pack_part(archive, packing, part, processes=1)


def join(one: Made, out: Path, count: int) -> None:
    archive = open_archive(one.archive)
    pack_in_parts.join_shards(archive, plan_packing(archive, one.index, one.folds, out, SHARD_SLICES), count)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_shards_in_parts_have_the_bytes_of_one_machines(one: Made, tmp_path: Path, count: int) -> None:
    for number in range(count, 0, -1):
        pack(one, tmp_path, Part(number, count))
    with pytest.raises(TrainingError, match="is missing or damaged"):
        open_shards(tmp_path)  # not before they are joined
    join(one, tmp_path, count)
    assert contents(tmp_path, "*") == contents(one.folder / "shards", "*")
    assert 3 <= len(list(tmp_path.glob("*.bin"))) < 9
    assert open_shards(tmp_path).digest == open_shards(one.folder / "shards").digest


def test_a_part_that_was_killed_is_repeated_and_a_missing_one_is_named(one: Made, tmp_path: Path) -> None:
    pack(one, tmp_path, Part(1, 2))
    pack(one, tmp_path, Part(2, 2))
    stamp = (tmp_path / "00000.bin").stat().st_mtime_ns
    (tmp_path / "parts" / "1-of-2.json").unlink()  # killed after a shard, before the record
    (tmp_path / "00002.parquet").unlink()
    with pytest.raises(TrainingError, match=r"Part 1/2 of shards is missing .* --part"):
        join(one, tmp_path, 2)
    pack(one, tmp_path, Part(1, 2))
    assert (tmp_path / "00000.bin").stat().st_mtime_ns == stamp
    join(one, tmp_path, 2)
    assert contents(tmp_path, "*") == contents(one.folder / "shards", "*")


def test_a_shard_that_lost_bytes_is_refused_and_made_again(one: Made, tmp_path: Path) -> None:
    pack(one, tmp_path, Part(1, 1))
    whole = (tmp_path / "00001.bin").read_bytes()
    (tmp_path / "00001.bin").write_bytes(whole[:-1])
    with pytest.raises(TrainingError, match=r"unit 00001 are missing or changed: run .* --part 1/1"):
        join(one, tmp_path, 1)
    pack(one, tmp_path, Part(1, 1))
    assert (tmp_path / "00001.bin").read_bytes() == whole
    join(one, tmp_path, 1)


def test_shards_of_another_archive_and_of_another_number_of_parts_are_refused(one: Made, tmp_path: Path) -> None:
    pack(one, tmp_path / "shards", Part(1, 2))
    with pytest.raises(TrainingError, match="has part 1/2 of shards, and 3 parts are wanted"):
        pack(one, tmp_path / "shards", Part(1, 3))
    other = Made(write_zip(tmp_path / "other.zip", files()), tmp_path)
    run("index", other.archive, "--out", other.index)
    run("folds", "--index", other.index, "--out", other.folds, "--folds", 3)
    with pytest.raises(TrainingError, match="has the shards of another index"):
        pack(other, tmp_path / "shards", Part(2, 2))
    shutil.rmtree(tmp_path / "shards")


def test_the_command_packs_and_joins_parts(one: Made, tmp_path: Path) -> None:
    options = [one.archive, "--index", one.index, "--folds", one.folds, "--out", tmp_path]
    for number in (2, 1):
        run("shards", *options, "--part", f"{number}/2", "--processes", 1)
    run("shards", *options, "--join", 2)
    assert len(open_shards(tmp_path).entries) == len(open_shards(one.folder / "shards").entries)
    for wrong, message in ((["--part", "1/2", "--join", 2], "exclude each other"), (["--part", "3/2"], "is no part")):
        with pytest.raises(SystemExit, match=message):
            run("shards", *options, *wrong)
