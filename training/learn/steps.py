"""The steps from shards to a bundle, each in a run's folder."""

import json
import logging
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from services.common.card import Card, OperatingPoint, Thresholds
from training.answers import answer, levels
from training.archive import open_archive
from training.bundle import calibrate, make_card
from training.checkpoint import save
from training.evaluate import competition_loss
from training.export import save_networks, seal
from training.failures import writing
from training.learn.batches import Deck
from training.learn.begin import source_hash
from training.learn.features import Features, open_features, write_features
from training.learn.fit import Folder, Training, Watched
from training.learn.learner import Learner
from training.learn.measure import measure_networks, write_page
from training.learn.networks import Trained, fresh_rnn, set_temperatures, trained, trained_cnn
from training.learn.parts import Parts, patients, split
from training.learn.plan import Plan, fingerprint
from training.learn.runs import Run, write_json
from training.learn.sequence import fit_on
from training.learn.speed import Speed
from training.learn.submission import slice_name, write_submission
from training.shards import Shards, open_shards

LOG = logging.getLogger(__name__)
EVERY: Final = 600  # seconds between two checkpoints of the CNN on a large machine


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to a configuration.

    steps : of the CNN and of the RNN, instead of the plan's
    limit : series of each part at most
    save_s : seconds between two checkpoints
    """

    steps: int | None = None
    limit: int | None = None
    save_s: float = EVERY


@dataclass(frozen=True)
class Learning:
    """One run: a plan, shards, a folder, and the steps over them."""

    plan: Plan
    shards: Path
    run: Run
    options: Options

    @cached_property
    def source(self) -> Shards:
        """The shards."""
        return open_shards(self.shards)

    @cached_property
    def parts(self) -> Parts:
        """Which series learn, choose and measure."""
        return split(self.source.entries, self.plan.validation_fold, self.options.limit)

    @cached_property
    def entries(self) -> tuple[Any, ...]:
        """All series of the parts; features are those of these."""
        return tuple(self.source.entries[number] for number in self.parts.every)

    @cached_property
    def places(self) -> Parts:
        """The parts by their place among `entries`."""
        place = {number: at for at, number in enumerate(self.parts.every)}
        every = (self.parts.train, self.parts.validation, self.parts.held_out, self.parts.test)
        return Parts(*(tuple(place[number] for number in part) for part in every))

    @cached_property
    def rnn_fit(self) -> Any:
        """How the RNN learns."""
        return replace(self.plan.rnn_fit, steps=self.options.steps) if self.options.steps else self.plan.rnn_fit

    # -- steps -------------------------------------------------------------------------------------------------------

    def cnn(self) -> None:
        """Let the CNN learn."""
        plan, data = self.plan.cnn, f"{self.source.digest} {self.options.limit} {self.plan.validation_fold}"
        inputs = {"configuration": fingerprint(plan, self.options.steps), "data": data, "init": source_hash(plan)}
        if not self.run.begin("cnn", inputs):
            return
        deck = Deck(self.source, self._of(self.parts.train), plan.batch, plan.seed, plan.positives)
        steps = self.options.steps or max(round(deck.steps_an_epoch * plan.epochs), 1)
        learner = Learner(plan, self.source.recipe, steps)
        watched = Watched(self.source, self._of(self.parts.validation[: plan.watch_series]))
        training = Training(learner, deck, watched, Folder(self.run.folder, self.options.save_s), steps)
        state = training.follow()
        speed = Speed(plan.batch, training.pace_s, plan.epochs)
        LOG.info("cnn: %s", speed.words())
        self.run.finish("cnn", steps=state.step, log_loss=state.best, hours=state.spent_s / 3600, **speed.figures())

    def features(self) -> None:
        """Write every slice's features."""
        if not self.run.begin("features", {"cnn": self.run.made("cnn"), "data": self._data()}):
            return
        cnn = trained_cnn(self.run, self.plan)
        rate = write_features(cnn, self.source, self.entries, self.run.path("features.npy"), self.plan.cnn.readers)
        LOG.info("features: %.1f slices/s; all of RSNA: %s", rate, Speed.hours_of_features(rate))
        self.run.finish("features", slices_a_second=round(rate, 2))

    def rnn(self) -> None:
        """Let the RNN learn."""
        shape, fit = self.plan.rnn_shape, self.rnn_fit
        configuration = fingerprint(type(shape).__name__, shape, fit)
        if not self.run.begin("rnn", {"configuration": configuration, "features": self.run.made("features")}):
            return
        cnn, studies = trained_cnn(self.run, self.plan), self._features().series(self.places.train)
        keras.utils.set_random_seed(fit.seed)
        rnn = fresh_rnn(self.plan, cnn, lambda: studies)
        fit_on(rnn, shape, fit, studies, self.run.path("rnn-going.npz"))
        save(self.run.path("rnn.npz"), rnn.logits.variables)
        self.run.finish("rnn", steps=fit.steps)

    def calibrate(self) -> None:
        """Find temperatures and operating points on the validation fold."""
        inputs = {"rnn": self.run.made("rnn"), "features": self.run.made("features")}
        if not self.run.begin("calibrate", inputs):
            return
        networks, studies = self._trained(), self._features().series(self.places.validation)
        points, found = calibrate(networks.rnn, studies)
        loss = competition_loss(levels(studies, answer(networks.rnn, studies))[0])
        thresholds = {name: point.model_dump() for name, point in points.items()}
        write_json(self.run.path("calibration.json"), {"temperatures": found, "thresholds": thresholds})
        LOG.info("calibrate: log loss on the validation fold %.5f", loss)
        self.run.finish("calibrate", log_loss=loss)

    def evaluate(self) -> None:
        """Measure on the held-out fold."""
        inputs = {"calibration": self.run.made("calibrate"), "rnn": self.run.made("rnn")}
        if not self.run.begin("evaluate", inputs):
            return
        networks, features = self._calibrated(), self._features()
        studies = features.series(self.places.held_out)
        groups = patients(self.entries, self.places.held_out)
        data = f"fold 0 of the archive, which nothing learnt from; {self.plan.words.data_terms}"
        metrics = measure_networks(networks, studies, self._points(), groups, data)
        write_page(self._card(networks, metrics, files={}), self.run.folder)
        loss = competition_loss(levels(studies, answer(networks.rnn, studies))[0])
        LOG.info("evaluate: log loss on the held-out fold %.5f", loss)
        self.run.finish("evaluate", log_loss=loss)

    def submit(self, archive: Path | None) -> None:
        """Write the challenge's table for the test slices."""
        inputs = {"calibration": self.run.made("calibrate"), "rnn": self.run.made("rnn"), "archive": str(archive)}
        if not self.run.begin("submit", inputs):
            return
        networks, tested = self._calibrated(), [self.entries[number] for number in self.places.test]
        studies = self._features().series(self.places.test)
        given = answer(networks.rnn, studies) if studies else []
        answers = {
            slice_name(file): row
            for entry, (slices, _) in zip(tested, given, strict=True)
            for file, row in zip(entry.files, slices, strict=True)
        }
        names = open_archive(archive).dicom_names("test") if archive else [f for entry in tested for f in entry.files]
        usual = Deck(self.source, self._of(self.parts.train), 1).base_rates()
        write_submission(self.run.path("submission.csv"), answers, [slice_name(name) for name in names], list(usual))
        LOG.info("submit: %d of %d test slices answered", len(answers), len(names))
        self.run.finish("submit", slices=len(names), answered=len(answers))

    def export(self, out: Path | None) -> None:
        """Write the bundle."""
        words = fingerprint(self.plan.words, str(out))
        inputs = {"words": words, "figures": self.run.made("evaluate"), "calibration": self.run.made("calibrate")}
        if not self.run.begin("export", inputs):
            return
        folder, networks = out or self.run.path("bundle"), self._calibrated()
        metrics = json.loads(self.run.path("metrics.json").read_text())
        with writing(folder):
            files = save_networks(folder, networks.cnn, networks.rnn)
            seal(folder, self._card(networks, metrics, files), networks.cnn, networks.rnn)
        LOG.info("export: %s answers as the trained networks do", folder)
        self.run.finish("export", bundle=str(folder))

    # -- parts of steps ----------------------------------------------------------------------------------------------

    def _of(self, numbers: tuple[int, ...]) -> list[Any]:
        return [self.source.entries[number] for number in numbers]

    def _data(self) -> str:
        return f"{self.source.digest} {self.options.limit}"

    def _features(self) -> Features:
        self.run.made("features")
        return open_features(self.run.path("features.npy"), self.entries)

    def _trained(self) -> Trained:
        return trained(self.run, self.plan, self._features(), self.places)

    def _calibrated(self) -> Trained:
        networks = self._trained()
        set_temperatures(networks.rnn, self._calibration()["temperatures"])
        return networks

    def _calibration(self) -> dict[str, Any]:
        self.run.made("calibrate")
        return dict(json.loads(self.run.path("calibration.json").read_text()))

    def _points(self) -> dict[OperatingPoint, Thresholds]:
        return {name: Thresholds(**point) for name, point in self._calibration()["thresholds"].items()}

    def _card(self, networks: Trained, metrics: dict[str, Any], files: dict[str, str]) -> Card:
        return make_card(
            self.plan.words,
            feature_size=int(networks.cnn.last.kernel.shape[0]),
            blood_grid=None,
            files=files,
            metrics=metrics,
            temperatures=self._calibration()["temperatures"],
            thresholds=self._points(),
            training=self._told(),
        )

    def _told(self) -> dict[str, Any]:
        plan = self.plan
        counts = {name: len(getattr(self.parts, name)) for name in ("train", "validation", "held_out")}
        return {
            "data": plan.words.data_terms,
            "command": plan.words.command,
            "backbone": plan.cnn.backbone,
            "series": counts,
            "slices": int(np.sum([len(self.source.entries[number].files) for number in self.parts.train])),
            "seed": plan.cnn.seed,
            "cnn": asdict(plan.cnn),
            "rnn": {"shape": type(plan.rnn_shape).__name__, **asdict(plan.rnn_shape), **asdict(self.rnn_fit)},
            "hours": round(self.run.figures("cnn")["hours"], 3),
            "inputs": self.run.inputs(),
        }


def deterministic() -> None:
    """The same numbers from the same seed, on a CPU at least."""
    tf.config.experimental.enable_op_determinism()
