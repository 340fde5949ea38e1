"""Public keys of a JWK Set (RFC 7517) that may verify tokens."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

log = logging.getLogger(__name__)
KeyType = Literal["RSA", "EC", "OKP"]
Key = RSAKey | ECKey | OKPKey
_MIN_RSA_BITS: Final = 2048  # RFC 7518, section 3.3
_KINDS: Final[Mapping[str, type[Key]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_PUBLIC: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A public key.

    algorithm : the only one that it is for; None for each of its type
    document : its public members
    """

    key: Key
    algorithm: str | None
    document: Mapping[str, Any]


Keys = Mapping[tuple[str, str], SigningKey]


def usable_keys(documents: list[dict[str, Any]], before: Keys) -> Keys:
    """Keys that may verify signatures. A key that did not change keeps its object, which caches compare."""
    found: dict[tuple[str, str], SigningKey] = {}
    for document in documents:
        key_id, kind = document.get("kid"), document.get("kty")
        if not isinstance(key_id, str) or not isinstance(kind, str) or kind not in _KINDS or not _may_verify(document):
            continue
        public = {name: document.get(name) for name in ("kty", "alg", *_PUBLIC[kind])}
        known = before.get((key_id, kind))
        if known and known.document == public:
            found[key_id, kind] = known
        elif key := _import(kind, public):
            found[key_id, kind] = SigningKey(key, public["alg"], public)
    return found


def _may_verify(document: Mapping[str, Any]) -> bool:
    operations = document.get("key_ops", ["verify"])
    algorithm = document.get("alg")
    return (
        document.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and (algorithm is None or isinstance(algorithm, str))
    )


def _import(kind: str, public: Mapping[str, Any]) -> Key | None:
    """A public key; None with a warning for one that is malformed or weak."""
    members = {"kty": kind, **{name: public[name] for name in _PUBLIC[kind]}}
    try:
        if kind == "RSA" and _bits(members["n"]) < _MIN_RSA_BITS:
            log.warning("an RSA key of the OpenID provider has fewer than %d bits; it is not used", _MIN_RSA_BITS)
            return None
        return _KINDS[kind].import_key(members)
    except (JoseError, ValueError, TypeError, KeyError):
        log.warning("a signing key of the OpenID provider is malformed; it is not used")
        return None


def _bits(modulus: str) -> int:
    """Bits of an RSA modulus in base64url."""
    return int.from_bytes(base64.urlsafe_b64decode(modulus + "==")).bit_length()
