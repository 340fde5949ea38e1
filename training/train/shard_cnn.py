"""Training of a CNN on the slices of shards: resumed where it was killed, ended where it no longer gets better."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from scipy.special import expit
from tensorflow.core.framework.summary_pb2 import SummaryMetadata

from training.data.batches import Batch, Deck, Source, batches
from training.evaluate.metrics import ScoredLabels, competition_loss
from training.io.checkpoints import restore, save
from training.io.progress import progress_bar
from training.train.learner import Learner

LOG = logging.getLogger(__name__)
NOTED_STEPS: Final = 10  # steps between two lines of figures
SCALAR: Final = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))


@dataclass(frozen=True, slots=True)
class Watched:
    """Series of the validation fold that say how far a training has come."""

    source: Source
    entries: Sequence[Any]

    def loss(self, learner: Learner) -> float:
        """The competition's metric of the network as it is now."""
        scores, labels, known, study = [], [], [], []
        for number, entry in enumerate(self.entries):
            scores.append(learner.logits(self.source.slices(entry)))
            labels.append(entry.labels)
            known.append(entry.label_mask)
            study.append(np.full(len(entry.labels), number))
        logits = np.concatenate(scores)
        scored = ScoredLabels(expit(logits), np.concatenate(labels), np.concatenate(known), np.concatenate(study))
        return competition_loss(scored)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a training leaves: `cnn.npz` to go on from, `cnn-best.npz` to keep, `cnn.jsonl`, TensorBoard's figures."""

    path: Path
    save_s: float = 300.0
    board: Any = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "board", tf.summary.create_file_writer(str(self.path / "tensorboard")))

    @property
    def checkpoint(self) -> Path:
        return self.path / "cnn.npz"

    @property
    def best(self) -> Path:
        return self.path / "cnn-best.npz"

    def note(self, step: int, **figures: float) -> None:
        """A line of figures, and the same for TensorBoard, which need not be installed."""
        with (self.path / "cnn.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        with self.board.as_default():
            for name, value in figures.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=SCALAR)
        self.board.flush()


@dataclass(slots=True)
class State:
    """Where a training stands; all of it is in a checkpoint."""

    step: int = 0
    best: float = float("inf")
    since: int = 0  # watches without a better one
    spent_s: float = 0.0

    def words(self) -> dict[str, float]:
        return {"step": self.step, "best": self.best, "since": self.since, "spent_s": self.spent_s}


class Training:
    """A learner, what it learns from, and the folder that it leaves things in."""

    def __init__(self, learner: Learner, deck: Deck, watched: Watched, folder: Folder, steps: int) -> None:
        self._learner, self._deck, self._watched, self._folder, self._steps = learner, deck, watched, folder, steps
        self._plan = learner.plan
        self.state = self._restored()
        self._paces: list[float] = []

    def follow(self) -> State:
        """Learn to the end, or until the metric has long not been better."""
        state, first = self.state, self.state.step
        source = batches(self._deck, first, self._steps, self._plan.readers)
        saved = time.monotonic()
        with progress_bar("cnn", self._steps * self._deck.size, "slices", first * self._deck.size) as progress:
            for loss in self._losses(source):
                due = self._due(state.step)
                if due:
                    self._watch()
                progress.set_postfix(loss=f"{loss:.3f}", best=f"{state.best:.4f}", refresh=False)
                progress.update(self._deck.size)
                if due or time.monotonic() - saved > self._folder.save_s:
                    self.save()
                    saved = time.monotonic()
                if state.since >= self._plan.patience:
                    LOG.info("cnn: not better for %d watches, ended at step %d", state.since, state.step)
                    break
        source.close()  # type: ignore[attr-defined] # a generator
        return state

    @property
    def pace_s(self) -> float:
        """Seconds of a step in the middle of this start's, reading and learning together; 0 before the second."""
        return float(np.median(self._paces)) if self._paces else 0.0

    def save(self) -> None:
        """Leave a checkpoint."""
        save(self._folder.checkpoint, self._learner.variables(), **self.state.words())

    def _losses(self, source: Iterator[Batch]) -> Iterator[float]:
        losses: list[float] = []
        start = time.monotonic()
        for number, batch in enumerate(source):
            last = self._learner.step(batch, self.state.step)
            losses.append(last)
            self.state.step += 1
            spent = time.monotonic() - start
            self.state.spent_s += spent
            if number:  # the first one waits for the graph to be made
                self._paces.append(spent)
            if self.state.step % NOTED_STEPS == 0 or self.state.step == self._steps:
                self._folder.note(self.state.step, loss=float(np.mean(losses)), rate=self._rate())
                losses.clear()
            yield last
            start = time.monotonic()

    def _rate(self) -> float:
        return float(self._learner.optimizer.learning_rate)

    def _due(self, step: int) -> bool:
        every = max(self._deck.steps_an_epoch // self._plan.watches, 1)
        return step % every == 0 or step == self._steps

    def _watch(self) -> None:
        """Take the metric with the weights' running mean, and keep them where they are the best so far."""
        current = self._learner.averaged()
        loss = self._watched.loss(self._learner)
        better = loss < self.state.best
        if better:
            save(self._folder.best, self._learner.weights(), loss=loss)
        self._learner.put_back(current)
        self.state.best, self.state.since = min(loss, self.state.best), 0 if better else self.state.since + 1
        self._folder.note(self.state.step, validation_log_loss=loss)

    def _restored(self) -> State:
        if not self._folder.checkpoint.exists():
            self._learner.begin_at(self._deck.base_rates())
            return State()
        words = restore(self._folder.checkpoint, self._learner.variables())
        state = State(int(words["step"]), words["best"], int(words["since"]), words["spent_s"])
        LOG.info("cnn: going on from step %d of %d", state.step, self._steps)
        return state
