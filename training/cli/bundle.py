"""Commands on a finished bundle."""

import logging
from pathlib import Path
from typing import Annotated

from training.cli.parameters import help_text

LOG = logging.getLogger(__name__)


def verify(bundle: Annotated[Path, help_text("Folder of the bundle.")], /) -> None:
    """Check a bundle's hashes and replay its reference predictions."""
    from training.bundle.verify import verify as verify_bundle

    for result in verify_bundle(bundle):
        LOG.info("%s", result)


def plots(
    *,
    bundle: Annotated[Path, help_text("Folder of the bundle.")] = Path("models/default"),
    run: Annotated[Path | None, help_text("Folder of its training, for the plot of validation.")] = None,
    out: Annotated[Path, help_text("Folder of the plots; the page is beside it.")] = Path("docs/explanation/default"),
) -> None:
    """Write a bundle's card as a Markdown page with plots."""
    from services.common.card import open_bundle
    from training.bundle.card_page import card_page
    from training.bundle.plots import draw

    card = open_bundle(bundle).card
    draw(card, run, out)
    out.with_suffix(".md").write_text(card_page(card, out))
