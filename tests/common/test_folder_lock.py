import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.common.folder_lock import FolderInUse, is_shared_by_machines, locked
from tests.running import ROOT

MOUNTS = r"""
22 27 0:21 / / rw,relatime - ext4 /dev/vda rw
23 22 0:22 / /data rw,relatime shared:1 - nfs4 server:/export rw
24 23 0:23 / /data/local\040disk rw,relatime - xfs /dev/vdb rw
25 22 0:24 / /bucket rw - fuse.s3fs s3fs rw
26 22 0:25 / /data2 rw - ext4 /dev/vdc rw
""".strip()
OWN_IN_CHILD = """
import sys, time
from pathlib import Path
from services.common.folder_lock import locked
with locked(Path(sys.argv[1]), "A_SETTING"):
    print("owned", flush=True)
    time.sleep(100)
"""


def test_a_second_owner_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    with locked(tmp_path, "A_SETTING"):
        with pytest.raises(FolderInUse) as refused, locked(tmp_path, "A_SETTING"):
            pass
        record = json.loads((tmp_path / "owner.lock").read_text())
    assert record["pid"] == os.getpid()
    for word in (str(tmp_path), f"process {os.getpid()} on {socket.gethostname()}", record["since"], "A_SETTING"):
        assert word in str(refused.value)
    with locked(tmp_path, "A_SETTING"):
        pass


def test_an_unreadable_record_does_not_hide_the_refusal(tmp_path: Path) -> None:
    with locked(tmp_path, "A_SETTING"):
        (tmp_path / "owner.lock").write_bytes(b'{"pid": 1')
        with pytest.raises(FolderInUse, match="another process"), locked(tmp_path, "A_SETTING"):
            pass


def test_a_folder_is_free_at_once_after_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWN_IN_CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "owned\n"
        with pytest.raises(FolderInUse, match=f"process {child.pid} on"), locked(tmp_path, "A_SETTING"):
            pass
        child.kill()
        child.wait()
    with locked(tmp_path, "A_SETTING"):
        pass


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "owner.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"owner\.lock"), locked(tmp_path, "A_SETTING"):
        pass
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("/var/jobs", False),
        ("/data/jobs", True),
        ("/data", True),
        ("/data/local disk/jobs", False),
        ("/data2/jobs", False),
        ("/bucket/jobs", True),
    ],
)
def test_network_file_systems_are_known_by_the_table_of_mounts(tmp_path: Path, folder: str, *, shared: bool) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert is_shared_by_machines(Path(folder), tmp_path / "mountinfo") is shared


def test_without_a_table_of_mounts_a_folder_counts_as_local(tmp_path: Path) -> None:
    assert not is_shared_by_machines(tmp_path, tmp_path / "none")
    assert isinstance(is_shared_by_machines(tmp_path), bool)
