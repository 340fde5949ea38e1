"""Senders of DICOM files: dcmtk's `storescu`, pynetdicom where dcmtk is missing, and one that stops in a series."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.running import ROOT

CALLING: Final = "CT1"
INSTALL: Final = "apt-get install dcmtk"


def send(files: Sequence[Path], port: int, called: str) -> None:
    """Send files on one association; AssertionError with the sender's output where one of them is refused."""
    done = storescu(files, port, called) if dcmtk_storescu() else _by_pynetdicom(files, port, called)
    assert done.returncode == 0, done.stdout + done.stderr


def storescu(
    files: Sequence[Path], port: int, called: str, calling: str = CALLING, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Send files by dcmtk, with a presentation context for each SOP class; its output names refusals."""
    found = dcmtk_storescu()
    assert found, f"dcmtk is not installed: {INSTALL}"
    return _run([found, "-v", "-R", *options, "-aet", calling, "-aec", called, "127.0.0.1", str(port)], files)


def dcmtk_storescu() -> str | None:
    """The path of dcmtk's storescu; None without it."""
    return shutil.which("storescu", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")


def _by_pynetdicom(files: Sequence[Path], port: int, called: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pynetdicom", "storescu", "-aet", CALLING, "-aec", called]
    return _run([*command, "127.0.0.1", str(port)], [files[0].parent])


def _run(command: Sequence[str], files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False, timeout=120)


def killed_sender(files: Sequence[Path], port: int, called: str) -> None:
    """Send files on one association, then kill the sender without a release."""
    command = [sys.executable, "-m", "tests.pacs.halting_sender", str(port), called, *map(str, files)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == f"{len(files)}\n"
        sender.kill()
