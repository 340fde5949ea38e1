"""One network out of two that began as the same and learnt apart: the mean of their weights.

Such means are known to hold better away from what was learnt (Wortsman et al., Model soups, ICML 2022).
"""

from pathlib import Path

from services.common.card import Bundle
from training.networks.cnn import Cnn, weights
from training.train.bundle_weights import begin_from


def interpolate_weights(cnn: Cnn, folder: Path, share: float) -> Bundle:
    """Let a network's weights be those of a bundle's CNN by a share, and its own by the rest; the bundle.

    Raises
    ------
    TrainingError
        the folder is no bundle, or its network has other layers, or layers of other sizes
    """
    own = [variable.numpy() for variable in weights(cnn)]
    bundle = begin_from(folder, cnn)
    for variable, value in zip(weights(cnn), own, strict=True):
        variable.assign(value + share * (variable - value))
    return bundle
