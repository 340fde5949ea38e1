"""An earlier release, run from a git worktree beside the product of this checkout."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.running import ROOT, Service, free_ports, running_service

COMMIT: Final = "092cde5f4e20210a67784d37e67ef7ebea89fada"  # TensorFlow, and tensors over TCP only
NAME: Final = f"release {COMMIT[:7]}"


def available() -> bool:
    """Whether this clone has the commit; a shallow one may not."""
    return not _git("cat-file", "-e", f"{COMMIT}^{{commit}}", check=False)


@contextmanager
def earlier_product() -> Iterator[Service]:
    """Run the earlier release with its own defaults, in the environment of this one."""
    with tempfile.TemporaryDirectory() as folder:
        root, log = Path(folder) / "earlier", Path(folder) / "log"
        _git("worktree", "add", "--quiet", "--detach", str(root), COMMIT)
        try:
            redis = {"REDIS_PORT": str(free_ports(1)[0])}  # a port of its own, where later releases have a socket
            with running_service(log, more=redis, root=root) as service:
                yield service
        finally:
            _git("worktree", "remove", "--force", str(root))


def _git(*arguments: str, check: bool = True) -> int:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=check, stderr=subprocess.DEVNULL).returncode
