from pathlib import Path

import pytest

from services.gateway.batch.__main__ import main
from tests.gateway.batch.runs import studies

UNUSED_URL = "http://127.0.0.1:9"


def test_an_unavailable_gateway_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studies(tmp_path / "in", 1)
    assert main([str(tmp_path / "in"), str(tmp_path / "out"), "--url", UNUSED_URL, "--patience", "0"]) == 3
    message = capsys.readouterr().err
    assert f"batch: {UNUSED_URL} did not answer (ConnectError); run the same command again to resume" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "out"], "no such folder"),
        (["in", "in/out"], "choose a folder outside of it"),
        (["empty", "out"], "there are no files to send"),
        (["in", "out", "--key-file", "none"], "none: No such file"),
        (["in", "foreign"], "reports.csv exists without state.jsonl beside it"),
        (["in", "out", "--job-files", "1"], "in/p0/s0 has 2 files and 0 MB; a job may have 1 file and 1000 MB"),
    ],
)
def test_a_wrong_command_line_exits_2_before_anything_is_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    studies(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/reports.csv").write_text("another program's")
    assert main([*arguments, "--url", UNUSED_URL, "--patience", "0"]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "foreign/reports.csv").read_text() == "another program's"


def test_help_lists_exit_statuses_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    message = capsys.readouterr().out
    assert "exit status:" in message
    assert "it resumes" in message
    with pytest.raises(SystemExit) as wrong:
        main(["in", "out", "--ahead", "0"])
    assert wrong.value.code == 2
