"""Data between the entries of a zip: entries there are refused, other data are not."""

import struct
from pathlib import Path
from typing import cast

import pytest

from services.gateway.uploads.zip_directory import ZipDirectory, read_directory_end, read_entries
from services.gateway.uploads.zip_entries import locate_data
from services.gateway.uploads.zip_gaps import UnlistedEntry
from tests.scans import zipped

FILES = {"a": b"1" * 50, "b": b"2" * 50}
PLACES = range(4)
"""In front of each entry, in front of the directory, and behind it."""


def _hidden(files: dict[str, bytes]) -> bytes:
    """The entries of a zip without its directory."""
    data = zipped(files)
    return data[: data.index(b"PK\x01\x02")]


HIDDEN = _hidden({"head/c.dcm": b"3" * 50})


def _with_gap(place: int, gap: bytes) -> bytes:
    """A zip of FILES with bytes in one place, and the offsets behind them corrected."""
    data = zipped(FILES)
    if place == len(FILES) + 1:
        return data + gap
    start, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    records = [bytearray(b"PK\x01\x02" + record) for record in data[start:end].split(b"PK\x01\x02")[1:]]
    offsets = [int.from_bytes(record[42:46], "little") for record in records]
    at = [*offsets, start][place]
    for record, offset in zip(records, offsets, strict=True):
        record[42:46] = struct.pack("<L", offset + len(gap) * (offset >= at))
    ends = data[end : end + 16] + struct.pack("<L", start + len(gap)) + data[end + 20 :]
    return data[:at] + gap + data[at:start] + b"".join(records) + ends


def _located(folder: Path, data: bytes) -> int:
    """The number of entries."""
    path = folder / "zip"
    path.write_bytes(data)
    with path.open("rb") as file:
        end = cast("ZipDirectory", read_directory_end(file, len(data)))
        return len(locate_data(file, list(read_entries(file, end, 100)), end))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("filler", [0, 16, 40, (1 << 20) - 2])
def test_an_entry_in_a_gap_is_refused(tmp_path: Path, place: int, filler: int) -> None:
    """Behind filler bytes of any number, also where its signature lies across two pieces that are read."""
    if place == len(FILES) + 1:
        filler = min(filler, 0xFFFF - len(HIDDEN))  # the end of a zip is searched so far from the end of the file
    with pytest.raises(UnlistedEntry):
        _located(tmp_path, _with_gap(place, b"x" * filler + HIDDEN))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "gap",
    [
        struct.pack("<4sL2Q", b"PK\x07\x08", 1, 2, 3),
        b"APK Sig Block 42".ljust(4096, b"x"),
        b"PK\x03\x04 in the text of a program; ".ljust(5000, b"\x90"),
        HIDDEN[:29],
        HIDDEN.replace(b"head/c.dcm", b"head\0\1\2\3\4\5"[:10]),
    ],
    ids=["descriptor", "signature", "program", "cut", "no-name"],
)
def test_other_data_in_a_gap_are_skipped(tmp_path: Path, place: int, gap: bytes) -> None:
    assert _located(tmp_path, _with_gap(place, gap)) == len(FILES)


def test_a_gap_full_of_signatures_is_refused_at_once(tmp_path: Path) -> None:
    """Each costs a look at its bytes."""
    with pytest.raises(UnlistedEntry):
        _located(tmp_path, _with_gap(1, b"PK\x03\x04" * 1_000_000))
