"""Signatures of bundles: Ed25519 (RFC 8032) over the bytes of `card.json`, whose SHA-256 list covers the other files.

`card.json.sig` holds a JSON document with the id of the key and the signature. The signed message is `PREFIX` and the
card's bytes, so that no signature that the key makes for another purpose is valid here. Addenda have signatures of
the same form with a prefix of their own.
"""

import hashlib
import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from services.common.bundle_files import SIGNATURE_NAME, BundleFault

PREFIX: Final = b"ich-detect: signature of a bundle's card.json, version 1\n"
ADDENDUM_PREFIX: Final = b"ich-detect: signature of a bundle's addendum, version 1\n"
_MAX_KEYS_BYTES: Final = 64 * 1024
_PUBLIC_KEY: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_SIGN: Final = "sign it by `python -m training sign BUNDLE --key PRIVATE.pem` with a trusted key"
_ATTACH: Final = "attach it by `python -m training attach-evaluation BUNDLE RUN --key PRIVATE.pem` with a trusted key"


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
    return _signature(PREFIX + card, key)


def sign_addendum(addendum: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of an addendum's signature file."""
    return _signature(ADDENDUM_PREFIX + addendum, key)


def _signature(message: bytes, key: Ed25519PrivateKey) -> bytes:
    signature = b64encode(key.sign(message)).decode()
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
        return self._check(PREFIX + card, signature, _Signed("the bundle", "card.json", SIGNATURE_NAME, _SIGN))

    def check_addendum(self, addendum: bytes, signature: bytes | None) -> str:
        """The id of the trusted key that signed an addendum; raises as `check`."""
        if signature is None:
            raise BundleFault(f"it is not signed; {_ATTACH}")
        return self._check(ADDENDUM_PREFIX + addendum, signature, _Signed("it", "it", "its .sig", _ATTACH))

    def _check(self, message: bytes, signature: bytes, signed: "_Signed") -> str:
        try:
            found = Signature.model_validate_json(signature)
        except ValidationError:
            raise BundleFault(f"{signed.file} is no signature of a bundle; {signed.remedy}") from None
        key = self._by_id.get(found.key_id)
        if key is None:
            trusted = ", ".join(sorted(self._by_id))
            raise BundleFault(
                f"the key {found.key_id} that signed {signed.what} is not trusted ({trusted} are); {signed.remedy}"
            )
        try:
            key.verify(b64decode(found.signature), message)
        except InvalidSignature:
            raise BundleFault(
                f"{signed.content} is not the one that key {found.key_id} signed; copy it again, or {signed.remedy}"
            ) from None
        return found.key_id


class _Signed(NamedTuple):
    """Words of messages about a signature."""

    what: str
    content: str
    file: str
    remedy: str


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
