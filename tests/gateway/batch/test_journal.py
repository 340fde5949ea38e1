from contextlib import closing
from pathlib import Path

import pytest

from services.gateway.batch.journal import Journal, Record
from services.gateway.batch.outputs import FORMATS, Outputs
from services.gateway.client import ClientError

OPTIONS = {"format": ["csv"], "priority": "routine"}


def _written(path: Path) -> Journal:
    journal = Journal(path)
    journal.begin(OPTIONS)
    journal.update("k", units=["a", "b"], files=2)
    journal.update("k", {"reports.csv": 12}, id="j", after=3)
    journal.close()
    return journal


def test_the_journal_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    before, again = _written(path), Journal(path)
    assert again.records == before.records == {"k": Record("k", ("a", "b"), 2, id="j", after=3)}
    assert again.records["k"].open
    assert again.sizes == {"reports.csv": 12}
    again.begin(OPTIONS)
    again.close()


@pytest.mark.parametrize("incomplete", [b'{"job": "k", "set": {"af', b"\0\0\0", b"\r\0", b"\x85\r\r"])
def test_an_incomplete_last_line_is_cut_off(tmp_path: Path, incomplete: bytes) -> None:
    path = tmp_path / "state.jsonl"
    _written(path)
    whole = path.read_bytes()
    path.write_bytes(whole + incomplete)
    journal = Journal(path)
    assert journal.records["k"].after == 3
    journal.update("k", after=4)
    journal.close()
    assert path.read_bytes() == whole + b'{"job": "k", "set": {"after": 4}}\n'


def test_a_second_run_or_other_options_are_refused(tmp_path: Path) -> None:
    _written(tmp_path / "state.jsonl")
    journal = Journal(tmp_path / "state.jsonl")
    with pytest.raises(ClientError, match="another run uses"):
        Journal(tmp_path / "state.jsonl")
    with pytest.raises(ClientError, match="a run with another priority; choose another folder"):
        journal.begin({**OPTIONS, "priority": "urgent"})
    journal.close()


def test_outputs_resume_at_the_sizes_in_the_journal(tmp_path: Path) -> None:
    report = {"id": "j-000000", "status": "failed", "series": {"slices": 1}, "problem": {"code": "x", "detail": "né"}}
    outputs = Outputs(tmp_path, FORMATS, {})
    outputs.write("j", [(0, report)])
    sizes = outputs.sync()
    outputs.write("j", [(1, report)])
    outputs.close()
    outputs = Outputs(tmp_path, FORMATS, sizes)
    assert outputs.sync() == sizes == {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    outputs.close()
    (tmp_path / "reports.csv").write_text("gone")
    with pytest.raises(ClientError, match=r"reports.csv has 4 bytes, fewer than this command wrote"):
        Outputs(tmp_path, FORMATS, sizes)


def test_a_journal_of_version_0_2_0_is_resumed(tmp_path: Path) -> None:
    lines = (
        '{"begin": {"format": ["csv"], "priority": "routine"}}',
        '{"job": "k", "set": {"units": ["a"], "files": 2, "end": null}}',
        '{"job": "k", "set": {"id": "j"}}',
        '{"job": "k", "set": {"after": 0, "failed": []}, "sizes": {"reports.csv": 12}}',
    )
    (tmp_path / "state.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with closing(Journal(tmp_path / "state.jsonl")) as journal:
        journal.begin(OPTIONS)
        assert journal.records == {"k": Record("k", ("a",), 2, id="j", after=0)}
        assert journal.sizes == {"reports.csv": 12}
