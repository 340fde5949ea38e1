"""Progress of an output folder, one JSON line for each step: a run resumes from it after any interruption.

A line is written, durably, after the data that it describes. A power cut may leave the last line incomplete; it is cut
off at the next start. The file holds no name of an uploaded file.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.gateway.client import ClientError, UsageError


@dataclass(frozen=True, slots=True)
class Record:
    """One job.

    units : fingerprints of its units
    id : set by the gateway when it accepts the job
    after : number of the last series whose report is written
    failed : failed series with their reasons, without names of files
    end : result of the job, from the gateway's document, after all its reports are written
    removed : deleted from the gateway
    """

    key: str
    units: tuple[str, ...] = ()
    files: int = 0
    id: str | None = None
    after: int = -1
    failed: tuple[str, ...] = ()
    end: Mapping[str, Any] | None = None
    removed: bool = False

    @property
    def open(self) -> bool:
        """Whether the gateway has the job, and some of its reports are not written yet."""
        return self.id is not None and self.end is None


@dataclass
class Journal:
    """All jobs of an output folder, and the sizes of its files. One run holds it at a time."""

    path: Path
    records: dict[str, Record] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._file = self.path.open("a+b")
        self._lock()
        self.options: dict[str, Any] | None = None
        self._file.seek(0)
        for line in self._file.readlines():  # bytes split at \n only: an incomplete line may hold any other byte
            if not line.endswith(b"\n"):
                self._file.truncate(self._file.tell() - len(line))
                break
            self._apply(json.loads(line))

    def begin(self, options: Mapping[str, Any]) -> None:
        """Record the options of the run; UsageError where an earlier run had others."""
        if self.options is None:
            self._append({"begin": dict(options)})
        changed = [name for name, value in options.items() if self.options and self.options.get(name) != value]
        if changed:
            raise UsageError(
                f"{self.path.parent} belongs to a run with another {', '.join(changed)}; choose another folder"
            )

    def update(self, key: str, sizes: Mapping[str, int] | None = None, **changes: Any) -> Record:
        """Change a job's record, together with the sizes of the files."""
        entry: dict[str, Any] = {"job": key, "set": changes}
        self._append({**entry, "sizes": dict(sizes)} if sizes is not None else entry)
        return self.records[key]

    def close(self) -> None:
        self._file.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._apply(entry)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        if "begin" in entry:
            self.options = entry["begin"]
            return
        key, changes = entry["job"], dict(entry["set"])
        changes |= {name: tuple(changes[name]) for name in ("units", "failed") if name in changes}
        self.records[key] = replace(self.records.get(key, Record(key)), **changes)
        self.sizes.update(entry.get("sizes", {}))

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ClientError(f"another run uses {self.path.parent}; wait until it ends") from None
