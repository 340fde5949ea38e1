"""Verifies a bundle against its card and its reference outputs."""

from collections.abc import Iterator
from pathlib import Path

from services.common.bundle_files import BundleFault
from services.common.bundle_signature import TrustedKeys
from services.common.card import Bundle
from services.common.saved_model import load_signature
from training.bundle.export import TOLERANCE
from training.bundle.reference import Difference, replay
from training.evaluate.served_bundle import read_bundle
from training.io.errors import TrainingError


def verify(folder: Path, keys: Path | None = None) -> Iterator[str]:
    """Yield a line for every check as it passes.

    Parameters
    ----------
    keys : file of trusted public keys: one of them must have signed the bundle; None accepts an unsigned bundle

    Raises
    ------
    TrainingError
        the folder is no bundle, no trusted key signed it or an addendum, a file differs from the card, an addendum is
        about another card, or an output differs from its reference
    """
    bundle = read_bundle(folder, _trusted(keys))
    if bundle.signed_by:
        yield f"{folder}: signed by key {bundle.signed_by}"
    yield f"{folder}: the card is valid, and all {len(bundle.card.files)} files match it"
    yield from _addenda(bundle)
    differences = _replayed(bundle)
    if differences is None:
        yield f"{folder} holds no reference outputs: its networks are not checked"
        return
    for each in differences:
        if not each.share <= TOLERANCE:  # refuses NaN too
            raise TrainingError(f"{folder}: {each.part}: {each.output} differs from its reference by {each.share:g}.")
        yield f"{each.part}: {each.output} matches its reference within {each.share:.1e} (allowed {TOLERANCE:g})"
    yield f"data: {bundle.card.data_terms}"


def _addenda(bundle: Bundle) -> Iterator[str]:
    for refused in bundle.addenda.refused:
        raise TrainingError(f"{bundle.folder}: the addendum {refused.name} is refused: {refused.why}.")
    for each in bundle.addenda.accepted:
        yield f"{bundle.folder}: the addendum {each.id} is about this card: {each.patients} patients, {each.data}"


def _trusted(keys: Path | None) -> TrustedKeys | None:
    try:
        return TrustedKeys.read(keys) if keys else None
    except BundleFault as error:
        raise TrainingError(f"{error}.") from None


def _replayed(bundle: Bundle) -> list[Difference] | None:
    return replay(bundle.folder, load_signature(bundle.saved_model("cnn")), load_signature(bundle.saved_model("rnn")))
