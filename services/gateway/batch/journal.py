"""What was done so far, line by line in a small file: a run that was broken off goes on from it.

A line is written, durably, after what it tells of. The last one may be torn by a power cut, and is cut off then. No
name of a file stands in it.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.gateway.client import Failure, WrongUsage


@dataclass(frozen=True, slots=True)
class Record:
    """One job.

    units : fingerprints of what it holds
    id : the gateway's, where it has accepted the job
    after : the number of the last series whose report is written
    failed : the series without a report so far, and why; no file is named
    end : how it ended, of the gateway's document, once all its reports are written
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
        """Whether the gateway has it, and not all of its reports are here."""
        return self.id is not None and self.end is None


@dataclass
class Journal:
    """All jobs of an output folder, and how long its files are. One run has it at a time."""

    path: Path
    records: dict[str, Record] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._file = self.path.open("a+b")
        self._lock()
        self.begun: dict[str, Any] | None = None
        self._file.seek(0)
        for line in self._file.readlines():  # which end at \n alone: what is torn may hold any other byte
            if not line.endswith(b"\n"):
                self._file.truncate(self._file.tell() - len(line))
                break
            self._apply(json.loads(line))

    def begin(self, wishes: Mapping[str, Any]) -> None:
        """Write down what the run is to do; WrongUsage where it was begun otherwise."""
        if self.begun is None:
            self._append({"begin": dict(wishes)})
        differs = [name for name, value in wishes.items() if self.begun and self.begun.get(name) != value]
        if differs:
            raise WrongUsage(f"{self.path.parent} was begun with another {', '.join(differs)}; choose another folder")

    def note(self, key: str, sizes: Mapping[str, int] | None = None, **changes: Any) -> Record:
        """Change a job's record, and the files' sizes with it."""
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
            self.begun = entry["begin"]
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
            raise Failure(f"another run is at work on {self.path.parent}") from None
