"""Hostile archives. Each is small to send, and costly to a reader that trusts it."""

import io
import random
import struct
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.attack.attack import Attack, Outcome, Target, refused_within

_LIMIT_S: Final = 5.0
_LIMIT: Final = "4xx in 5 s"
_STORED, _DEFLATED, _BZIP2, _LZMA = 0, 8, 12, 14
_MIB: Final = 1 << 20
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")


def _zip(files: Iterable[tuple[str, bytes]], method: int = _STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return packed.getvalue()


def _zeros(method: int, mebibytes: int) -> bytes:
    """A zip of one entry of zeros, which states 1,000 bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive, archive.open("a.dcm", "w") as member:
        for _ in range(mebibytes):
            member.write(bytes(_MIB))
    return packed.getvalue().replace((mebibytes * _MIB).to_bytes(4, "little"), (1000).to_bytes(4, "little"))


def _listed(count: int, stated: int, *, zip64: bool = False) -> bytes:
    """A directory of empty entries without data, whose end states fewer."""
    record = _ENTRY.pack(b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = record * count
    start = b"PK\3\4" + bytes(26)
    if not zip64:
        return start + directory + _END.pack(b"PK\5\6", 0, 0, stated, stated, len(directory), len(start), 0)
    end64 = _END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, stated, stated, len(directory), len(start))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(start) + len(directory), 1)
    in_zip64 = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return start + directory + end64 + locator + _END.pack(b"PK\5\6", 0, 0, *in_zip64, 0)


def _overlapping(count: int) -> bytes:
    """Entries that share one kernel of deflated zeros: 1 MiB each, not recursive."""
    whole = _zip([("a.dcm", bytes(_MIB))], _DEFLATED)
    at = whole.rindex(b"PK\1\2")
    directory = whole[at:-22] * count
    return whole[:at] + directory + _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), at, 0)


def _hidden_entry() -> bytes:
    """Two files with filler bytes between them; the directory lists the second file only."""
    hidden, listed = _zip([("head/1.dcm", b"slice")]), _zip([("2.dcm", b"slice")])
    return hidden[: hidden.index(b"PK\x01\x02")] + b"x" * 40 + listed


def _nested(outer: int, inner: int) -> bytes:
    """Zips in a zip, each of many empty files."""
    one = _zip((f"{number}.dcm", b"") for number in range(inner))
    return _zip(((f"{number}.zip", one) for number in range(outer)), _DEFLATED)


def _empty_extra_fields() -> bytes:
    """Two zips in a zip; each entry of their directories has 65,520 bytes of extra fields without data."""
    extra = struct.pack("<2H", 0x9999, 0) * 16_380
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, *(0,) * 7, 1, 0) + b"a"
    directory = b"".join(
        _ENTRY.pack(b"PK\1\2", 20, 20, *(0,) * 7, 1, len(extra), 0, 0, 0, 0, number * len(local)) + b"a" + extra
        for number in range(480)
    )
    inner = local * 480 + directory + _END.pack(b"PK\5\6", 0, 0, 480, 480, len(directory), 480 * len(local), 0)
    return _zip([("0.zip", inner), ("1.zip", inner)], _DEFLATED)


def _system_files() -> bytes:
    return _zip((f"__MACOSX/._{number}", b"") for number in range(50_000))


def _long_names() -> bytes:
    return _zip((f"{number:05}{'n' * 65_000}", b"") for number in range(200))


def _wrong_checksum() -> bytes:
    data = bytearray(_zip([("a.dcm", bytes(4 * _MIB))], _DEFLATED))
    for at in (14, data.rindex(b"PK\1\2") + 16):
        data[at] ^= 1
    return bytes(data)


def _empty_blocks() -> bytes:
    """Two million deflate blocks without data."""
    packed = b"\0\0\0\xff\xff" * 2_000_000 + b"\3\0"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, _DEFLATED, 0, 0, 0, len(packed), 5, 1, 0) + b"a"
    entry = _ENTRY.pack(b"PK\1\2", 20, 20, 0, _DEFLATED, 0, 0, 0, len(packed), 5, 1, 0, 0, 0, 0, 0, 0) + b"a"
    body = local + packed
    return body + entry + _END.pack(b"PK\5\6", 0, 0, 1, 1, len(entry), len(body), 0)


def _at_the_ratio() -> bytes:
    """An entry of noise and one of zeros, which unpack to a little less than 100 times the size of the zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("noise", random.Random(1).randbytes(_MIB), _STORED)  # noqa: S311 - no secret
        archive.writestr("zeros", bytes(105 * _MIB), _DEFLATED)
    return packed.getvalue()


def _upload(make: Callable[[], bytes], *, path: str = "/v1/predictions") -> Callable[[Target], Outcome]:
    """The attack that uploads one zip, made before the time begins."""

    def run(target: Target) -> Outcome:
        data = make()
        return refused_within(_LIMIT_S, lambda: target.upload([("study.zip", data)], path))

    return run


def _together(target: Target) -> Outcome:
    """Ten zips at the same time, each as costly as the limits of a job allow."""
    data = _nested(20, 2000)
    with ThreadPoolExecutor(10) as senders:
        found = list(senders.map(lambda _: _upload(lambda: data)(target), range(10)))
    return Outcome(max(found, key=lambda one: not one.held).answer, all(one.held for one in found))


ATTACKS: Final = (
    Attack("zip: bzip2 entry of 250 MiB that states 1,000 bytes", _LIMIT, _upload(lambda: _zeros(_BZIP2, 250))),
    Attack("zip: LZMA entry of 100 MiB that states 1,000 bytes", _LIMIT, _upload(lambda: _zeros(_LZMA, 100))),
    Attack("zip: deflated entry of 500 MiB that states 1,000 bytes", _LIMIT, _upload(lambda: _zeros(_DEFLATED, 500))),
    Attack("zip: 500,000 entries, and an end that states 2,000", _LIMIT, _upload(lambda: _listed(500_000, 2000))),
    Attack(
        "zip: 500,000 entries behind a zip64 record of 2,000",
        _LIMIT,
        _upload(lambda: _listed(500_000, 2000, zip64=True)),
    ),
    Attack(
        "zip: job of 600,000 entries behind a zip64 record of 100,000",
        _LIMIT,
        _upload(lambda: _listed(600_000, 100_000, zip64=True), path="/v1/jobs"),
    ),
    Attack(
        "zip: job of 600,000 entries, stated modulo 65,536",
        _LIMIT,
        _upload(lambda: _listed(600_000, 600_000 % 65_536), path="/v1/jobs"),
    ),
    Attack("zip: an entry that is not listed, behind filler bytes", _LIMIT, _upload(_hidden_entry)),
    Attack("zip: 60 entries that share 1 MiB of zeros", _LIMIT, _upload(lambda: _overlapping(60))),
    Attack("zip: 100 zips of 2,000 files each", _LIMIT, _upload(lambda: _nested(100, 2000))),
    Attack(
        "zip: job of two zips of 480 entries, each with 16,380 empty extra fields",
        _LIMIT,
        _upload(_empty_extra_fields, path="/v1/jobs"),
    ),
    Attack("zip: 50,000 files of the operating system", _LIMIT, _upload(_system_files)),
    Attack("zip: 200 names of 64 kB", _LIMIT, _upload(_long_names)),
    Attack("zip: 4 MiB of unpacked data with a wrong CRC-32", _LIMIT, _upload(_wrong_checksum)),
    Attack("zip: two million deflate blocks without data", _LIMIT, _upload(_empty_blocks)),
    Attack("zip: noise and zeros just below the ratio of 100", _LIMIT, _upload(_at_the_ratio)),
    Attack("zip: ten at a time, each of 20 zips of 2,000 files", _LIMIT, _together),
)
