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
    from training.configs.default import CNN_SHAPE
    from training.train.initial_weights import write_weights

    write_weights(bundle, CNN_SHAPE, out)
