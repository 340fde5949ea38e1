import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.gateway.audit.__main__ import main
from services.gateway.audit.chain import Link, read_line, seal
from services.gateway.audit.verify import read_heads, verify
from tests.gateway.audit.factories import KeptHeads, breaks, breaks_of, edit_lines, write_log

Lines = list[bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two chains of 12 lines: start, ten reads, stop."""
    for _ in range(2):
        write_log(tmp_path / "audit.jsonl", 10)
    return tmp_path / "audit.jsonl"


def test_whole_chains_have_no_findings(path: Path) -> None:
    found = verify([path])
    assert found.findings == []
    assert [(chain.first, chain.last, chain.last_action) for chain in found.chains.values()] == [(0, 11, "stop")] * 2


def _changed(lines: Lines) -> Lines:
    return [*lines[:5], lines[5].replace(b'"number":4', b'"number":5'), *lines[6:]]


def _changed_with_hash(lines: Lines) -> Lines:
    """Change a line and its own hash, as somebody who knows the format would."""
    line = read_line(lines[5][:-1])
    assert line is not None
    fields = {name: value for name, value in line.fields.items() if name not in ("chain", "seq", "prev")}
    forged, _ = seal({**fields, "number": 9}, Link(line.link.chain, line.link.sequence - 1, line.previous))
    return [*lines[:5], forged, *lines[6:]]


def _inserted(lines: Lines) -> Lines:
    line = read_line(lines[5][:-1])
    assert line is not None
    forged, _ = seal({"action": "read"}, line.link)
    return [*lines[:6], forged, *lines[6:]]


def _other_chain_inserted(lines: Lines) -> Lines:
    line = read_line(lines[11][:-1])
    assert line is not None
    forged, _ = seal({"action": "start"}, Link("0" * 16, -1, line.link.hash))
    return [*lines[:12], forged, *lines[12:]]


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (_changed, "audit.jsonl:6 the line was changed"),
        (_changed_with_hash, "audit.jsonl:7 the line before this one was replaced"),
        (lambda lines: [*lines[:5], *lines[8:]], "audit.jsonl:6 3 lines before this one were removed"),
        (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], "audit.jsonl:6 1 lines before this one"),
        (lambda lines: [*lines[:6], lines[5], *lines[6:]], "audit.jsonl:7 line 5 comes after line 5: reordered"),
        (_inserted, "audit.jsonl:8 line 6 comes after line 6"),
        (lambda lines: [*lines[:6], b"{}\n", *lines[6:]], "audit.jsonl:7 this is no audit line"),
        (lambda lines: [*lines[:6], b"\0" * 300, *lines[6:]], "audit.jsonl:7 this is no audit line"),
        (lambda lines: lines[2:], "audit.jsonl:1 the beginning of the file was removed"),
        (lambda lines: lines[:11] + lines[12:], "audit.jsonl:12 lines before this start were removed"),
        (lambda lines: lines[:12] + lines[13:], "audit.jsonl:13 the first 1 lines of this chain were removed"),
        (_other_chain_inserted, "audit.jsonl:14 lines before this start were removed, replaced or inserted"),
        (lambda lines: [*lines[:-1], lines[-1][:40]], "audit.jsonl:24 the line is incomplete"),
        (lambda lines: [*lines[:5], lines[5][:40] + b"\n", *lines[6:]], "audit.jsonl:6 this is no audit line"),
    ],
)  # fmt: skip
def test_an_edited_file_is_broken_at_the_line(path: Path, edit: Callable[[Lines], Lines], finding: str) -> None:
    edit_lines(path, edit)
    found = breaks_of(path)
    assert found
    assert found[0].startswith(finding)


def test_a_whole_chain_that_was_removed_shows(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(3):
        write_log(path, 3)
    edit_lines(path, lambda lines: lines[:5] + lines[10:])
    assert breaks_of(path)[0].startswith("audit.jsonl:6 lines before this start were removed")


def _chains_with_heads(path: Path, count: int, *, lines: int, **others: int) -> list[Link]:
    heads = KeptHeads()
    for _ in range(count):
        write_log(path, lines, head=heads, **others)
    return read_heads(_heads(path.parent / "heads", heads))


def test_heads_of_a_chain_that_rotation_removed_are_no_break(tmp_path: Path) -> None:
    """A file that begins with `rotate` shows that older files may be gone; no other missing chain is explained."""
    path = tmp_path / "audit.jsonl"
    published = _chains_with_heads(path, 3, lines=1500, max_bytes=60_000, keep=1)
    files = sorted(tmp_path.glob("audit.jsonl*"))
    found = verify(files, published)
    assert {head.chain for head in published} - found.chains.keys(), "a chain has rotated away"
    assert breaks(found) == []
    assert "are in older files" in found.findings[0].text
    write_log(tmp_path / "other.jsonl", 2)
    assert len(breaks(verify([tmp_path / "other.jsonl"], published))) == 3


@pytest.mark.parametrize("removed", [4, 8])
def test_removed_chains_at_the_beginning_are_breaks(tmp_path: Path, removed: int) -> None:
    path = tmp_path / "audit.jsonl"
    published = _chains_with_heads(path, 3, lines=2)
    edit_lines(path, lambda lines: lines[removed:])
    (first,) = breaks(verify([path]))
    assert first.startswith("audit.jsonl:1 lines before this start were removed: no rotation explains")
    named = breaks(verify([path], published))
    assert len(named) == 1 + removed // 4
    assert all("the chain is missing: a head names its line 3" in text for text in named[1:])
    assert main(["verify", str(path), "--head", str(tmp_path / "heads")]) == 1


def test_a_removed_chain_at_the_end_is_a_break(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    published = _chains_with_heads(path, 2, lines=2)
    edit_lines(path, lambda lines: lines[:4])
    (found,) = breaks(verify([path], published))
    assert "the chain is missing: a head names its line 3" in found


def test_a_log_begun_anew_breaks_with_the_heads_of_the_old_one(tmp_path: Path) -> None:
    """Its first line names no line before it."""
    path = tmp_path / "audit.jsonl"
    published = _chains_with_heads(path, 1, lines=2)
    path.unlink()
    write_log(path, 2)
    assert breaks(verify([path])) == []
    assert len(breaks(verify([path], published))) == 1


@pytest.mark.parametrize("rest", [b"", b'{"chain":"5'])
def test_a_start_after_a_kill_within_a_rotation_explains_missing_chains(tmp_path: Path, rest: bytes) -> None:
    """A process was killed between the rename and the first line of the next file, or in that line."""
    path = tmp_path / "audit.jsonl"
    published = _chains_with_heads(path, 1, lines=2)
    path.rename(path.with_name("audit.jsonl.1"))
    path.write_bytes(rest)
    published += _chains_with_heads(path, 1, lines=2)
    assert breaks(verify([path, path.with_name("audit.jsonl.1")], published)) == []
    assert breaks(verify([path], published)) == []
    edit_lines(path, lambda lines: [line.replace(b'"after_rotation":true', b'"after_rotation":1') for line in lines])
    assert breaks(verify([path], published))


def test_a_start_that_rotates_the_file_explains_missing_chains(tmp_path: Path) -> None:
    """The last lines of the process before exceeded the size, so the next process begins a new file."""
    path = tmp_path / "audit.jsonl"
    published = _chains_with_heads(path, 2, lines=20, max_bytes=1000)
    files = [path, path.with_name("audit.jsonl.1")]
    assert breaks(verify(files, published)) == []
    assert breaks(verify(files[:1], published)) == []
    assert "are in older files" in verify(files[:1], published).findings[0].text


def test_heads_without_a_head_are_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path.parent / "heads").touch()
    assert main(["verify", str(path), "--head", str(path.parent / "heads")]) == 2
    assert "no head is in" in capsys.readouterr().err


def _heads(path: Path, heads: KeptHeads) -> Path:
    path.write_bytes(b"".join(b"Nov 28 10:00:00 host ich-audit: %s\n" % head for head in heads.heads))
    return path


@pytest.mark.parametrize("kept", [0, 3, 11])
def test_a_cut_tail_shows_by_a_head(tmp_path: Path, kept: int) -> None:
    path, heads = tmp_path / "audit.jsonl", KeptHeads()
    write_log(path, 10, head=heads)
    file = _heads(tmp_path / "syslog", heads)
    assert breaks(verify([path], read_heads(file))) == []
    edit_lines(path, lambda lines: lines[:kept])
    assert breaks(verify([path])) == []
    (found,) = breaks(verify([path], read_heads(file)))
    assert "line 11" in found
    assert ("the chain is missing" in found) == (kept == 0)


def test_a_chain_written_anew_shows_by_a_head(tmp_path: Path) -> None:
    path, heads = tmp_path / "audit.jsonl", KeptHeads()
    write_log(path, 3, head=heads)
    lines = [read_line(line) for line in path.read_bytes().splitlines()]
    last, forged = None, []
    for line in lines:
        assert line is not None
        place = last or Link(line.link.chain, -1, line.previous)
        fields = {name: value for name, value in line.fields.items() if name not in ("chain", "seq", "prev")}
        sealed, last = seal({**fields, "sender": "another"}, place)
        forged.append(sealed)
    path.write_bytes(b"".join(forged))
    assert breaks(verify([path])) == []
    found = breaks(verify([path], read_heads(_heads(tmp_path / "heads", heads))))
    assert found
    assert all("written anew" in text for text in found)


def test_a_key_shows_a_chain_written_anew_without_it(tmp_path: Path) -> None:
    path, key = tmp_path / "audit.jsonl", b"k" * 32
    write_log(path, 3, key=key)
    assert breaks(verify([path], key=key)) == []
    write_log(tmp_path / "plain.jsonl", 3)
    assert len(breaks(verify([tmp_path / "plain.jsonl"], key=key))) == 5


def test_files_of_a_log_are_sorted_by_age(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 4000, max_bytes=200_000, keep=20)
    files = sorted(tmp_path.glob("audit.jsonl*"))
    assert len(files) > 3
    assert breaks(verify(files)) == breaks(verify(files[::-1])) == []
    middle = [file for file in files if file.suffix != ".2"]
    assert "lines before this one were removed" in breaks(verify(middle))[0]


def test_rotated_files_that_are_gone_are_a_note(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 6000, max_bytes=100_000, keep=2)
    found = verify(sorted(tmp_path.glob("audit.jsonl*")))
    assert breaks(found) == []
    assert "are in older files" in found.findings[0].text


def test_a_file_of_another_log_is_another_sequence(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        write_log(tmp_path / name, 3)
    found = verify([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert (len(found.chains), found.findings) == (2, [])


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.gateway.audit.factories import running_log
from services.gateway.audit.events import system_event
with running_log(Path(sys.argv[1])) as log:
    for number in range(5):
        assert asyncio.run(log.record(system_event("read", number=number)))
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_leaves_a_whole_chain_and_the_next_one_continues(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    write_log(path, 1)
    found = verify([path])
    assert found.findings == []
    assert [chain.last_action for chain in found.chains.values()] == ["read", "stop"]
    assert "no stop line" in str(next(iter(found.chains.values())))


def test_a_half_line_of_a_killed_process_is_a_note_once_the_next_one_starts(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 5)
    edit_lines(path, lambda lines: [*lines[:-1], lines[-1][:50]])
    assert breaks_of(path) == [
        "audit.jsonl:7 the line is incomplete: the process was killed while it wrote, or the file was cut"
    ]
    write_log(path, 1)
    found = verify([path])
    assert breaks(found) == []
    assert [finding.text for finding in found.findings] == [
        "the line is incomplete: the process was killed while it wrote; the next start says so"
    ]
    assert len(found.chains) == 2


def test_the_command_prints_chains_and_breaks(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("whole   chain ") == 2
    assert "2 chains, 0 breaks; compared with no heads" in printed
    edit_lines(path, lambda lines: lines[:3] + lines[4:])
    assert main(["verify", str(path)]) == 1
    printed = capsys.readouterr().out
    assert f"BROKEN  {path}:4: 1 lines before this one were removed" in printed
    assert "BROKEN  chain" in printed


def test_the_command_ends_with_2_where_a_file_is_unreadable(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = path.parent / "none"
    for arguments in ([str(missing)], [str(path), "--head", str(missing)], [str(path), "--key", str(missing)]):
        assert main(["verify", *arguments]) == 2
        assert str(missing) in capsys.readouterr().err


def test_no_control_character_of_a_forged_line_is_printed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    escape = "\x1b[2J"
    forged, _ = seal({"action": escape, "time": escape, "lines": escape}, Link("0123456789abcdef", -1, "0" * 64))
    lost, _ = seal({"action": "lost", "time": escape, "lines": escape}, Link("0123456789abcdef", 0, "0" * 64))
    edit_lines(path, lambda lines: [*lines, forged, lost])
    assert main(["verify", str(path)]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_an_empty_file_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").touch()
    assert main(["verify", str(tmp_path / "audit.jsonl")]) == 1


def test_help_describes_the_command() -> None:
    command = [sys.executable, "-m", "services.gateway.audit", "verify", "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--head FILE" in text
    assert "exit status" in text


def test_lines_that_are_no_heads_are_left_out(tmp_path: Path) -> None:
    head = '{"time":"t","chain":"%s","seq":%s,"hash":"%s"}'
    others = [head % ("\x1b" * 16, 1, "a" * 64), head % ("a" * 16, "1e999", "a" * 64), head % ("a" * 16, 1, "a")]
    (tmp_path / "syslog").write_text("\n".join(["other", "{", *others]))
    assert read_heads(tmp_path / "syslog") == []
