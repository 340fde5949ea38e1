"""Independent parts of a step, on any number of machines over a shared folder, and the check before they are joined.

A step has units, each of them written atomically: blocks of headers, shards, blocks of features. Part k of n makes
every n-th unit from the k-th on. It then records its units, the SHA-256 of their files, and the step's inputs:

    <folder>/k-of-n.json

A part that was killed is repeated by the same command; its finished units stay.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from training.io.errors import TrainingError
from training.io.files import file_hash, write_json

MOST_PARTS: Final = 10_000
_TEXT: Final = re.compile(r"([0-9]{1,5})/([0-9]{1,5})", re.ASCII)
_NAME: Final = re.compile(r"([0-9]{1,5})-of-([0-9]{1,5})\.json", re.ASCII)
_NAMES_SHOWN: Final = 5

Unit = TypeVar("Unit")


@dataclass(frozen=True, slots=True)
class Part:
    """Part `number` of `count`, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return the units of this part; none where there are more parts than units."""
        return units[self.number - 1 :: self.count]


def read_part(text: str) -> Part:
    """Read "k/n".

    Raises
    ------
    TrainingError
        it has another form, or k is not from 1 to n
    """
    found = _TEXT.fullmatch(text)
    part = Part(int(found[1]), int(found[2])) if found else Part(0, 0)
    if not 1 <= part.number <= part.count <= MOST_PARTS:
        raise TrainingError(f"{text!r} is no part: give k/n with 1 <= k <= n <= {MOST_PARTS}, as in 2/3.")
    return part


@dataclass(frozen=True, slots=True)
class Parts:
    """The records of the parts of one step.

    step : name of the command, for messages
    folder : of the records
    inputs : what a part is made from, by names for messages: archive, recipe, configuration
    files : returns the files of a unit, by its name
    """

    step: str
    folder: Path
    inputs: Mapping[str, str]
    files: Callable[[str], Sequence[Path]]

    def begin(self, part: Part) -> None:
        """Check that the folder has no parts of another number; remove own files that changed since their record.

        Raises
        ------
        TrainingError
            the folder has parts of another number of parts
        """
        self._check_count(part.count)
        record = self._read(part)
        if record is None or record["inputs"] != dict(self.inputs):
            return
        for unit, hashes in record["units"].items():
            if self._hashes(unit) != hashes:
                for path in self.files(unit):
                    path.unlink(missing_ok=True)

    def finish(self, part: Part, units: Iterable[str]) -> None:
        """Record a part whose units are all on disk."""
        found = {unit: self._hashes(unit) for unit in units}
        write_json(self._path(part), {"part": str(part), "inputs": dict(self.inputs), "units": found})

    def check(self, count: int, units: Sequence[str]) -> None:
        """Check that the parts hold exactly these units.

        Raises
        ------
        TrainingError
            a part is missing, has other inputs or is of another number of parts; or a unit is missing, double, unknown
            or damaged
        """
        if not 1 <= count <= MOST_PARTS:
            raise TrainingError(f"{count} is no number of parts: give 1 to {MOST_PARTS}.")
        self._check_count(count)
        parts = [Part(number, count) for number in range(1, count + 1)]
        missing = [str(part) for part in parts if not self._path(part).is_file()]
        if missing:
            raise TrainingError(f"{self._some(missing, 'part')} missing in {self.folder}: {self._remedy()}.")
        records = {part: self._read(part) or {} for part in parts}
        for part, record in records.items():
            self._check_inputs(part, record)
        self._check_units(records, units)
        for part, record in records.items():
            self._check_files(part, record["units"])

    def _check_count(self, count: int) -> None:
        others = [str(part) for part in self._recorded() if part.count != count]
        if others:
            raise TrainingError(
                f"{self.folder} has part {others[0]} of {self.step}, and {count} parts are wanted: use the same number "
                "of parts, or remove the folder."
            )

    def _check_inputs(self, part: Part, record: Mapping[str, Any]) -> None:
        found = record.get("inputs")
        if not isinstance(found, dict) or not isinstance(record.get("units"), dict) or record["part"] != str(part):
            raise TrainingError(f"{self._path(part)} is damaged: {self._remedy(part)}.")
        other = [name for name in self.inputs if found.get(name) != self.inputs[name]]
        if other or len(found) != len(self.inputs):
            named = " and ".join(other or ["program"])
            raise TrainingError(f"Part {part} of {self.step} is of another {named}: {self._remedy(part)}.")

    def _check_units(self, records: Mapping[Part, Mapping[str, Any]], units: Sequence[str]) -> None:
        found = Counter(unit for record in records.values() for unit in record["units"])
        double = sorted(unit for unit, times in found.items() if times > 1)
        unknown, missing = sorted(found.keys() - set(units)), sorted(set(units) - found.keys())
        for names, fault in ((double, "double"), (missing, "missing"), (unknown, "unknown")):
            if names:
                raise TrainingError(f"{self._some(names, 'unit')} {fault} in the parts of {self.step}: repeat them.")

    def _check_files(self, part: Part, units: Mapping[str, Any]) -> None:
        for unit, hashes in units.items():
            if self._hashes(unit) != hashes:
                raise TrainingError(f"The files of unit {unit} are missing or changed: {self._remedy(part)}.")

    def _hashes(self, unit: str) -> dict[str, str | None]:
        return {path.name: file_hash(path) if path.is_file() else None for path in self.files(unit)}

    def _recorded(self) -> list[Part]:
        names = (_NAME.fullmatch(path.name) for path in self.folder.glob("*-of-*.json"))
        return sorted((Part(int(name[1]), int(name[2])) for name in names if name), key=str)

    def _read(self, part: Part) -> dict[str, Any] | None:
        try:
            record = json.loads(self._path(part).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and {"part", "inputs", "units"} <= record.keys() else None

    def _path(self, part: Part) -> Path:
        return self.folder / f"{part.number}-of-{part.count}.json"

    def _remedy(self, part: Part | None = None) -> str:
        return f"run `python -m training {self.step}` with --part {part or 'k/n'}"

    def _some(self, names: Sequence[str], kind: str) -> str:
        shown = ", ".join(names[:_NAMES_SHOWN]) + (
            f" and {len(names) - _NAMES_SHOWN} more" * (len(names) > _NAMES_SHOWN)
        )
        return f"{kind.capitalize()}{'s' * (len(names) > 1)} {shown} of {self.step} {'are' if len(names) > 1 else 'is'}"
