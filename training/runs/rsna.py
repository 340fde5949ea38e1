"""The steps from shards to a bundle, each in a run's folder."""

import json
import logging
from pathlib import Path
from typing import Final

import tensorflow as tf

from services.common.predictions import PREDICTION_RULE
from training.bundle.export import save_networks, seal
from training.data.batches import Deck
from training.data.features import write_features
from training.data.splits import patients
from training.evaluate.metrics import competition_loss
from training.evaluate.predictions import answer, levels
from training.evaluate.rnn_calibration import calibrate_rnn
from training.io.checkpoints import save
from training.io.errors import translate_write_errors
from training.io.files import fingerprint, write_json
from training.networks.rnn import joined
from training.rsna.archive import open_archive
from training.rsna.submission import slice_name, write_submission
from training.runs.context import Ground
from training.runs.measure import measure_networks, write_page
from training.runs.trained import fresh_members, trained_cnn
from training.train.initial_weights import source_hash
from training.train.learner import Learner
from training.train.sequence import fit_members
from training.train.shard_cnn import Folder, Training, Watched
from training.train.speed import Speed

LOG = logging.getLogger(__name__)
EVERY: Final = 600  # seconds between two checkpoints of the CNN on a large machine


class Learning(Ground):
    """The steps of one run."""

    def cnn(self) -> None:
        """Let the CNN learn."""
        plan, data = self.plan.cnn, f"{self.source.digest} {self.options.limit} {self.plan.validation_fold}"
        inputs = {"configuration": fingerprint(plan, self.options.steps), "data": data, "init": source_hash(plan)}
        if not self.run.begin("cnn", inputs):
            return
        deck = Deck(self.source, self.of(self.parts.train), plan.batch, plan.seed, plan.positives)
        steps = self.options.steps or max(round(deck.steps_an_epoch * plan.epochs), 1)
        learner = Learner(plan, self.source.recipe, steps)
        watched = Watched(self.source, self.of(self.parts.validation[: plan.watch_series]))
        training = Training(learner, deck, watched, Folder(self.run.folder, self.options.save_s), steps)
        state = training.follow()
        speed = Speed(plan.batch, training.pace_s, plan.epochs)
        LOG.info("cnn: %s", speed.words())
        self.run.finish("cnn", steps=state.step, log_loss=state.best, hours=state.spent_s / 3600, **speed.figures())

    def features(self) -> None:
        """Write every slice's features."""
        if not self.run.begin("features", {"cnn": self.run.made("cnn"), "data": self.data()}):
            return
        cnn = trained_cnn(self.run, self.plan)
        rate = write_features(cnn, self.source, self.entries, self.run.path("features.npy"), self.plan.cnn.readers)
        if rate:  # else all of them were there
            LOG.info("features: %.1f slices/s; all of RSNA: %s", rate, Speed.hours_of_features(rate))
        self.run.finish("features", slices_a_second=round(rate, 2))

    def rnn(self) -> None:
        """Let the RNN learn."""
        shape, fit = self.plan.rnn_shape, self.rnn_fit
        configuration = fingerprint(type(shape).__name__, shape, fit)
        if not self.run.begin("rnn", {"configuration": configuration, "features": self.run.made("features")}):
            return
        cnn, studies = trained_cnn(self.run, self.plan), self.features_made().series(self.places.train)
        members = fresh_members(self.plan, cnn, studies)
        fit_members(members, shape, fit, studies, self.run.path("rnn-going"))
        save(self.run.path("rnn.npz"), joined(members).logits.variables)
        self.run.finish("rnn", steps=fit.steps)

    def calibrate(self) -> None:
        """Find temperatures and operating points on the validation fold."""
        inputs = {"rnn": self.run.made("rnn"), "features": self.run.made("features"), "rule": PREDICTION_RULE}
        if not self.run.begin("calibrate", inputs):
            return
        networks, studies = self.trained_networks(), self.features_made().series(self.places.validation)
        points, found = calibrate_rnn(networks.rnn, studies)
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
        networks, features = self.calibrated(), self.features_made()
        studies = features.series(self.places.held_out)
        groups = patients(self.entries, self.places.held_out)
        data = f"fold 0 of the archive, which nothing learnt from; {self.plan.words.data_terms}"
        metrics = measure_networks(networks, studies, self.points(), groups, data)
        write_page(self.card(networks, metrics, files={}), self.run.folder)
        loss = competition_loss(levels(studies, answer(networks.rnn, studies))[0])
        LOG.info("evaluate: log loss on the held-out fold %.5f", loss)
        self.run.finish("evaluate", log_loss=loss)

    def submit(self, archive: Path | None) -> None:
        """Write the challenge's table for the test slices."""
        inputs = {"calibration": self.run.made("calibrate"), "rnn": self.run.made("rnn"), "archive": str(archive)}
        if not self.run.begin("submit", inputs):
            return
        networks, tested = self.calibrated(), [self.entries[number] for number in self.places.test]
        studies = self.features_made().series(self.places.test)
        given = answer(networks.rnn, studies) if studies else []
        answers = {
            slice_name(file): row
            for entry, (slices, _) in zip(tested, given, strict=True)
            for file, row in zip(entry.files, slices, strict=True)
        }
        names = open_archive(archive).dicom_names("test") if archive else [f for entry in tested for f in entry.files]
        usual = Deck(self.source, self.of(self.parts.train), 1).base_rates()
        write_submission(self.run.path("submission.csv"), answers, [slice_name(name) for name in names], list(usual))
        LOG.info("submit: %d of %d test slices answered", len(answers), len(names))
        self.run.finish("submit", slices=len(names), answered=len(answers))

    def export(self, out: Path | None) -> None:
        """Write the bundle."""
        words = fingerprint(self.plan.words, str(out))
        inputs = {"words": words, "figures": self.run.made("evaluate"), "calibration": self.run.made("calibrate")}
        if not self.run.begin("export", inputs):
            return
        folder, networks = out or self.run.path("bundle"), self.calibrated()
        metrics = json.loads(self.run.path("metrics.json").read_text())
        with translate_write_errors(folder):
            files = save_networks(folder, networks.cnn, networks.rnn)
            seal(folder, self.card(networks, metrics, files), networks.cnn, networks.rnn)
        LOG.info("export: %s answers as the trained networks do", folder)
        self.run.finish("export", bundle=str(folder))


def deterministic() -> None:
    """The same numbers from the same seed, on a CPU at least."""
    tf.config.experimental.enable_op_determinism()
