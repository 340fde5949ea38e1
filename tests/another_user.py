"""Python code that another user of this machine runs."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

NOBODY: Final = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
_ROOT: Final = Path(__file__).parents[1]
_BECOME: Final = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"


def as_another_user(imports: str, script: str) -> str:
    """The output of a script that runs as `nobody` after its imports, since Python may lie in root's home."""
    code = f"{imports}\n{_BECOME}\n{script}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter and write to, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="ich-", dir="/tmp"))
    folder.chmod(0o1777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
