"""Words that must be nowhere but in answers to their sender, and a look for them in all that is kept or told."""

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx
from redis import Redis

from tests.running import ROOT, Service
from tests.scans import ct_slice, head, zipped

NAME: Final = "Canarini^Cantarella"
PATIENT_ID: Final = "CANARY-ID-0815"
FILE: Final = "canary-file-name"
UID: Final = "2.25.4711081547110815"
WORDS: Final = tuple(word.encode() for word in (*NAME.split("^"), PATIENT_ID, FILE, UID))
_ZLIB: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_ZLIB_AS_BASE64: Final = re.compile(rb"eJ[A-Za-z0-9+/]{6,}={0,2}")


@dataclass(frozen=True)
class Found:
    """A word, and where it was."""

    word: str
    place: str


def marked_upload() -> list[tuple[str, tuple[str, bytes]]]:
    """Files that carry the words: a good series, a corrupt file, a text, an archive, and an archive that is broken."""
    tags = {"PatientName": NAME, "PatientID": PATIENT_ID, "StudyInstanceUID": UID, "SeriesInstanceUID": f"{UID}.1"}
    good = [ct_slice(index, head(128), **tags, SOPInstanceUID=f"{UID}.{index + 2}") for index in range(3)]
    other = ct_slice(0, head(128), **{**tags, "SeriesInstanceUID": f"{UID}.9"})
    files = {f"{FILE}-{index}.dcm": data for index, data in enumerate(good)}
    files |= {f"{FILE}-cut.dcm": other[:-50], f"{FILE}.txt": NAME.encode(), f"{FILE}.zip": zipped({f"{FILE}": other})}
    return [("files", (f"{NAME}/{name}", data)) for name, data in files.items()]


def broken_uploads() -> list[tuple[str, bytes]]:
    """Uploads that are refused with the file's name in the answer."""
    return [(f"{FILE}-broken.zip", b"PK\x03\x04" + bytes(100)), (f"{FILE}-bomb.zip", zipped({FILE: bytes(1 << 28)}))]


def everything(service: Service) -> Iterator[tuple[str, bytes]]:
    """All that is kept or told outside of the store: by place."""
    yield "log", service.log.read_bytes()
    yield "metrics", httpx.get(f"{service.url}/metrics").content
    with Redis(port=service.redis_port) as redis:
        for key in redis.scan_iter(count=1000):
            yield f"Redis key {key!r}", key
            yield f"Redis value of {key!r}", redis.dump(key) or b""
    for path in (ROOT / ".run" / f"redis-{service.ports['gateway']}").rglob("*"):
        if path.is_file():
            yield str(path.name), path.read_bytes()


def search(places: Iterator[tuple[str, bytes]]) -> list[Found]:
    """Where the words are, in what RQ has compressed, too."""
    return [
        Found(word.decode(), place)
        for place, content in places
        for text in (content, *inflated(content))
        for word in WORDS
        if word.lower() in text.lower()
    ]


def inflated(content: bytes) -> Iterator[bytes]:
    """Whatever in there is compressed by zlib, plain or as base64."""
    packed = [content[match.start() :] for match in _ZLIB.finditer(content)]
    packed += [base64.b64decode(text[: len(text) & ~3]) for text in _ZLIB_AS_BASE64.findall(content)]
    for each in packed:
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(each)
