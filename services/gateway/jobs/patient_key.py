"""Tells that two series are of one patient, without the patient's id: a keyed hash (HMAC-SHA256).

patient/key    the site's key, made once; a setting can name another file
"""

import hmac
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from services.gateway.jobs.storage import Storage
from services.gateway.key_file import read_key

KEY: Final = "patient/key"
_HASH_DIGITS: Final = 32
_KEY_BYTES: Final = 32


def patient_key(storage: Storage, file: Path | None) -> bytes:
    """The key in the file, or else the one in the storage, which the first call makes.

    Raises
    ------
    KeyUnusable
        the file is unusable
    """
    if file:
        return read_key(file, "the key of patients' hashes")
    if not storage.exists(KEY):
        storage.create(KEY, secrets.token_hex(_KEY_BYTES).encode())
    return storage.get(KEY)


def patient_hash(key: bytes | None, digest: str | None) -> str | None:
    """The hash of a digest from preprocess; None without a key, and where the header names no patient."""
    return hmac.new(key, digest.encode(), sha256).hexdigest()[:_HASH_DIGITS] if key and digest else None
