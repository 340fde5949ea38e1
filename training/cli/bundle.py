"""Commands on a finished bundle."""

import logging
from pathlib import Path

LOG = logging.getLogger(__name__)


def verify(bundle: Path, /) -> None:
    """Check a bundle's hashes and replay its reference predictions.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    """
    from training.bundle.verify import verify as verify_bundle

    for result in verify_bundle(bundle):
        LOG.info("%s", result)


def plots(
    *, bundle: Path = Path("models/default"), run: Path | None = None, out: Path = Path("docs/explanation/default")
) -> None:
    """Write a bundle's card as a Markdown page with plots.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    run
        Folder of its training, for the plot of validation during training.
    out
        Folder of the plots; the page lies beside it, with the suffix .md.
    """
    from services.common.card import open_bundle
    from training.bundle.card_page import card_page
    from training.bundle.plots import draw

    card = open_bundle(bundle).card
    draw(card, run, out)
    out.with_suffix(".md").write_text(card_page(card, out))
