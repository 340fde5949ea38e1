"""Texts about a series for people, and the digest of its patient, from a header's bytes as stored.

The header of every slice keeps the bytes; only one header of a series is decoded. Nothing here raises: a text that
cannot be read is absent.
"""

import re
import unicodedata
from datetime import date, datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataset import Dataset

from services.common.series_description import SeriesDescription
from services.preprocess.dataset_reader import pydicom_silenced
from services.preprocess.element_values import stored_bytes

MAX_LENGTH: Final = 64  # of LO; a component group of PN has as many (PS3.5 6.2)
_MAX_BYTES: Final = 512  # longer than 64 characters in any character set, escape sequences included
_DIGEST_BYTES: Final = 16
_DELIMITERS: Final = frozenset(b"\r\n\t\f\\^=")  # reset the character set (PS3.5 6.1.2.5.3)
_DATES: Final = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("AcquisitionDateTime", ""),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
_TEXTS: Final = ("SeriesDescription", "StudyDescription", "PatientName", "PatientID", "IssuerOfPatientID")
_KEYWORDS: Final = (
    *_TEXTS,
    "SpecificCharacterSet",
    *(keyword for pair in _DATES for keyword in pair if keyword),
)
_MOMENT: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})(?:(\d{2}):?(\d{2}):?(\d{2})?(?:\.\d*)?)?(?:[+-]\d{4})?")


class StoredTexts(NamedTuple):
    """The values of `_KEYWORDS` as stored, cut; empty where absent."""

    values: tuple[bytes, ...] = (b"",) * len(_KEYWORDS)

    @classmethod
    def of(cls, dataset: Dataset) -> "StoredTexts":
        """From a file's attributes."""
        return cls(tuple(value[:_MAX_BYTES] for value in stored_bytes(dataset, _KEYWORDS)))

    def description(self) -> SeriesDescription:
        """The texts, decoded."""
        read = self._texts()
        return SeriesDescription(
            series_description=_shown(read["SeriesDescription"]),
            study_description=_shown(read["StudyDescription"]),
            acquired=self._acquired(),
            patient_name=_shown(_name(read["PatientName"])),
        )

    def patient_digest(self) -> str | None:
        """A digest of PatientID and its issuer, which may use any character set; None without a PatientID."""
        read = self._texts()
        identity = [
            unicodedata.normalize("NFC", read[name].strip(" \0")) for name in ("PatientID", "IssuerOfPatientID")
        ]
        if not identity[0]:
            return None
        return blake2b("\0".join(identity).encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()

    def _texts(self) -> dict[str, str]:
        found = dict(zip(_KEYWORDS, self.values, strict=True))
        with pydicom_silenced():
            encodings = _encodings(found["SpecificCharacterSet"])
            return {keyword: _decoded(found[keyword], encodings) for keyword in _TEXTS}

    def _acquired(self) -> str | None:
        found = {name: value.decode("latin-1").strip(" \0") for name, value in zip(_KEYWORDS, self.values, strict=True)}
        moments = (_moment(found[day] + (found[time] if time and found[day] else "")) for day, time in _DATES)
        return next(filter(None, moments), None)


def _encodings(character_set: bytes) -> list[str]:
    """Python's names of the character sets; none where none is stated. Only names of the standard count."""
    stated = [name.strip(" \0") for name in character_set.decode("latin-1").split("\\")]
    if not any(stated) or not all(name in python_encoding for name in stated):
        return []
    return convert_encodings(stated)


def _decoded(value: bytes, encodings: list[str]) -> str:
    """The text. Where no character set is stated, UTF-8 is tried: it is the most frequent one, and recognizable."""
    try:
        if encodings:
            return decode_bytes(value, encodings, set(_DELIMITERS))
        return value.decode("utf-8")
    except (UnicodeError, LookupError):
        return value.decode("latin-1")


def _shown(text: str) -> str | None:
    """A text on one line, without characters that are invisible or that steer a terminal or the direction of text."""
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join(visible.split())[:MAX_LENGTH].rstrip() or None


def _name(text: str) -> str:
    """A person's name to be read: family name, given names; then its ideographic and phonetic groups (PS3.5 6.2.1)."""
    groups = [_group(group) for group in text.split("=")]
    first, *others = [group for group in groups if group] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def _group(group: str) -> str:
    family, *given = [part.strip(" \0") for part in group.split("^")][:3]
    return ", ".join(filter(None, (family, " ".join(filter(None, given)))))


def _moment(text: str) -> str | None:
    """A date, or a date and time, in ISO 8601; None for any other text."""
    match = _MOMENT.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        if match[4] is None:
            return date(year, month, day).isoformat()
        return datetime(year, month, day, hour, minute, min(second, 59)).isoformat()  # noqa: DTZ001 - local time
    except ValueError:
        return None
