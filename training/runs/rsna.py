"""The steps of a run, from shards to a bundle."""

import json
import logging
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.common.predictions import PREDICTION_RULE
from training.bundle.export import save_networks, seal
from training.data.batches import BatchSampler
from training.data.features import write_features
from training.data.splits import patients
from training.evaluate.metrics import competition_loss
from training.evaluate.predictions import predict, score_levels
from training.evaluate.rnn_calibration import calibrate_rnn
from training.io.checkpoints import save
from training.io.errors import translate_write_errors
from training.io.files import fingerprint, write_json
from training.rsna.archive import open_archive
from training.rsna.submission import slice_name, write_submission
from training.runs.context import RunContext
from training.runs.measure import measure_networks, write_page
from training.runs.trained import trained_cnn
from training.train.callbacks import TrainingFolder
from training.train.initial_weights import hash_of_initial_weights
from training.train.processes import ALONE, Processes
from training.train.rnn import fit_rnn
from training.train.shard_cnn import fit_shard_cnn
from training.train.throughput import Throughput

LOG = logging.getLogger(__name__)


class RunSteps(RunContext):
    """The steps of one run; each skips work that it finished before with the same inputs."""

    def cnn(self, processes: Processes = ALONE) -> None:
        """Train the CNN, alone or together with other processes; the first one writes the run."""
        options, data = self.cnn_options, f"{self.source.digest} {self.options.limit} {self.config.validation_fold}"
        inputs = {
            "configuration": fingerprint(self.shape, options),
            "data": data,
            "init": hash_of_initial_weights(options.init),
        }
        processes.check_equal("configuration or data", fingerprint(inputs))
        if not processes.decided(not processes.leads or self.run.start("cnn", inputs)):
            return
        trained = self.entries_of(self.parts.train)
        sampler = BatchSampler(self.source, trained, options.batch, options.seed, options.positives)
        validated = self.entries_of(self.parts.validation[: options.validation_series])
        state, step_s = fit_shard_cnn(
            self.shape, options, sampler, validated, TrainingFolder(self.run.folder, self.options.save_s), processes
        )
        if not processes.leads:
            return
        speed = Throughput(options.batch, step_s, options.epochs)
        LOG.info("cnn: %s", speed.text())
        self.run.finish("cnn", steps=state.step, log_loss=state.best, hours=state.spent_s / 3600, **speed.figures())

    def features(self) -> None:
        """Write the features of every slice."""
        if not self.run.start("features", self.features_inputs()):
            return
        cnn = trained_cnn(self.run, self.config)
        rate = write_features(cnn, self.source, self.entries, self.run.path("features.npy"), self.config.cnn.readers)
        if rate:  # 0 where all of them existed
            LOG.info("features: %.1f slices/s; all of RSNA: %s", rate, Throughput.hours_of_features(rate))
        self.run.finish("features", slices_a_second=round(rate, 2))

    def rnn(self) -> None:
        """Train the RNN."""
        shape, options = self.config.rnn_shape, self.rnn_options
        configuration = fingerprint(type(shape).__name__, shape, options)
        if not self.run.start("rnn", {"configuration": configuration, "features": self.run.digest("features")}):
            return
        cnn, studies = trained_cnn(self.run, self.config), self.load_features().series(self.indices.train)
        rnn = fit_rnn(shape, options, cnn.last, studies, self.run.path("rnn-going"))
        save(self.run.path("rnn.npz"), rnn.logits.variables)
        self.run.finish("rnn", steps=options.steps)

    def calibrate(self) -> None:
        """Fit temperatures and operating points on the validation fold."""
        inputs = {
            "rnn": self.run.digest("rnn"),
            "features": self.run.digest("features"),
            "rule": PREDICTION_RULE,
        }
        if not self.run.start("calibrate", inputs):
            return
        networks, studies = self.load_networks(), self.load_features().series(self.indices.validation)
        points, found = calibrate_rnn(networks.rnn, studies)
        loss = competition_loss(score_levels(studies, predict(networks.rnn, studies))[0])
        thresholds = {name: point.model_dump() for name, point in points.items()}
        write_json(self.run.path("calibration.json"), {"temperatures": found, "thresholds": thresholds})
        LOG.info("calibrate: log loss on the validation fold %.5f", loss)
        self.run.finish("calibrate", log_loss=loss)

    def evaluate(self) -> None:
        """Measure on the held-out fold."""
        inputs = {"calibration": self.run.digest("calibrate"), "rnn": self.run.digest("rnn")}
        if not self.run.start("evaluate", inputs):
            return
        networks, features = self.load_calibrated(), self.load_features()
        studies = features.series(self.indices.held_out)
        groups = patients(self.entries, self.indices.held_out)
        data = f"fold 0 of the archive, which no network was trained on; {self.config.card.data_terms}"
        metrics = measure_networks(networks, studies, self.operating_points(), groups, data)
        write_page(self.build_card(networks, metrics, files={}), self.run.folder)
        loss = competition_loss(score_levels(studies, predict(networks.rnn, studies))[0])
        LOG.info("evaluate: log loss on the held-out fold %.5f", loss)
        self.run.finish("evaluate", log_loss=loss)

    def submit(self, archive: Path | None) -> None:
        """Write the challenge's submission for the test slices; slices that cannot be read get the base rates."""
        inputs = {"calibration": self.run.digest("calibrate"), "rnn": self.run.digest("rnn"), "archive": str(archive)}
        if not self.run.start("submit", inputs):
            return
        tested = self.entries_of(self.parts.test)
        predictions = self._slice_predictions()
        names = open_archive(archive).dicom_names("test") if archive else [f for entry in tested for f in entry.files]
        base_rates = list(BatchSampler(self.source, self.entries_of(self.parts.train), 1).base_rates())
        write_submission(self.run.path("submission.csv"), predictions, [slice_name(name) for name in names], base_rates)
        LOG.info("submit: %d of %d test slices have predictions", len(predictions), len(names))
        self.run.finish("submit", slices=len(names), answered=len(predictions))

    def export(self, out: Path | None) -> None:
        """Write the bundle, by default into the run's folder; fails where its predictions are not the networks'."""
        text = fingerprint(self.config.card, str(out))
        inputs = {"text": text, "figures": self.run.digest("evaluate"), "calibration": self.run.digest("calibrate")}
        if not self.run.start("export", inputs):
            return
        folder, networks = out or self.run.path("bundle"), self.load_calibrated()
        metrics = json.loads(self.run.path("metrics.json").read_text())
        with translate_write_errors(folder):
            files = save_networks(folder, networks.cnn, networks.rnn)
            seal(folder, self.build_card(networks, metrics, files), networks.cnn, networks.rnn)
        LOG.info("export: the predictions of %s equal those of the trained networks", folder)
        self.run.finish("export", bundle=str(folder))

    def _slice_predictions(self) -> dict[str, NDArray[np.float32]]:
        """Calibrated probabilities (6,) of the test slices in the shards, by the name of the slice."""
        tested, studies = self.entries_of(self.parts.test), self.load_features().series(self.indices.test)
        predicted = predict(self.load_calibrated().rnn, studies) if studies else []
        return {
            slice_name(file): row
            for entry, (slices, _) in zip(tested, predicted, strict=True)
            for file, row in zip(entry.files, slices, strict=True)
        }


def make_deterministic() -> None:
    """Let TensorFlow use deterministic operations only."""
    tf.config.experimental.enable_op_determinism()
