"""Regions of a process: reused after success only, and removed with it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest

from services.common.shared_memory import remove_abandoned, shared_folder
from services.common.tensors import FilePart
from services.gateway.stages.region_pool import Lease, Region, RegionPool

MIB = 1 << 20


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="ich-test-", dir="/dev/shm"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def pool(folder: Path) -> Iterator[RegionPool]:
    made = RegionPool(folder, 4 * MIB, 1)
    yield made
    made.close()


def _name(region: Region | None) -> str:
    assert region
    return region.name


def test_a_region_is_leased_again_after_success_only(pool: RegionPool, folder: Path) -> None:
    with pool.lease() as lease:
        first = _name(lease.region())
    with suppress(TimeoutError), pool.lease() as lease:
        assert _name(lease.region()) == first
        raise TimeoutError
    assert not list(folder.iterdir())
    with pool.lease() as lease:
        second = _name(lease.region())
        lease.taint()
    with pool.lease() as lease:
        third = _name(lease.region())
        lease.replace()
        fourth = _name(lease.region())
    with pool.lease() as lease:
        assert _name(lease.region()) == fourth
    assert len({first, second, third, fourth}) == 4


def test_leases_never_share_a_region_and_their_number_is_bounded(pool: RegionPool, folder: Path) -> None:
    with pool.lease() as one, pool.lease() as two, pool.lease() as three:
        regions = [lease.region() for lease in (one, two, three)]
    assert _name(regions[0]) != _name(regions[1])
    assert regions[2] is None, "4 MiB are two regions"
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600] * 2
    pool.close()
    assert not folder.exists()


def test_a_late_write_into_a_destroyed_region_reaches_no_new_one(pool: RegionPool) -> None:
    with suppress(TimeoutError), pool.lease() as lease:
        region = lease.region()
        assert region
        late = region.view(0, region.size)[:]  # as a stage has it
        raise TimeoutError
    with pool.lease() as lease:
        fresh = lease.region()
        assert fresh
        late[:] = b"\xff" * len(late)
        assert not any(fresh.view(0, fresh.size))


def test_a_region_counts_until_its_memory_is_unmapped(pool: RegionPool) -> None:
    held = list[memoryview]()
    for _ in range(2):
        with pool.lease() as lease:
            region = lease.region()
            assert region
            held.append(region.view(0, region.size)[:])
            lease.taint()
    with pool.lease() as lease:
        assert lease.region() is None, "4 MiB are two regions"
    held.pop()
    with pool.lease() as lease:
        assert lease.region()


@pytest.mark.parametrize("end", [lambda lease: lease.end(), lambda lease: lease.replace()])
def test_views_end_with_their_lease(pool: RegionPool, end: Callable[[Lease], None]) -> None:
    with pool.lease() as lease:
        region = lease.region()
        assert region
        view = region.view(0, 1)
        end(lease)
        with pytest.raises(ValueError, match="released"):
            view[0]


def test_a_truncated_region_is_not_leased(pool: RegionPool, folder: Path) -> None:
    with pool.lease() as lease:
        first = _name(lease.region())
    (file,) = folder.iterdir()
    os.truncate(file, MIB)
    with pool.lease() as lease:
        assert _name(lease.region()) != first
        assert not file.exists()


def test_an_empty_file_is_removed_after_a_minute(folder: Path) -> None:
    young, old = folder / ("0" * 32), folder / ("1" * 32)
    for file in (young, old):
        file.touch(0o600)
    os.utime(old, (time.time() - 61, time.time() - 61))
    with shared_folder(folder) as opened:
        remove_abandoned(opened)
    assert list(folder.iterdir()) == [young]


def test_parts_of_files_are_written_one_after_the_other(pool: RegionPool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(100)))
    with pool.lease() as lease:
        region = lease.region()
        assert region
        region.write(7, (b"ab", FilePart(file, 50, gap=(10, 40)), memoryview(b"cd")))
        assert region.view(7, 24) == b"ab" + bytes([*range(10), *range(40, 50)]) + b"cd"
        with pytest.raises(OSError, match="shorter"):
            region.write(0, (FilePart(file, 101),))


def test_files_of_a_killed_process_are_removed_by_the_next_one(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from services.gateway.stages.region_pool import RegionPool\n"
        "pool = RegionPool(Path(sys.argv[1]), 4 << 20, 1); region = pool.take(); print(region.key, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        key = other.stdout.readline().strip()
        with shared_folder(folder) as opened:
            remove_abandoned(opened)
        assert [path.name for path in folder.iterdir()] == [key], "its owner lives"
        os.kill(other.pid, signal.SIGKILL)
    next_pool = RegionPool(folder, 4 * MIB, 1)
    with next_pool.lease() as lease:
        assert _name(lease.region())
        assert key not in [path.name for path in folder.iterdir()]
    next_pool.close()
