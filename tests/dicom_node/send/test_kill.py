"""A sender that is killed between any two steps delivers exactly the same objects after its next start."""

import subprocess
import sys
from pathlib import Path

from pydicom import dcmread

from tests.dicom_node.send.pacs import Pacs

MOMENTS = 12  # before and after the commits of two attempts, their ends, a request and its report


def test_a_kill_at_each_commit(tmp_path: Path) -> None:
    with Pacs().running() as pacs:
        command = [sys.executable, "-m", "tests.dicom_node.send.killed_sender", str(tmp_path), str(pacs.port), "40"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= MOMENTS, "or some moment is not tested"
    built = {dcmread(path).SOPInstanceUID for path in tmp_path.rglob("*.dcm")}
    assert set(pacs.stored) == built
    assert all(len(set(sent)) == 1 for sent in pacs.stored.values()), "the same bytes again"
