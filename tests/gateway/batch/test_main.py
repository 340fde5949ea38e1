from pathlib import Path

import pytest

from services.gateway.batch.__main__ import main
from tests.gateway.batch.runs import studies

NOBODY = "http://127.0.0.1:9"


def test_a_gateway_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studies(tmp_path / "in", 1)
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), "--url", NOBODY, "--patience", "0"]) == 3
    words = capsys.readouterr().err
    assert f"batch: {NOBODY} did not answer (ConnectError); run the same command again" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing", "out"], "there is no such folder"),
        (["in", "in/out"], "must not lie in that of the studies"),
        (["empty", "out"], "there are no files to send"),
        (["in", "out", "--key-file", "none"], "none: No such file"),
        (["in", "foreign"], "reports.csv is there, and no state.jsonl beside it"),
        (["in", "out", "--job-files", "1"], "2 files, 0 MB are more than one job may hold"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said_before_anything_is_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    studies(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/reports.csv").write_text("somebody's")
    assert main([*arguments, "--url", NOBODY, "--patience", "0"]) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "foreign/reports.csv").read_text() == "somebody's"


def test_help_tells_exit_status_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    words = capsys.readouterr().out
    assert "exit status:" in words
    assert "goes on where it stopped" in words
    with pytest.raises(SystemExit) as wrong:
        main(["in", "out", "--ahead", "0"])
    assert wrong.value.code == 2
