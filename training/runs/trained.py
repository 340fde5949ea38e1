"""A run's trained networks, put together again from what its steps left."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.configs.plan import Plan
from training.data.features import Features
from training.data.series import Series
from training.data.splits import Parts
from training.io.checkpoints import restore
from training.networks.classifier import build_classifier
from training.networks.cnn import Cnn
from training.networks.rnn import Rnn, joined
from training.runs.run import Run
from training.train.sequence import new_members


@dataclass(frozen=True, slots=True)
class Trained:
    """Both networks of a run."""

    cnn: Cnn
    rnn: Rnn


def trained_cnn(run: Run, plan: Plan) -> Cnn:
    """The CNN with its best weights, computing in float32 as it is served."""
    run.digest("cnn")
    cnn = build_classifier(plan.cnn)
    restore(run.path("cnn-best.npz"), [*cnn.trunk.variables, *cnn.last.variables])
    return cnn


def trained(run: Run, plan: Plan, features: Features, parts: Parts) -> Trained:
    """The CNN, and the RNN behind it, its temperatures still at 1."""
    run.digest("rnn")
    cnn = trained_cnn(run, plan)
    rnn = joined(fresh_members(plan, cnn, features.series(parts.train)))
    restore(run.path("rnn.npz"), rnn.logits.variables)
    return Trained(cnn, rnn)


def fresh_members(plan: Plan, cnn: Cnn, studies: Sequence[Series]) -> list[Rnn]:
    """The RNN's members before they have learnt; their way of looking at features comes from the training series."""
    return new_members(plan.rnn_shape, plan.rnn_fit, cnn.last, studies)
