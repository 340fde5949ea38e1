"""The command `export`: pages, times, rotated files, resume by hash."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from services.gateway.audit.__main__ import main
from services.gateway.audit.export import Export, Selection
from services.gateway.audit.rotated import opened
from tests.gateway.audit.factories import edit_lines, write_log

CAPTURE = pytest.CaptureFixture[str]


def export(capsys: CAPTURE, path: Path, *options: str, status: int = 0) -> tuple[list[dict[str, Any]], str]:
    assert main(["export", str(path), "--format", "fhir", *options]) == status
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def hashes(folder: Path) -> list[str]:
    """The hashes of all lines, the oldest file first."""
    files = sorted(folder.iterdir(), key=lambda path: -int(path.suffix[1:]) if path.suffix != ".jsonl" else 1)
    return [json.loads(line)["hash"] for path in files for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of 502 lines in four files."""
    path = tmp_path / "folder" / "audit.jsonl"
    write_log(path, 1500, max_bytes=100_000, keep=12)
    assert len(list(path.parent.iterdir())) >= 3
    return path


def test_all_lines_are_exported_the_oldest_file_first(path: Path, capsys: CAPTURE) -> None:
    resources, said = export(capsys, path)
    assert [resource["id"] for resource in resources] == hashes(path.parent)
    assert f"{len(resources)} lines; resume with --after {resources[-1]['id']}" in said
    for resource in resources[:5]:
        AuditEvent.model_validate(resource)


def test_pages_resume_after_the_last_hash_and_hold_every_line_once(path: Path, capsys: CAPTURE) -> None:
    found: list[str] = []
    after: list[str] = []
    while True:
        page, said = export(capsys, path, "--limit", "400", *after)
        found += [resource["id"] for resource in page]
        after = ["--after", said.split()[-1]]
        if len(page) < 400:
            break
    assert found == hashes(path.parent)
    write_log(path, 1)
    more, _ = export(capsys, path, *after)
    assert [resource["id"] for resource in more] == hashes(path.parent)[len(found) :]


def test_a_hash_of_no_line_is_refused(path: Path, capsys: CAPTURE) -> None:
    assert "rotation deleted it" in export(capsys, path, "--after", "0" * 64, status=1)[1]


def test_times_bound_an_export(path: Path, capsys: CAPTURE) -> None:
    times = [resource["recorded"] for resource in export(capsys, path)[0]]
    first, last = times[0], times[-1]
    inside, _ = export(capsys, path, "--since", first, "--until", last)
    assert [resource["recorded"] for resource in inside] == [time for time in times if first <= time < last]
    assert export(capsys, path, "--until", first[:10])[0] == []
    assert len(export(capsys, path, "--since", first[:13])[0]) == len(times)


@pytest.mark.parametrize("wrong", [["--since", "yesterday"], ["--after", "x"], ["--limit", "0"], ["--format", "csv"]])
def test_options_of_another_form_end_with_the_usage(path: Path, wrong: list[str], capsys: CAPTURE) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", str(path), "--format", "fhir", *wrong])
    assert caught.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_changed_and_incomplete_lines_are_counted(path: Path, capsys: CAPTURE) -> None:
    edit_lines(path, lambda lines: [lines[0], lines[1].replace(b"read", b"reap"), *lines[2:], b'{"torn'])
    resources, said = export(capsys, path)
    assert len(resources) == len(hashes_without_torn(path))
    assert "1 lines have another hash" in said
    assert "1 pieces of the files are no audit lines" in said


def hashes_without_torn(path: Path) -> list[str]:
    edit_lines(path, lambda lines: lines[:-1])
    return hashes(path.parent)


def test_a_missing_file_is_named(tmp_path: Path, capsys: CAPTURE) -> None:
    assert "none.jsonl cannot be read" in export(capsys, tmp_path / "none.jsonl", status=2)[1]


def test_a_rotation_while_files_are_opened_hides_none(tmp_path: Path) -> None:
    """The file is read as it was, and again under its new name if the rotation came after its opening."""
    path = tmp_path / "audit.jsonl"
    path.write_text("b\n")
    (tmp_path / "audit.jsonl.1").write_text("a\n")
    os.link(tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.2")  # the same file under two names
    with opened(path) as files:
        assert [file.read() for file in files] == [b"a\n", b"b\n"]


def test_other_files_of_the_folder_are_not_read(path: Path) -> None:
    for name in ("audit.jsonl.settings", "audit.jsonl.01", "audit.jsonl.1.bak", "audit.head"):
        (path.parent / name).write_text("x\n")
    export_ = Export(path, Selection())
    assert list(export_.lines())
    assert export_.no_lines == 0
