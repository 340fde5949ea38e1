"""UIDs replaced by keyed hashes, so that what leaves can be joined by those who know the key and by nobody else."""

import hmac
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from services.common.schemas import HeadersReport, SeriesHeader, SetAsideFile, SliceReference

MIN_KEY_BYTES: Final = 16
_HASH_BYTES: Final = 16
Found = TypeVar("Found", SeriesHeader, SetAsideFile)


def read_uid_key(path: Path | None) -> bytes | None:
    """The secret in a file, without the white space around it; None without a file.

    Raises
    ------
    ValueError
        the secret is short enough to be guessed
    OSError
        the file can't be read
    """
    if path is None:
        return None
    key = path.read_bytes().strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"{path}: a key has at least {MIN_KEY_BYTES} bytes")
    return key


def hash_uid(uid: str, key: bytes) -> str:
    """A UID of 128 bits under 2.25 (PS3.5 B.2): the same for the same UID and key."""
    digest = hmac.new(key, uid.encode(), sha256).digest()[:_HASH_BYTES]
    return f"2.25.{int.from_bytes(digest)}"


def hash_uids(report: HeadersReport, key: bytes | None) -> HeadersReport:
    """A report with all its UIDs hashed; as it is without a key. What is absent stays absent."""
    if key is None:
        return report
    series = tuple(_hash_series(series, key) for series in report.series)
    set_aside = tuple(_hash_series_uids(item, key) for item in report.set_aside)
    return report.model_copy(update={"series": series, "set_aside": set_aside})


def _hash_series(series: SeriesHeader, key: bytes) -> SeriesHeader:
    items = tuple(_hash_item(item, key) for item in series.items)
    return _hash_series_uids(series, key).model_copy(update={"items": items})


def _hash_series_uids(found: Found, key: bytes) -> Found:
    return found.model_copy(update={"uid": _hash(found.uid, key), "study_uid": _hash(found.study_uid, key)})


def _hash_item(item: SliceReference, key: bytes) -> SliceReference:
    return item.model_copy(update={"sop_instance_uid": _hash(item.sop_instance_uid, key)})


def _hash(uid: str | None, key: bytes) -> str | None:
    return hash_uid(uid, key) if uid else uid
