"""Canary words: only responses to their sender may contain them. Searches everything else that the product writes."""

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx

from tests.running import ROOT, Service
from tests.scans import ct_slice, head, zipped

NAME: Final = "Canarini^Cantarella"
PATIENT_ID: Final = "CANARY-ID-0815"
DESCRIPTION: Final = "canary-description"
FILE: Final = "canary-file-name"
UID: Final = "2.25.4711081547110815"
WORDS: Final = tuple(word.encode() for word in (*NAME.split("^"), PATIENT_ID, DESCRIPTION, FILE, UID))
_ZLIB: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_ZLIB_AS_BASE64: Final = re.compile(rb"eJ[A-Za-z0-9+/]{6,}={0,2}")


@dataclass(frozen=True)
class Found:
    """A canary word and its location."""

    word: str
    place: str


def marked_upload() -> list[tuple[str, tuple[str, bytes]]]:
    """Files with canary words: a good series, a corrupt file, a text and an archive."""
    tags = {"PatientName": NAME, "PatientID": PATIENT_ID, "StudyInstanceUID": UID, "SeriesInstanceUID": f"{UID}.1"}
    tags |= {"SeriesDescription": DESCRIPTION, "StudyDescription": DESCRIPTION, "IssuerOfPatientID": PATIENT_ID}
    good = [ct_slice(index, head(128), **tags, SOPInstanceUID=f"{UID}.{index + 2}") for index in range(3)]
    other = ct_slice(0, head(128), **{**tags, "SeriesInstanceUID": f"{UID}.9"})
    files = {f"{FILE}-{index}.dcm": data for index, data in enumerate(good)}
    files |= {f"{FILE}-cut.dcm": other[:-50], f"{FILE}.txt": NAME.encode(), f"{FILE}.zip": zipped({f"{FILE}": other})}
    return [("files", (f"{NAME}/{name}", data)) for name, data in files.items()]


def broken_uploads() -> list[tuple[str, bytes]]:
    """Uploads that are refused; the response names the file."""
    return [(f"{FILE}-broken.zip", b"PK\x03\x04" + bytes(100)), (f"{FILE}-bomb.zip", zipped({FILE: bytes(1 << 28)}))]


def outputs(service: Service) -> Iterator[tuple[str, bytes]]:
    """Everything outside of the job store, with its location: logs, metrics, Redis and its files."""
    yield "log", service.log.read_bytes()
    for path in service.audit_file.parent.glob(f"{service.audit_file.stem}.*"):
        yield path.name, path.read_bytes()
    yield "metrics", httpx.get(f"{service.url}/metrics").content
    with service.redis_client() as redis:
        for key in redis.scan_iter(count=1000):
            yield f"Redis key {key!r}", key
            yield f"Redis value of {key!r}", redis.dump(key) or b""
    for path in (ROOT / ".run" / f"redis-{service.ports['gateway']}").rglob("*"):
        if path.is_file():
            yield str(path.name), path.read_bytes()


def search(places: Iterator[tuple[str, bytes]]) -> list[Found]:
    """Occurrences of the words, also in data that RQ has compressed."""
    return [
        Found(word.decode(), place)
        for place, content in places
        for text in (content, *decompressed(content))
        for word in WORDS
        if word.lower() in text.lower()
    ]


def decompressed(content: bytes) -> Iterator[bytes]:
    """Data in `content` that zlib has compressed, binary or as base64."""
    compressed = [content[match.start() :] for match in _ZLIB.finditer(content)]
    compressed += [base64.b64decode(text[: len(text) & ~3]) for text in _ZLIB_AS_BASE64.findall(content)]
    for each in compressed:
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(each)
