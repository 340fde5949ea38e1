"""Signatures of bundles: Ed25519 (RFC 8032) over the bytes of `card.json`, whose SHA-256 list covers the other files.

`card.json.sig` holds a JSON document with the id of the key and the signature. The signed message is `PREFIX` and the
card's bytes, so that no signature that the key makes for another purpose is valid here.
"""

import hashlib
import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from services.common.bundle_files import SIGNATURE_NAME, BundleFault

PREFIX: Final = b"ich-detect: signature of a bundle's card.json, version 1\n"
_MAX_KEYS_BYTES: Final = 64 * 1024
_PUBLIC_KEY: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_SIGN: Final = "sign it by `python -m training sign BUNDLE --key PRIVATE.pem` with a trusted key"


class Signature(BaseModel):
    """The content of `card.json.sig`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ich-bundle-signature-1"] = "ich-bundle-signature-1"
    key_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    signature: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9+/]{86}==$")]


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key as DER (SubjectPublicKeyInfo, RFC 8410), in hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sign_card(card: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of `card.json.sig` for the bytes of a card."""
    signature = b64encode(key.sign(PREFIX + card)).decode()
    return Signature(key_id=key_id(key.public_key()), signature=signature).model_dump_json(indent=1).encode() + b"\n"


class TrustedKeys:
    """The public keys that a site trusts, by their ids."""

    def __init__(self, by_id: Mapping[str, Ed25519PublicKey]) -> None:
        self._by_id = by_id

    @classmethod
    def read(cls, path: Path) -> "TrustedKeys":
        """Read a file of one or more public keys in PEM, as `openssl pkey -pubout` writes them.

        Raises
        ------
        BundleFault
            the file is unreadable, writable by others, or holds no key, a private key, or a key of another kind
        """
        blocks = _public_keys(path, _read_protected(path))
        return cls({key_id(key): key for key in (_public_key(path, block) for block in blocks)})

    def check(self, card: bytes, signature: bytes | None) -> str:
        """The id of the trusted key that signed a card.

        Parameters
        ----------
        signature : content of `card.json.sig`; None without one

        Raises
        ------
        BundleFault
            the card is unsigned, signed by a key that is not trusted, or altered
        """
        if signature is None:
            raise BundleFault(f"the bundle is not signed (no {SIGNATURE_NAME}); {_SIGN}")
        try:
            found = Signature.model_validate_json(signature)
        except ValidationError:
            raise BundleFault(f"{SIGNATURE_NAME} is no signature of a bundle; {_SIGN}") from None
        key = self._by_id.get(found.key_id)
        if key is None:
            trusted = ", ".join(sorted(self._by_id))
            raise BundleFault(f"the key {found.key_id} that signed the bundle is not trusted ({trusted} are); {_SIGN}")
        try:
            key.verify(b64decode(found.signature), PREFIX + card)
        except InvalidSignature:
            raise BundleFault(
                f"card.json is not the one that key {found.key_id} signed; copy it again, or {_SIGN}"
            ) from None
        return found.key_id


def _read_protected(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_KEYS_BYTES + 1)
    except OSError as error:
        raise BundleFault(f"{path}: the file of trusted keys is not readable ({error.strerror})") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BundleFault(f"{path}: others can write the file of trusted keys; run `chmod go-w` on it")
    if len(content) > _MAX_KEYS_BYTES:
        raise BundleFault(f"{path}: a file of trusted keys has at most {_MAX_KEYS_BYTES} bytes")
    return content


def _public_keys(path: Path, content: bytes) -> list[bytes]:
    found: list[bytes] = _PUBLIC_KEY.findall(content)
    if not found or len(found) != content.count(b"-----BEGIN "):
        raise BundleFault(
            f"{path}: expected public keys in PEM and nothing else between BEGIN lines; write them by "
            "`openssl pkey -in PRIVATE.pem -pubout`"
        )
    return found


def _public_key(path: Path, block: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleFault(f"{path}: a key cannot be read; copy the file again") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleFault(f"{path}: a key is not Ed25519; make one by `openssl genpkey -algorithm ed25519`")
    return key
