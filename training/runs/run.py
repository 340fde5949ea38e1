"""A run's folder: its configuration, log, figures, and for every step what it was made of.

    config.json  log.txt  steps/<step>.json  cnn.jsonl  tensorboard/  metrics.json  card.md  card/  bundle/

A step that was finished with the same inputs is passed over; one that was broken off goes on; where an input has
changed, what was made is put into `old/` and the step begins anew, and says so.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from training.configs.plan import Plan
from training.io.errors import TrainingError
from training.io.files import file_hash, fingerprint, write_json

LOG = logging.getLogger(__name__)
# What a step leaves, partial files included.
MADE: Final[Mapping[str, tuple[str, ...]]] = {
    "cnn": ("cnn-best.npz", "cnn.npz", "cnn.jsonl", "tensorboard"),
    "features": ("features.npy", "features.json"),
    "rnn": ("rnn.npz", "rnn-going"),
    "calibrate": ("calibration.json",),
    "evaluate": ("metrics.json", "card.md", "card"),
    "submit": ("submission.csv",),
    "export": ("bundle",),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run's folder."""

    folder: Path

    def open(self, plan: Plan) -> None:
        """Make the folder, note the configuration in it and let the log be written there too."""
        (self.folder / "steps").mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "config.json", asdict(plan))
        root, path = logging.getLogger(), (self.folder / "log.txt").resolve()
        if not any(isinstance(each, logging.FileHandler) and each.baseFilename == str(path) for each in root.handlers):
            handler = logging.FileHandler(path)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            root.addHandler(handler)

    def path(self, name: str) -> Path:
        """A file of the run."""
        return self.folder / name

    def begin(self, step: str, inputs: Mapping[str, str]) -> bool:
        """Whether the step is still to be done with these inputs; what an earlier one with others left is put aside."""
        before = self._stamp(step)
        changed = [name for name in inputs if before and before["inputs"].get(name) != inputs[name]]
        if changed:
            place = self._put_aside(step)
            LOG.info("%s: %s changed since it was made; it begins anew, the old is in %s", step, _all(changed), place)
        elif before and before["finished"] and self.path(MADE[step][0]).exists():
            LOG.info("%s: done before with the same inputs", step)
            return False
        elif before:
            LOG.info("%s: goes on", step)
        write_json(self._stamp_path(step), {"inputs": dict(inputs), "finished": None})
        return True

    def finish(self, step: str, **figures: Any) -> None:
        """Note that the step is done, and what it made."""
        stamp = self._stamp(step) or {"inputs": {}}
        first = self.path(MADE[step][0])
        made = file_hash(first) if first.is_file() and first.suffix != ".npy" else fingerprint(stamp["inputs"])
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_json(self._stamp_path(step), {**stamp, "finished": finished, "made": made, "figures": figures})
        LOG.info("%s: finished", step)

    def made(self, step: str) -> str:
        """A fingerprint of what a finished step made.

        Raises
        ------
        TrainingError
            it is not finished
        """
        return str(self._finished(step)["made"])

    def figures(self, step: str) -> dict[str, Any]:
        """What a finished step noted of itself."""
        return dict(self._finished(step)["figures"])

    def inputs(self) -> dict[str, Any]:
        """The inputs of every step that is finished, for the card."""
        stamps = {step: self._stamp(step) for step in MADE}
        return {step: stamp["inputs"] for step, stamp in stamps.items() if stamp and stamp["finished"]}

    def _finished(self, step: str) -> dict[str, Any]:
        stamp = self._stamp(step)
        if not stamp or not stamp["finished"]:
            raise TrainingError(f"{self.folder} has no finished step {step!r}: run `python -m training {step}` first.")
        return stamp

    def _stamp_path(self, step: str) -> Path:
        return self.folder / "steps" / f"{step}.json"

    def _stamp(self, step: str) -> dict[str, Any] | None:
        path = self._stamp_path(step)
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _put_aside(self, step: str) -> Path:
        place = self.folder / "old" / f"{step}-{time.strftime('%Y%m%d-%H%M%S')}"
        place.mkdir(parents=True, exist_ok=True)
        names: Sequence[Path] = [self._stamp_path(step), *(self.path(name) for name in MADE[step])]
        for path in names:
            if path.exists():
                path.rename(place / path.name)
        return place


def _all(names: Sequence[str]) -> str:
    return " and ".join(names)
