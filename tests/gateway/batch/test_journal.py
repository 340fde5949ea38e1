from pathlib import Path

import pytest

from services.gateway.batch.journal import Journal, Record
from services.gateway.batch.outputs import FORMATS, Outputs
from services.gateway.client import Failure

BEGUN = {"format": ["csv"], "priority": "routine"}


def _written(path: Path) -> Journal:
    journal = Journal(path)
    journal.begin(BEGUN)
    journal.note("k", units=["a", "b"], files=2)
    journal.note("k", {"reports.csv": 12}, id="j", after=3)
    journal.close()
    return journal


def test_what_was_noted_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    before, again = _written(path), Journal(path)
    assert again.records == before.records == {"k": Record("k", ("a", "b"), 2, id="j", after=3)}
    assert again.records["k"].open
    assert again.sizes == {"reports.csv": 12}
    again.begin(BEGUN)
    again.close()


@pytest.mark.parametrize("torn", [b'{"job": "k", "set": {"af', b"\0\0\0", b"\r\0", b"\x85\r\r"])
def test_a_torn_line_was_never_written(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "state.jsonl"
    _written(path)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal = Journal(path)
    assert journal.records["k"].after == 3
    journal.note("k", after=4)
    journal.close()
    assert path.read_bytes() == whole + b'{"job": "k", "set": {"after": 4}}\n'


def test_one_run_at_a_time_and_as_it_was_begun(tmp_path: Path) -> None:
    _written(tmp_path / "state.jsonl")
    journal = Journal(tmp_path / "state.jsonl")
    with pytest.raises(Failure, match="another run is at work"):
        Journal(tmp_path / "state.jsonl")
    with pytest.raises(Failure, match="begun with another priority; choose another folder"):
        journal.begin({**BEGUN, "priority": "urgent"})
    journal.close()


def test_outputs_go_on_where_the_journal_says(tmp_path: Path) -> None:
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
    with pytest.raises(Failure, match=r"reports.csv is shorter than this command left it"):
        Outputs(tmp_path, FORMATS, sizes)
