"""Pages over the files of an audit log, while it rotates."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.gateway.audit.chain import new_chain, seal
from services.gateway.audit.reading import InvalidPosition, Position, parse_position, read_page


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


class Log:
    """Writes numbered lines, and rotates, as `AuditFile` does."""

    def __init__(self, path: Path) -> None:
        self._path, self._last, self._number = path, new_chain("0" * 64), 0

    def write(self, count: int, end: bytes = b"") -> None:
        for _ in range(count):
            line, self._last = seal({"number": self._number}, self._last)
            self._number += 1
            with self._path.open("ab") as file:
                file.write(line)
        with self._path.open("ab") as file:
            file.write(end)

    def rotate(self, keep: int = 3) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number}") for number in range(1, keep + 1))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            if newer.exists():
                newer.rename(older)


def numbers(path: Path, limit: int, after: Position | None = None) -> Iterator[list[int]]:
    """The pages after a position, until one is empty."""
    while True:
        page = read_page(path, after, limit)
        if not page.lines:
            return
        yield [json.loads(line)["number"] for line in page.lines.splitlines()]
        after = page.end


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
def test_pages_have_each_line_of_all_files_once_and_in_order(path: Path, limit: int) -> None:
    log = Log(path)
    for count in (4, 1, 5):
        log.write(count)
        log.rotate()
    log.write(2)
    pages = list(numbers(path, limit))
    assert [number for page in pages for number in page] == list(range(12))
    assert all(len(page) == limit for page in pages[:-1])


def test_a_position_stays_valid_over_rotations_until_its_file_is_deleted(path: Path) -> None:
    log = Log(path)
    log.write(4)
    page = read_page(path, None, 3)
    assert page.end == parse_position(str(page.end))
    for _ in range(3):
        log.rotate()
        log.write(1)
        assert next(numbers(path, 100, page.end))[0] == 3
    log.rotate()
    with pytest.raises(InvalidPosition):
        read_page(path, page.end, 3)


def test_the_end_of_the_log_is_a_position_where_later_lines_begin(path: Path) -> None:
    log = Log(path)
    log.write(2)
    end = read_page(path, None, 100).end
    assert read_page(path, end, 100).lines == b""
    log.write(1)
    log.rotate()
    log.write(1)
    assert list(numbers(path, 100, end)) == [[2, 3]]


def test_a_line_that_is_being_written_is_left_for_the_next_page(path: Path) -> None:
    log = Log(path)
    log.write(2, end=b'{"chain":"')
    page = read_page(path, None, 100)
    assert len(page.lines.splitlines()) == 2
    assert read_page(path, page.end, 100).lines == b""


def test_without_a_file_or_lines_there_is_an_empty_page(path: Path) -> None:
    assert read_page(path, None, 10).end is None
    path.touch()
    assert read_page(path, None, 10).end is None


@pytest.mark.parametrize("text", ["", "x", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef--1", "../x-1"])
def test_other_texts_are_no_positions(text: str) -> None:
    with pytest.raises(InvalidPosition):
        parse_position(text)


def test_a_position_within_a_line_is_refused(path: Path) -> None:
    Log(path).write(2)
    end = read_page(path, None, 1).end
    assert end
    for offset in (1, end.offset - 1, end.offset + 1, 10**9):
        with pytest.raises(InvalidPosition):
            read_page(path, Position(end.file, offset), 1)


def test_a_damaged_line_is_shown_as_it_is(path: Path) -> None:
    path.write_bytes(b"torn\n")
    log = Log(path)
    log.write(1)
    page = read_page(path, None, 100)
    assert page.lines.startswith(b"torn\n{")
    log.rotate()
    log.write(1)
    assert list(numbers(path, 100, page.end)) == [[1]]
