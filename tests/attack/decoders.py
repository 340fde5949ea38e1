"""Hostile images: small to send, and costly to read or decode."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import httpx
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from tests.attack.attack import Attack, Outcome, Target, describe, refused_within
from tests.attack.large_frames import blank_frames
from tests.preprocess.dicom_files import ct, dataset, encapsulated
from tests.scans import zipped

_LIMIT_S: Final = 5.0
_LIMIT: Final = "4xx in 5 s"
_STUDY_UID: Final = b"\x20\x00\x0d\x00UI"
_GONE_S: Final = 1.0


@cache
def _large_frames(count: int) -> bytes:
    """JPEG 2000 frames of 4096 x 4096 in some kilobytes."""
    return blank_frames(count, 4096, spacing_mm=0.1)


def _upload(make: Callable[[], bytes], seconds: float = _LIMIT_S) -> Callable[[Target], Outcome]:
    """The attack that uploads one file, made before the time begins."""

    def run(target: Target) -> Outcome:
        data = make()
        return refused_within(seconds, lambda: target.upload([("large.dcm", data)]))

    return run


def _senders_that_hang_up(target: Target) -> Outcome:
    """Ten requests at the limit of the price, whose client hangs up after a second."""
    data = _large_frames(120)
    with ThreadPoolExecutor(10) as senders:
        found = list(senders.map(lambda _: _hang_up(target, data), range(10)))
    return Outcome(", ".join(sorted(set(found))), held=True)


def _hang_up(target: Target, data: bytes) -> str:
    with target.client() as attacker:
        try:
            answer = attacker.post("/v1/predictions", files={"files": ("large.dcm", data)}, timeout=_GONE_S)
        except httpx.TransportError:
            return "hung up"
    return describe(answer)


def _long_headers() -> bytes:
    """Files whose headers are sequences of a quarter of a million items, in a zip of some kilobytes."""
    file = ct()
    at = file.index(_STUDY_UID)
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 240_000
    sequence = b"\x18\x00\x12\x00SQ\0\0" + len(items).to_bytes(4, "little") + items
    return zipped({f"{number}.dcm": file[:at] + sequence + file[at:] for number in range(4)})


def _endless_scans() -> bytes:
    """A series of 32 progressive JPEGs, each of 20,000 scans of the same 512 x 512 blank pixels."""
    packed = io.BytesIO()
    Image.new("L", (512, 512)).save(packed, "JPEG", progressive=True)
    codestream = packed.getvalue()[:-2]
    scan = codestream[codestream.rindex(b"\xff\xda") :]
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 512, "Columns": 512, "RescaleSlope": 8}
    frames = [codestream + scan * 20_000 + b"\xff\xd9"]
    return zipped({f"{at}.dcm": encapsulated(_placed(at, bits), JPEGBaseline8Bit, frames) for at in range(32)})


def _placed(at: int, bits: dict[str, int]) -> Dataset:
    return dataset(**bits, SOPInstanceUID=f"1.2.3.{at + 1}", InstanceNumber=at + 1, ImagePositionPatient=[0, 0, 5 * at])


ATTACKS: Final = (
    Attack("JPEG 2000: 1,900 frames of 4096 x 4096 in a file", _LIMIT, _upload(lambda: _large_frames(1900))),
    Attack("DICOM: 4 headers of 240,000 items each in a zip", "4xx in 30 s", _upload(_long_headers, 30.0)),
    Attack("JPEG: 32 files of 20,000 scans each in a zip", "4xx in 10 s", _upload(_endless_scans, 10.0)),
    Attack("JPEG 2000: ten clients hang up from 120 such frames", "others served", _senders_that_hang_up),
)
