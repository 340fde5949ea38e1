"""Audit files for tests."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.gateway.audit.events import system_event
from services.gateway.audit.heads import HeadDestination
from services.gateway.audit.log import AuditLog
from services.gateway.audit.verification import Verification
from services.gateway.audit.verify import verify
from services.gateway.audit.writer import AuditOptions

START = system_event("start", settings={}, changed=None)


def options_of(path: Path, **others: Any) -> AuditOptions:
    return AuditOptions(**{"path": path, "max_bytes": 10**9, "keep": 3, **others})


@contextmanager
def running_log(path: Path, **others: Any) -> Iterator[AuditLog]:
    """A log that writes to a path."""
    log = AuditLog(options_of(path, **others), CollectorRegistry())
    with log.running(START):
        yield log


def write_log(path: Path, count: int, **others: Any) -> None:
    """Write a chain of `count` lines between its first and its last one."""
    with running_log(path, **others) as log:
        for number in range(count):
            log.post(system_event("read", number=number))


def breaks(found: Verification) -> list[str]:
    return [f"{finding.place.rpartition('/')[2]} {finding.text}" for finding in found.findings if finding.is_break]


def edit_lines(path: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Write the lines of a file anew."""
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def breaks_of(path: Path, **others: Any) -> list[str]:
    return breaks(verify(sorted(path.parent.glob(f"{path.name}*")), **others))


class KeptHeads(HeadDestination):
    """A destination that keeps the heads."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    def send(self, head: bytes) -> None:
        self.heads.append(head)


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """No file of this process grows beyond the size of `path` and 100 bytes: a write stops halfway, with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
