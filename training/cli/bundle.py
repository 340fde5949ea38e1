"""Commands on a finished bundle."""

import logging
from getpass import getpass
from pathlib import Path
from typing import Annotated

from training.cli.parameters import help_text
from training.io.errors import TrainingError

LOG = logging.getLogger(__name__)


def verify(
    bundle: Annotated[Path, help_text("Folder of the bundle.")],
    /,
    *,
    keys: Annotated[
        Path | None, help_text("PEM file of trusted public keys: one of them must have signed the bundle.")
    ] = None,
) -> None:
    """Check a bundle's hashes, replay its reference predictions, and check its signature where keys are given."""
    from training.bundle.verify import verify as verify_bundle

    for result in verify_bundle(bundle, keys):
        LOG.info("%s", result)


def sign(
    bundle: Annotated[Path, help_text("Folder of the bundle.")],
    /,
    *,
    key: Annotated[Path, help_text("PEM file of the private Ed25519 key, readable by you alone.")],
    passphrase_file: Annotated[
        Path | None, help_text("File of the key's passphrase; without it you are asked.")
    ] = None,
) -> None:
    """Sign a bundle's card with an Ed25519 key, for services that trust the key (ICH_CNN_BUNDLE_KEYS)."""
    from training.bundle.sign import read_private_key, read_secret, sign_bundle

    def passphrase() -> bytes:
        if passphrase_file:
            return read_secret(passphrase_file).rstrip(b"\r\n")
        try:
            return getpass(f"Passphrase of {key}: ").encode()
        except EOFError:
            raise TrainingError(f"{key} is encrypted: give its passphrase by --passphrase-file.") from None

    signed = sign_bundle(bundle, read_private_key(key, passphrase))
    LOG.info("%s: bundle %r, card %s, signed by key %s", bundle, signed.card.name, signed.card_sha256, signed.signed_by)


def update_graph(
    bundle: Annotated[Path, help_text("Folder of the bundle.")],
    /,
    *,
    out: Annotated[Path, help_text("New folder of the bundle with the new graph.")],
    config: Annotated[
        str, help_text("Configuration of its CNN: default, source, rsna, smoke, or a Python file that defines CONFIG.")
    ] = "default",
) -> None:
    """Write a bundle with its CNN's graph as this version exports it; weights and operating points stay."""
    from training.configs.config import load_config
    from training.configs.default import CNN_SHAPE
    from training.runs.update_graph import update_graph as write_updated

    shape = CNN_SHAPE if config == "default" else load_config(config).cnn_shape
    for result in write_updated(bundle, out, shape):
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
