"""Commands on the weights of networks."""

from pathlib import Path


def weights(*, bundle: Path = Path("models/default"), out: Path = Path("runs/weights.npz")) -> None:
    """Write the weights of a bundle's CNN, for `default --begin` on a machine without TensorFlow.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    out
        Path of the weights.
    """
    from training.configs.default import CONFIG
    from training.train.bundle_weights import keep_weights

    keep_weights(bundle, CONFIG.cnn_shape, out)
