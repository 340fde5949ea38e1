from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.training.archives import files, write_zip
from training.io.errors import TrainingError
from training.rsna.archive import ROOT
from training.rsna.download import download


class _Kaggle:
    """Kaggle's program as it would be started."""

    def __init__(self, status: int = 0, *, cut: bool = False) -> None:
        self.status, self.cut, self.commands = status, cut, list[list[str]]()

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(list(command))
        if not self.status:
            path = write_zip(Path(command[-1]) / f"{ROOT}.zip", files(1, 0))
            path.write_bytes(path.read_bytes()[: -100 if self.cut else None])
        return self.status


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine that has Kaggle's program and a token."""
    program = tmp_path / "bin" / "kaggle"
    program.parent.mkdir()
    program.touch(mode=0o755)
    return {"PATH": str(program.parent), "HOME": str(tmp_path / "home"), "KAGGLE_API_TOKEN": "secret"}


def test_the_archive_is_asked_for_by_kaggles_program(tmp_path: Path, machine: dict[str, str]) -> None:
    kaggle, out = _Kaggle(), tmp_path / "data"
    found = download(out, machine, kaggle, zip_bytes=1000)
    assert found == out / f"{ROOT}.zip"
    (command,) = kaggle.commands
    assert command == [f"{machine['PATH']}/kaggle", "competitions", "download", "-c", ROOT, "-p", str(out)]
    download(out, machine, kaggle, zip_bytes=1000)
    assert len(kaggle.commands) == 1


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="pip install kaggle"):
        download(tmp_path, {"PATH": str(tmp_path)}, _Kaggle())


def test_a_missing_token_is_an_error(tmp_path: Path, machine: dict[str, str]) -> None:
    del machine["KAGGLE_API_TOKEN"]
    with pytest.raises(TrainingError, match="token is missing"):
        download(tmp_path, machine, _Kaggle())


@pytest.mark.parametrize("name", ["kaggle.json", "access_token"])
def test_a_token_in_a_file_will_do(tmp_path: Path, machine: dict[str, str], name: str) -> None:
    del machine["KAGGLE_API_TOKEN"]
    token = Path(machine["HOME"]) / ".kaggle" / name
    token.parent.mkdir(parents=True)
    token.touch()
    assert download(tmp_path / "data", machine, _Kaggle(), zip_bytes=1000).is_file()


def test_missing_disk_space_is_an_error_before_the_download(tmp_path: Path, machine: dict[str, str]) -> None:
    kaggle = _Kaggle()
    with pytest.raises(TrainingError, match="of free space"):
        download(tmp_path, machine, kaggle, zip_bytes=10**18)
    assert not kaggle.commands


def test_a_program_that_fails_points_to_the_terms(tmp_path: Path, machine: dict[str, str]) -> None:
    with pytest.raises(TrainingError, match="terms of the data"):
        download(tmp_path, machine, _Kaggle(1), zip_bytes=1000)


def test_a_truncated_download_is_an_error(tmp_path: Path, machine: dict[str, str]) -> None:
    with pytest.raises(TrainingError, match="truncated"):
        download(tmp_path, machine, _Kaggle(cut=True), zip_bytes=1000)
