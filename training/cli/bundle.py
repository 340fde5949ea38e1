"""Commands on a finished bundle."""

import logging
from collections.abc import Callable
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
    """Check a bundle's hashes, addenda and reference predictions, and its signatures where keys are given."""
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
    from training.bundle.sign import read_private_key, sign_bundle

    signed = sign_bundle(bundle, read_private_key(key, _passphrase(key, passphrase_file)))
    LOG.info("%s: bundle %r, card %s, signed by key %s", bundle, signed.card.name, signed.card_sha256, signed.signed_by)


def attach_evaluation(
    bundle: Annotated[Path, help_text("Folder of the bundle that was measured.")],
    run: Annotated[Path, help_text("Folder that `evaluate --files` wrote.")],
    /,
    *,
    data: Annotated[str, help_text("Description of the patients for readers: site, dates, choice; no names.")],
    key: Annotated[Path | None, help_text("PEM file of the private Ed25519 key that signs the addendum.")] = None,
    passphrase_file: Annotated[
        Path | None, help_text("File of the key's passphrase; without it you are asked.")
    ] = None,
) -> None:
    """Attach an evaluation on a site's patients to the measured bundle, as an addendum; the card stays as it is."""
    from training.bundle.attach_evaluation import attach_evaluation as attach
    from training.bundle.sign import read_private_key

    private = read_private_key(key, _passphrase(key, passphrase_file)) if key else None
    path, addendum = attach(bundle, run, data, private)
    LOG.info("%s: %s patients, %s series; restart rnn to serve it", path, addendum.patients, addendum.series)


def _passphrase(key: Path, file: Path | None) -> Callable[[], bytes]:
    """Read the passphrase of a key from its file, or ask for it."""
    from training.bundle.sign import read_secret

    def passphrase() -> bytes:
        if file:
            return read_secret(file).rstrip(b"\r\n")
        try:
            return getpass(f"Passphrase of {key}: ").encode()
        except EOFError:
            raise TrainingError(f"{key} is encrypted: give its passphrase by --passphrase-file.") from None

    return passphrase


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
