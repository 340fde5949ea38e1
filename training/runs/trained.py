"""The trained networks of a run, from the files of its steps."""

from dataclasses import dataclass

from training.configs.config import Config
from training.data.features import Features
from training.data.splits import Parts
from training.io.checkpoints import restore
from training.networks.classifier import ClassifierShape, build_classifier
from training.networks.cnn import Cnn
from training.networks.rnn import Rnn, joined
from training.runs.run import Run
from training.train.rnn import new_members


@dataclass(frozen=True, slots=True)
class Trained:
    """Both networks of a run."""

    cnn: Cnn
    rnn: Rnn


def classifier_shape(config: Config) -> ClassifierShape:
    """Return the CNN's shape of a configuration for shards.

    Raises
    ------
    TypeError
        the configuration is for phantoms
    """
    if not isinstance(config.cnn_shape, ClassifierShape):
        raise TypeError("the configuration is for phantoms")
    return config.cnn_shape


def trained_cnn(run: Run, config: Config) -> Cnn:
    """Return the CNN with its best weights; it computes in float32 as it is served."""
    run.digest("cnn")
    cnn = build_classifier(classifier_shape(config))
    restore(run.path("cnn-best.npz"), [*cnn.trunk.variables, *cnn.last.variables])
    return cnn


def trained(run: Run, config: Config, features: Features, parts: Parts) -> Trained:
    """Return the CNN and the RNN; temperatures are 1."""
    run.digest("rnn")
    cnn = trained_cnn(run, config)
    rnn = joined(new_members(config.rnn_shape, config.rnn, cnn.last, features.series(parts.train)))
    restore(run.path("rnn.npz"), rnn.logits.variables)
    return Trained(cnn, rnn)
