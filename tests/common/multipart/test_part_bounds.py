"""Limits of the parts of a multipart body, with data or without."""

from pathlib import Path
from tempfile import mkdtemp

import pytest

from services.common.multipart.part_bounds import MAX_HEADERS, MAX_PART_HEADER_BYTES, PartBounds
from services.common.problems import BadRequest, ContentTooLarge
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.multipart_form import MultipartForm
from services.gateway.uploads.spool import SpoolFolder

LIMITS = Limits(max_bytes=10_000_000, max_files=5, max_ratio=100)
MAX_PARTS = LIMITS.max_files + 128
DISPOSITION = "Content-Disposition: form-data; name=files"


def _lines(headers: str) -> str:
    return f"{headers}\r\n" if headers else ""


def _parse(folder: Path, parts: list[str], piece_bytes: int = 10_000) -> int:
    """The number of files in a body of parts without data."""
    body = "".join(f"--b\r\n{_lines(headers)}\r\n\r\n" for headers in parts).encode() + b"--b--\r\n"
    form = MultipartForm(b"b", SpoolFolder(Path(mkdtemp(dir=folder))), LIMITS)
    try:
        for at in range(0, len(body), piece_bytes):
            form.write(body[at : at + piece_bytes])
        form.finish()
    finally:
        form.close()
    return len(form.files)


@pytest.mark.parametrize("headers", ["", "X: y", DISPOSITION, f'{DISPOSITION}; filename=""'])
@pytest.mark.parametrize("piece_bytes", [7, 10_000])
def test_parts_without_data_count(tmp_path: Path, headers: str, piece_bytes: int) -> None:
    file = f"{DISPOSITION}; filename=a.dcm"
    assert _parse(tmp_path, [file, *[headers] * (MAX_PARTS - 1)], piece_bytes) == 1
    with pytest.raises(ContentTooLarge) as refused:
        _parse(tmp_path, [file, *[headers] * MAX_PARTS], piece_bytes)
    assert f"may have {MAX_PARTS} parts" in refused.value.detail


def test_the_headers_of_a_part_are_counted(tmp_path: Path) -> None:
    file = f"{DISPOSITION}; filename=a.dcm"
    assert _parse(tmp_path, ["\r\n".join([file, *["X: y"] * (MAX_HEADERS - 1)])]) == 1
    with pytest.raises(ContentTooLarge, match="too_large"):
        _parse(tmp_path, ["\r\n".join([file, *["X: y"] * MAX_HEADERS])])


@pytest.mark.parametrize("piece_bytes", [100, 100_000])
def test_the_bytes_of_a_parts_headers_are_limited(tmp_path: Path, piece_bytes: int) -> None:
    name = "n" * (MAX_PART_HEADER_BYTES - 200)
    assert _parse(tmp_path, [f"{DISPOSITION}; filename={name}"], piece_bytes) == 1
    for headers in (f"{DISPOSITION}; filename={name}\r\nX: {'y' * 200}", f"X: {'y' * 3 * MAX_PART_HEADER_BYTES}"):
        with pytest.raises((ContentTooLarge, BadRequest)) as refused:
            _parse(tmp_path, [headers], piece_bytes)
        assert "8 KiB" in refused.value.detail


def test_the_bytes_of_all_headers_are_limited() -> None:
    bounds = PartBounds(max_files=5)
    whole, rest = divmod(MAX_PARTS * 1024, MAX_PART_HEADER_BYTES)
    for size in [MAX_PART_HEADER_BYTES] * whole + [rest]:
        bounds.begin_part()
        bounds.add_header_bytes(size)
    bounds.begin_part()
    with pytest.raises(ContentTooLarge) as refused:
        bounds.add_header_bytes(1)
    assert "in all its parts" in refused.value.detail


def test_a_disposition_of_many_parameters_is_refused(tmp_path: Path) -> None:
    """Its parser takes time that grows with their square."""
    for end in ("", "; filename*=utf-8''a"):
        with pytest.raises(BadRequest, match="malformed_request") as refused:
            _parse(tmp_path, [f"{DISPOSITION}{end}{';' * 100}"])
        assert "16 parameters" in refused.value.detail
