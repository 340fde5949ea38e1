"""Headers are read once, and never taken for those of another file."""

import pytest

from services.preprocess.dataset_reader import ReadBudget
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header_cache import HeaderCache
from services.preprocess.header_reader import read_header
from tests.preprocess.dicom_files import ct, enhanced, written

FILE = ct()
HEADER = read_header(FILE, len(FILE))
PIXELS_AT = HEADER.pixel_data.start


def changed(at: int) -> bytes:
    return FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]


def test_the_first_bytes_suffice_to_find_a_header() -> None:
    cache = HeaderCache()
    kept = cache.read(FILE[: PIXELS_AT + 100], len(FILE))
    assert kept == HEADER
    assert cache.read(memoryview(FILE), len(FILE)) is kept
    assert cache.read(FILE[:PIXELS_AT], len(FILE)) is kept


def test_other_pixels_have_the_same_header() -> None:
    cache = HeaderCache()
    assert cache.read(FILE, len(FILE)) is cache.read(changed(PIXELS_AT), len(FILE))


@pytest.mark.parametrize("at", [5, FILE.index(b"\x08\x00\x18\x00") + 10, FILE.index(b"\x28\x00\x52\x10") + 10])
def test_other_bytes_before_the_pixels_are_read_anew(at: int) -> None:
    """The key has the first 512 bytes only, and the digest all bytes that were read."""
    cache, other = HeaderCache(), changed(at)
    kept = cache.read(FILE, len(FILE))
    found = cache.read(other, len(FILE))
    assert found is not kept
    assert found == read_header(other, len(FILE))


def test_another_size_is_read_anew() -> None:
    cache = HeaderCache()
    cache.read(FILE, len(FILE))
    with pytest.raises(UnreadableFile, match="surplus_pixels"):
        cache.read(FILE, len(FILE) + 10**6)
    with pytest.raises(UnreadableFile, match="truncated"):
        cache.read(FILE[:-10], len(FILE) - 10)


def test_a_header_that_is_not_there_yet() -> None:
    cache = HeaderCache()
    for _ in range(2):
        with pytest.raises(IncompleteHeader):
            cache.read(FILE[:400], len(FILE))
    cache.read(FILE, len(FILE))
    with pytest.raises(IncompleteHeader):
        cache.read(FILE[:400], len(FILE))


def test_a_header_that_depends_on_the_bytes_sent_is_not_kept() -> None:
    """An item of a sequence claims bytes beyond the file's end."""
    file = written(enhanced(2))
    at = file.index(b"\x00\x52\x30\x92") + 12
    longer = file[:at] + b"\xfe\xff\x00\xe0\xff\xff\xff\x7f" + file[at + 8 :]
    cache = HeaderCache()
    assert cache.read(longer, len(file)) is not cache.read(longer, len(file))


def test_the_headers_used_least_recently_are_dropped() -> None:
    files = [ct(SOPInstanceUID=f"1.2.{number}") for number in range(3)]
    cache = HeaderCache(max_bytes=2 * (PIXELS_AT + 1300))
    first, second = (cache.read(file, len(file)) for file in files[:2])
    assert cache.read(files[0], len(files[0])) is first
    cache.read(files[2], len(files[2]))
    assert cache.read(files[0], len(files[0])) is first
    assert cache.read(files[1], len(files[1])) is not second


def test_a_header_of_many_values_weighs_more() -> None:
    """2,000 values take 128 KB of memory, from 2 KB of a file."""
    file = ct(ImageType=[""] * 2000)
    cache = HeaderCache(max_bytes=100_000)
    assert cache.read(file, len(file)) is not cache.read(file, len(file))


def test_a_kept_header_takes_the_same_reads_from_the_budget() -> None:
    cache, budgets = HeaderCache(), [ReadBudget(1) for _ in range(3)]
    for budget in budgets[:2]:
        cache.read(FILE, len(FILE), budget)
    assert budgets[0].left == budgets[1].left < budgets[2].left
    budgets[2].left = 5
    with pytest.raises(UnreadableFile, match="too_large"):
        cache.read(FILE, len(FILE), budgets[2])
