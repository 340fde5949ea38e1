"""Recognizes archives by their signatures, and files of the operating system by their names.

The extension counts only where the content has no signature. Signatures are from the specifications of the formats.
"""

import re
from pathlib import Path
from typing import BinaryIO, Final

from services.gateway.uploads.zip_directory import END_SIGNATURE, MalformedZip, read_directory_end

ZIP: Final = "zip"
_HEAD_BYTES: Final = 512
_SIGNATURES: Final = {
    b"PK\x07\x08": "a part of a split zip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x04\x22\x4d\x18": "an lz4 file",
    b"LZIP\x01": "an lzip file",
    b"MSCF\0\0\0\0": "a CAB archive",
    b"xar!\x00\x1c": "a xar archive",
    b"!<arch>\n": "an ar archive",
    b"MSWIM\0\0\0": "a WIM image",
}
_PATTERNS: Final = (
    (re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL), "a gzip file"),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)", re.DOTALL), "a bzip2 file"),
    (re.compile(rb"[\x50-\x5f]\x2a\x4d\x18.{4}.*\x28\xb5\x2f\xfd", re.DOTALL), "a zstd file"),
    (re.compile(rb"\x1f\x9d[\x80-\x9f]"), "a compress (.Z) file"),
    (re.compile(rb"07070[12][0-9A-Fa-f]{104}|070707[0-7]{70}"), "a cpio archive"),
    (re.compile(rb"\x5d.{4}\xff{8}", re.DOTALL), "an LZMA file"),
    (re.compile(rb"..-l[hz][0-9sd]-", re.DOTALL), "an LHA archive"),
)
_EXTENSIONS: Final = frozenset(
    {".zip", ".zipx", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".br"}
    | {".7z", ".rar", ".cab", ".iso", ".dmg", ".lzh"}
)
_ELEMENT_STARTS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")  # a DICOM file without a preamble
_SYSTEM_NAMES: Final = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini"})
_ISO_AT, _ISO_MARK = 32_769, b"CD001"
_DMG_BYTES, _DMG_MARK = 512, b"koly"


def archive_format(path: Path, name: str) -> str | None:
    """ZIP, a description of another archive format, or None for a file that is no archive.

    A file with the signature of DICOM or PNG is no archive, whatever its preamble, extension or end.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head[128:132] == b"DICM" or head.startswith(b"\x89PNG\r\n\x1a\n"):
            return None
        found = _by_signature(head)
        if found is None and not head.startswith(_ELEMENT_STARTS):
            found = _by_layout(file, head) or _by_extension(name)
        return found


def is_system_file(name: str) -> bool:
    """Whether macOS or Windows gives this name to files of its own."""
    *folders, last = re.split(r"[/\\]", name)
    return "__MACOSX" in folders or last.startswith("._") or last.lower() in _SYSTEM_NAMES


def _by_signature(head: bytes) -> str | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK00PK\x03\x04")):
        return ZIP
    signed = (kind for signature, kind in _SIGNATURES.items() if head.startswith(signature))
    return next(signed, None) or next((kind for pattern, kind in _PATTERNS if pattern.match(head)), None)


def _by_layout(file: BinaryIO, head: bytes) -> str | None:
    """By signatures at other offsets."""
    if len(head) < _HEAD_BYTES and END_SIGNATURE not in head:
        return None  # all of a short file: one of thousands that are no archives
    if _is_tar(head):
        return "a tar archive"
    if _at(file, _ISO_AT, len(_ISO_MARK)) == _ISO_MARK:
        return "an ISO 9660 image"
    size = file.seek(0, 2)
    if _at(file, max(size - _DMG_BYTES, 0), len(_DMG_MARK)) == _DMG_MARK:
        return "a DMG image"
    try:
        end = read_directory_end(file, size)
    except MalformedZip:
        return ZIP
    return ZIP if end and end.fits(file) else None


def _by_extension(name: str) -> str | None:
    suffix = Path(name).suffix
    if suffix.lower() not in _EXTENSIONS or is_system_file(name):
        return None
    return f"not a readable archive, though its extension is {suffix}"


def _is_tar(head: bytes) -> bool:
    """By the checksum of the first header (POSIX.1-2001, pax); older archives have no signature."""
    stated = head[148:156].strip(b"\0 ")
    if len(head) < _HEAD_BYTES or not re.fullmatch(rb"[0-7]{1,7}", stated):
        return False
    return sum(head) - sum(head[148:156]) + 8 * ord(" ") == int(stated, 8)


def _at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)
