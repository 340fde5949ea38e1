"""Replaces UIDs by keyed hashes, which only holders of the key can link to the originals."""

import hmac
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from services.common.schemas import HeadersReport, SeriesHeader, SetAsideFile, SliceReference

MIN_KEY_BYTES: Final = 16
_HASH_BYTES: Final = 16
WithUids = TypeVar("WithUids", SeriesHeader, SetAsideFile)


def read_uid_key(path: Path | None) -> bytes | None:
    """The key in a file, without surrounding white space; None without a file.

    Raises
    ------
    ValueError
        the key is shorter than 16 bytes
    OSError
        the file cannot be read
    """
    if path is None:
        return None
    key = path.read_bytes().strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"{path}: the key has {len(key)} bytes; it must have at least {MIN_KEY_BYTES}")
    return key


def hash_uid(uid: str, key: bytes) -> str:
    """A UID of 128 bits under 2.25 (PS3.5 B.2), determined by UID and key."""
    digest = hmac.new(key, uid.encode(), sha256).digest()[:_HASH_BYTES]
    return f"2.25.{int.from_bytes(digest)}"


def hash_uids(report: HeadersReport, key: bytes | None) -> HeadersReport:
    """A report with all UIDs hashed; unchanged without a key. Absent UIDs stay absent."""
    if key is None:
        return report
    series = tuple(_hash_series(series, key) for series in report.series)
    set_aside = tuple(_hash_series_uids(item, key) for item in report.set_aside)
    return report.model_copy(update={"series": series, "set_aside": set_aside})


def _hash_series(series: SeriesHeader, key: bytes) -> SeriesHeader:
    items = tuple(_hash_item(item, key) for item in series.items)
    return _hash_series_uids(series, key).model_copy(update={"items": items})


def _hash_series_uids(found: WithUids, key: bytes) -> WithUids:
    return found.model_copy(update={"uid": _hash(found.uid, key), "study_uid": _hash(found.study_uid, key)})


def _hash_item(item: SliceReference, key: bytes) -> SliceReference:
    return item.model_copy(update={"sop_instance_uid": _hash(item.sop_instance_uid, key)})


def _hash(uid: str | None, key: bytes) -> str | None:
    return hash_uid(uid, key) if uid else uid
