"""Verifies a bundle against its card and its reference outputs."""

from collections.abc import Iterator
from pathlib import Path

from services.common.card import Bundle
from services.common.saved_model import load_signature
from training.bundle.export import TOLERANCE
from training.bundle.reference import Difference, replay
from training.evaluate.served_bundle import read_bundle
from training.io.errors import TrainingError


def verify(folder: Path) -> Iterator[str]:
    """Yield a line for every check as it passes.

    Raises
    ------
    TrainingError
        the folder is no bundle, a file differs from the card, or an output differs from its reference
    """
    bundle = read_bundle(folder)
    yield f"{folder}: the card is valid, and all {len(bundle.card.files)} files match it"
    differences = _replayed(bundle)
    if differences is None:
        yield f"{folder} holds no reference outputs: its networks are not checked"
        return
    for each in differences:
        if not each.share <= TOLERANCE:  # refuses NaN too
            raise TrainingError(f"{folder}: {each.part}: {each.output} differs from its reference by {each.share:g}.")
        yield f"{each.part}: {each.output} matches its reference within {each.share:.1e} (allowed {TOLERANCE:g})"
    yield f"data: {bundle.card.data_terms}"


def _replayed(bundle: Bundle) -> list[Difference] | None:
    return replay(bundle.folder, load_signature(bundle.saved_model("cnn")), load_signature(bundle.saved_model("rnn")))
