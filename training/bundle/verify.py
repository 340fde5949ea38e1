"""Whether a bundle is what its card says, and still answers as on the day it was made."""

from collections.abc import Iterator
from pathlib import Path

from services.common.card import Bundle
from services.common.saved_model import load_signature
from training.bundle.export import TOLERANCE
from training.bundle.reference import Difference, replay
from training.evaluate.served_bundle import read_bundle
from training.io.errors import TrainingError


def verify(folder: Path) -> Iterator[str]:
    """What was checked, in words, as soon as it is known.

    Raises
    ------
    TrainingError
        the folder is no bundle, a file is another than the card says, or a network answers otherwise than it once did
    """
    bundle = read_bundle(folder)
    yield f"{folder}: the card is valid, and all {len(bundle.card.files)} files are those that it speaks of"
    differences = _replayed(bundle)
    if differences is None:
        yield f"{folder} carries no reference answers: whether it answers as it once did can't be checked"
        return
    for each in differences:
        # Written so that a NaN is refused, too.
        if not each.share <= TOLERANCE:
            raise TrainingError(f"{folder}: {each.part} answers otherwise: {each.output} differs by {each.share:g}.")
        yield f"{each.part} answers as stored: {each.output} within {each.share:.1e} (allowed {TOLERANCE:g})"
    yield f"data: {bundle.card.data_terms}"


def _replayed(bundle: Bundle) -> list[Difference] | None:
    return replay(bundle.folder, load_signature(bundle.saved_model("cnn")), load_signature(bundle.saved_model("rnn")))
