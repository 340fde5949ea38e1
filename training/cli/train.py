"""Commands on the weights of networks."""

from pathlib import Path
from typing import Annotated

from training.cli.parameters import help_text


def weights(
    *,
    bundle: Annotated[Path, help_text("Folder of the bundle.")] = Path("models/default"),
    out: Annotated[Path, help_text("Path of the weights.")] = Path("runs/weights.npz"),
) -> None:
    """Write the weights of a bundle's CNN, for `default --begin` on a machine without TensorFlow."""
    from training.configs.default import CNN_SHAPE
    from training.train.initial_weights import write_weights

    write_weights(bundle, CNN_SHAPE, out)
