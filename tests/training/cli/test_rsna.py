from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.training.archives import files, write_zip
from training.cli.app import main
from training.rsna.shards import open_shards


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.zip"
    write_zip(path, files())
    return path


def test_the_commands_lead_from_an_archive_to_shards(archive: Path, tmp_path: Path) -> None:
    index, folds, shards = tmp_path / "index.parquet", tmp_path / "folds.parquet", tmp_path / "shards"
    run("index", archive, "--out", index, "--processes", 1)
    run("folds", "--index", index, "--out", folds, "--folds", 3, "--seed", 4)
    run("shards", archive, "--index", index, "--folds", folds, "--out", shards, "--processes", 1)
    assert set(pq.read_table(folds)["fold"].to_pylist()) == {0, 1, 2}
    opened = open_shards(shards)
    assert {entry.split for entry in opened.entries} == {"train", "test"}
    assert opened.slices(opened.entries[0]).shape[1:] == (512, 512, 3)


def test_another_seed_gives_other_folds(archive: Path, tmp_path: Path) -> None:
    run("index", archive, "--out", tmp_path / "index.parquet", "--processes", 1)
    tables = []
    for seed in range(4):
        run("folds", "--index", tmp_path / "index.parquet", "--out", tmp_path / "folds.parquet", "--seed", seed)
        table = pq.read_table(tmp_path / "folds.parquet").sort_by("patient_id")
        tables.append(tuple(table["fold"].to_pylist()))
    assert len(set(tables)) > 1


@pytest.mark.parametrize(("command", "missing"), [("folds", "index"), ("shards", "index")])
def test_a_missing_input_names_the_command_that_makes_it(
    command: str, missing: str, archive: Path, tmp_path: Path
) -> None:
    inputs = [archive] if command == "shards" else []
    with pytest.raises(SystemExit, match=f"`python -m training {missing}` makes it"):
        run(command, *inputs, "--index", tmp_path / "none.parquet", "--out", tmp_path / "out")


def test_a_download_without_kaggles_program_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="pip install kaggle"):
        run("download", "--out", tmp_path)
