"""How a CNN in training comes on: its AUC on slices that it never learns from. It changes nothing."""

from pathlib import Path
from typing import Final

from services.common.labels import LABELS
from training.configs.phantom_config import Amounts, Config, studies
from training.data.pictures import make
from training.evaluate.metrics import auc
from training.networks.cnn import Cnn
from training.networks.extractor import extractor
from training.train.phantom_cnn import Begin, Progress, Watch, fit_cnn

_SLICES: Final = 10  # of each study
_BATCH: Final = 96  # so many go into all that are made: one size is compiled once


def fit_watched(config: Config, run: Path, begin: Begin | None = None) -> tuple[Cnn, Progress]:
    """A trained CNN, and what its training left in the folder `run`; what lies there is gone on with."""
    progress = Progress(run, watch=watch_by(config.amounts), begin=begin)
    return fit_cnn(config.cnn_shape, config.cnn_fit, progress), progress


def watch_by(amounts: Amounts) -> Watch:
    """Make the slices, and say what gives a CNN's figures on them."""
    made = make(studies("watch", amounts.watch, slices=_SLICES), name="phantoms to watch by")

    def watch(cnn: Cnn) -> dict[str, float]:
        logits = extractor(cnn, batch=_BATCH)(made.small) @ cnn.last.kernel.numpy() + cnn.last.bias.numpy()
        known = made.label_mask
        return {
            label: round(auc(logits[known[:, column], column], made.labels[known[:, column], column]), 4)
            for column, label in enumerate(LABELS)
        }

    return watch
