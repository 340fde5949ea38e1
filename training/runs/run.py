"""The folder of a run: configuration, log, figures, and the inputs and the output of every step.

    config.json  log.txt  steps/<step>.json  cnn.jsonl  tensorboard/  metrics.json  card.md  card/  bundle/

A step that finished with the same inputs is skipped; an interrupted step resumes. Where an input changed, the step
moves its earlier files into `old/`, logs the change and starts again.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from training.configs.config import Config
from training.io.errors import TrainingError
from training.io.files import file_hash, fingerprint, write_json

LOG = logging.getLogger(__name__)
# Files of each step, partial ones included; a finished step has the first.
OUTPUTS: Final[Mapping[str, tuple[str, ...]]] = {
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

    def open(self, config: Config, log: str = "log.txt") -> None:
        """Create the folder, write the configuration to `config.json`, and log to the file `log` too."""
        (self.folder / "steps").mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "config.json", asdict(config))
        root, path = logging.getLogger(), (self.folder / log).resolve()
        if not any(isinstance(each, logging.FileHandler) and each.baseFilename == str(path) for each in root.handlers):
            handler = logging.FileHandler(path)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            root.addHandler(handler)

    def path(self, name: str) -> Path:
        """Return the path of a file of the run."""
        return self.folder / name

    def start(self, step: str, inputs: Mapping[str, str]) -> bool:
        """Record the inputs of a step; return False where it has finished with the same inputs."""
        record = self._record(step)
        if record:
            changed = [name for name in inputs if record["inputs"].get(name) != inputs[name]]
            if changed:
                archived = self._archive(step)
                LOG.info("%s: %s changed; starts again, earlier files are in %s", step, " and ".join(changed), archived)
            elif self.is_finished(step, inputs):
                LOG.info("%s: skipped, finished with the same inputs", step)
                return False
            else:
                LOG.info("%s: resumes", step)
        write_json(self._record_path(step), {"inputs": dict(inputs), "finished": None})
        return True

    def is_finished(self, step: str, inputs: Mapping[str, str]) -> bool:
        """Whether a step has finished with the same inputs, and its output exists."""
        record = self._record(step)
        if not record or not record["finished"] or not self.path(OUTPUTS[step][0]).exists():
            return False
        return all(record["inputs"].get(name) == value for name, value in inputs.items())

    def finish(self, step: str, **figures: Any) -> None:
        """Record that a step has finished, the digest of its output, and its figures."""
        record = self._record(step) or {"inputs": {}}
        first = self.path(OUTPUTS[step][0])
        made = file_hash(first) if first.is_file() and first.suffix != ".npy" else fingerprint(record["inputs"])
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_json(self._record_path(step), {**record, "finished": finished, "made": made, "figures": figures})
        LOG.info("%s: finished", step)

    def digest(self, step: str) -> str:
        """Return the digest of a finished step's output.

        Raises
        ------
        TrainingError
            the step has not finished
        """
        return str(self._finished(step)["made"])

    def figures(self, step: str) -> dict[str, Any]:
        """Return the figures of a finished step; raises as `digest`."""
        return dict(self._finished(step)["figures"])

    def inputs(self) -> dict[str, Any]:
        """Return the inputs of every finished step, for the card."""
        records = {step: self._record(step) for step in OUTPUTS}
        return {step: record["inputs"] for step, record in records.items() if record and record["finished"]}

    def _finished(self, step: str) -> dict[str, Any]:
        record = self._record(step)
        if not record or not record["finished"]:
            raise TrainingError(f"{self.folder} has no finished step {step!r}: run `python -m training {step}` first.")
        return record

    def _record_path(self, step: str) -> Path:
        return self.folder / "steps" / f"{step}.json"

    def _record(self, step: str) -> dict[str, Any] | None:
        path = self._record_path(step)
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _archive(self, step: str) -> Path:
        """Move the files of a step into a new folder of `old/`; return the folder."""
        folder = self.folder / "old" / f"{step}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self._record_path(step), *(self.path(name) for name in OUTPUTS[step])):
            if path.exists():
                path.rename(folder / path.name)
        return folder
