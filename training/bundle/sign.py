"""Signs a bundle: writes `card.json.sig`, by a private Ed25519 key in PEM."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.common.bundle_files import CARD_NAME, MAX_CARD_BYTES, SIGNATURE_NAME, open_folder, read_file
from services.common.bundle_signature import TrustedKeys, key_id, sign_card
from services.common.card import Bundle, open_bundle
from training.io.errors import TrainingError
from training.io.files import write_atomically

MAX_KEY_BYTES: Final = 16 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def sign_bundle(folder: Path, key: Ed25519PrivateKey) -> Bundle:
    """Sign the card of a bundle whose files match it, replacing an older signature; return the bundle as checked.

    Raises
    ------
    BundleError
        the folder is no bundle, or a file differs from the card
    TrainingError
        the card changed meanwhile, or the folder is not writable
    """
    bundle = open_bundle(folder)
    with open_folder(folder) as opened:
        card = read_file(opened, CARD_NAME, MAX_CARD_BYTES)
    if hashlib.sha256(card).hexdigest() != bundle.card_sha256:
        raise TrainingError(f"{folder}: {CARD_NAME} changed while it was read; sign the bundle again.")
    signature = sign_card(card, key)
    write_atomically(folder / SIGNATURE_NAME, lambda part: part.write_bytes(signature))
    return open_bundle(folder, TrustedKeys({key_id(key.public_key()): key.public_key()}))


def read_private_key(path: Path, passphrase: Callable[[], bytes]) -> Ed25519PrivateKey:
    """Read a private key as `openssl genpkey -algorithm ed25519` writes it.

    Parameters
    ----------
    passphrase : called if the key is encrypted

    Raises
    ------
    TrainingError
        the file is missing, readable by others, or no Ed25519 key, or the passphrase is wrong
    """
    content = read_secret(path)
    try:
        key = _load(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TrainingError(f"{path} is no private key in PEM, or its passphrase is another one.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise TrainingError(f"{path} is not an Ed25519 key: make one by `openssl genpkey -algorithm ed25519`.")
    return key


def read_secret(path: Path) -> bytes:
    """Read a file that only its owner may read.

    Raises
    ------
    TrainingError
        it is missing, readable by others, or has more than 16 KiB
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}.") from None
    if mode & _OTHERS:
        raise TrainingError(f"{path} is open to other users: run `chmod 600` on it, and make a new key if it was read.")
    if len(content) > MAX_KEY_BYTES:
        raise TrainingError(f"{path} has more than {MAX_KEY_BYTES} bytes: it is no key and no passphrase.")
    return content


def _load(content: bytes, passphrase: Callable[[], bytes]) -> object:
    try:
        return load_pem_private_key(content, None)
    except TypeError:  # the key is encrypted
        return load_pem_private_key(content, passphrase())
