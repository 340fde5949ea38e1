"""A stage's regions: only files of this user in the folder, within limits, and none whose owner has died."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

from services.common.problems import BadRequest
from services.common.shared_memory import SharedMemoryUnavailable, create_region, map_region, open_region, shared_folder
from services.common.shared_memory_regions import RegionRefused, RegisteredRegions, UnknownRegion
from services.common.shared_ranges import SharedRange
from tests.another_user import NOBODY, needs_root

KEY = "0123456789abcdef" * 2
SIZE = 8192


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="ich-test-", dir="/dev/shm"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def region(folder: Path) -> Iterator[memoryview]:
    """A region as its owner has it in memory."""
    with shared_folder(folder) as opened:
        file = create_region(opened, KEY, SIZE)
    yield map_region(file, SIZE)
    os.close(file)


def _refusal(call: Callable[[], object]) -> str:
    """The reason of a refused registration or range."""
    with pytest.raises(BadRequest) as refused:
        call()
    return refused.value.detail


def _regions(folder: Path | None, regions: int = 4, size: int = 1 << 20) -> RegisteredRegions:
    return RegisteredRegions(folder, regions, size)


def test_both_sides_see_the_same_bytes(folder: Path, region: memoryview) -> None:
    regions = _regions(folder)
    regions.register("name", f"/{KEY}", 4096, 4096)
    regions.view(SharedRange("name", 8, 5))[:] = b"slice"
    assert bytes(region[4096 + 8 :][:5]) == b"slice"
    assert regions.status("name") == {"name": "name", "key": KEY, "offset": 4096, "byte_size": 4096}


@pytest.mark.parametrize(("offset", "size"), [(0, SIZE + 1), (SIZE, 1), (2**62, 1)])
def test_a_range_beyond_its_region_is_refused(folder: Path, region: memoryview, offset: int, size: int) -> None:
    regions = _regions(folder)
    regions.register("name", KEY, 0, len(region))
    detail = _refusal(lambda: regions.view(SharedRange("name", offset, size)))
    assert detail == "the range exceeds its region of 8192 bytes"


def test_unknown_and_unregistered_regions_are_refused(folder: Path, region: memoryview) -> None:
    regions = _regions(folder)
    regions.register("name", KEY, 0, len(region))
    view = regions.view(SharedRange("name", 0, SIZE))
    regions.unregister("name")
    for name in ("name", "other", ""):
        with pytest.raises(UnknownRegion):
            regions.view(SharedRange(name, 0, 1))
    view[:1] = b"x"  # a request in progress still has the memory
    assert bytes(region[:1]) == b"x"


def _symbolic_link(path: Path) -> None:
    path.with_name("target").write_bytes(bytes(SIZE))
    path.symlink_to(path.with_name("target"))


def _open_to_others(path: Path) -> None:
    path.write_bytes(bytes(SIZE))
    path.chmod(0o644)


def _of_another_user(path: Path) -> None:
    path.write_bytes(bytes(SIZE))
    path.chmod(0o600)
    os.chown(path, NOBODY, NOBODY)


def _too_short(path: Path) -> None:
    path.write_bytes(bytes(SIZE - 1))
    path.chmod(0o600)


UNUSABLE: Final = [
    lambda path: path,
    _symbolic_link,
    _open_to_others,
    pytest.param(_of_another_user, marks=needs_root),
    _too_short,
    os.mkfifo,
    lambda path: path.mkdir(),
]


@pytest.mark.parametrize("make", UNUSABLE)
def test_only_regular_files_of_this_user_alone_are_opened(folder: Path, make: Callable[[Path], object]) -> None:
    make(folder / KEY)
    regions = _regions(folder)
    with pytest.raises(RegionRefused):
        regions.register("name", KEY, 0, SIZE)
    with pytest.raises(UnknownRegion):
        regions.status("name")


@pytest.mark.parametrize(
    "key", ["", "/", "..", f"../{KEY}", f"//{KEY}", f"sub/{KEY}", KEY[:-1], KEY + "\0", "/etc/passwd"]
)
def test_a_key_names_a_file_of_the_folder_only(folder: Path, region: memoryview, key: str) -> None:
    detail = _refusal(lambda: _regions(folder).register("name", key, 0, len(region)))
    assert detail.startswith("a key has 32 hexadecimal digits")


def test_limits_name_themselves(folder: Path, region: memoryview) -> None:
    few, small = _regions(folder, regions=1), _regions(folder, size=SIZE)
    few.register("first", KEY, 0, len(region))
    small.register("first", KEY, 0, len(region))
    assert "of this name" in _refusal(lambda: few.register("first", KEY, 0, 1))
    assert "1 regions are registered, which is the limit" in _refusal(lambda: few.register("second", KEY, 0, 1))
    assert "8192 bytes" in _refusal(lambda: small.register("second", KEY, 0, 1))
    small.unregister("first")
    small.register("end", KEY, SIZE - 1, 1)
    assert "8192 bytes" in _refusal(lambda: small.register("second", KEY, 0, 1)), "the whole file is mapped"


def test_a_truncated_file_is_unavailable(folder: Path, region: memoryview) -> None:
    os.truncate(folder / KEY, 0)
    with shared_folder(folder) as opened:
        file = open_region(opened, KEY)
    with pytest.raises(SharedMemoryUnavailable, match="cannot be mapped"):
        map_region(file, len(region))
    os.close(file)


def test_unsuitable_folders_are_refused_with_the_remedy(tmp_path: Path, folder: Path) -> None:
    folder.chmod(0o755)
    link = folder.with_name(f"{folder.name}-link")
    link.symlink_to(folder)
    expected = {None: "no shared memory", folder: "mode 0700", tmp_path / "disk": "tmpfs", link: "cannot be opened"}
    for unsuitable, reason in expected.items():
        regions = _regions(unsuitable)
        assert reason in _refusal(partial(regions.register, "name", KEY, 0, SIZE))
    link.unlink()


def test_a_region_whose_owner_was_killed_makes_room(folder: Path) -> None:
    other = "f" * 32
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder), KEY, other],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout
        owner.stdout.readline()
        regions = _regions(folder, regions=1)
        regions.register("dead", KEY, 0, SIZE)
        assert "limit" in _refusal(lambda: regions.register("second", other, 0, SIZE))
        owner.kill()
        owner.wait()
        regions.register("second", other, 0, SIZE)
        with pytest.raises(UnknownRegion):
            regions.status("dead")


_OWNER = """
import sys
from pathlib import Path
from services.common.shared_memory import create_region, shared_folder
with shared_folder(Path(sys.argv[1])) as folder:
    files = [create_region(folder, key, 8192) for key in sys.argv[2:]]
print("ready", flush=True)
sys.stdin.read()
"""
