"""Unpacks the zips of an upload, and zips in them, one level deep; other archives are refused by name.

An archive is never ignored: it could hold slices that show a haemorrhage.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from services.gateway.uploads.archive_formats import ZIP, archive_format
from services.gateway.uploads.archives import BadArchive, Limits, UnsupportedArchive, unpack
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.upload_problems import RefusedFile, refused_files

_MAX_REFUSED: Final = 100  # a zip may hold thousands of archives, and nobody reads a list of thousands


def unpack_all(files: Sequence[UploadedFile], folder: SpoolFolder, limits: Limits) -> list[UploadedFile]:
    """Replace every zip, and every zip in a zip, by its files. Other archives are refused, all of them by name.

    A zip without files remains beside other files, to be set aside with a note. The result is empty where an upload
    has such zips only.

    Raises
    ------
    BadArchive, UnsupportedArchive
        at most 100 archives are named: a zip cannot be unpacked; an archive has another format or lies too deep
    ContentTooLarge
        the files exceed the limits, or a zip has a ratio that only a zip bomb has
    """
    found: list[UploadedFile] = []
    refused: list[RefusedFile] = []
    left = limits.minus(files)
    for file in files:
        kind = archive_format(file.path, file.name)
        if kind == ZIP:
            opened = list(_opened(file, folder, left.plus(file), refused))
            left = left.plus(file).minus(opened)
            found += opened or [file]
        elif kind:
            refused.append(_unsupported(file, kind))
        else:
            found.append(file)
        _check_refused(refused, _MAX_REFUSED)
    _check_refused(refused, 1)
    return found if any(not archive_format(file.path, file.name) for file in found) else []


def _check_refused(refused: Sequence[RefusedFile], count: int) -> None:
    """Refuse the upload where so many archives are refused."""
    if len(refused) >= count:
        damaged = any(file.code == BadArchive.code for file in refused)
        raise refused_files(BadArchive if damaged else UnsupportedArchive, refused[:_MAX_REFUSED])


def _opened(
    archive: UploadedFile, folder: SpoolFolder, limits: Limits, refused: list[RefusedFile]
) -> Iterator[UploadedFile]:
    """The files of a sent zip and of the zips in it, all within the ratio of the sent zip."""
    limits = limits.within_ratio(archive)
    entries = _unpacked(archive, folder, limits, refused)
    left = limits.minus(entries)
    for entry in entries:
        kind = archive_format(entry.path, entry.name)
        within = replace(entry, name=f"{archive.name}/{entry.name}")
        if kind == ZIP:
            inner = _unpacked(within, folder, left.plus(entry), refused)
            left = left.plus(entry).minus(inner)
            if not inner:
                yield entry
                continue
            entry.path.unlink()
            yield from _without_archives(entry, within, inner, refused)
        elif kind:
            refused.append(_unsupported(within, kind))
        else:
            yield entry
        _check_refused(refused, _MAX_REFUSED)


def _without_archives(
    entry: UploadedFile, within: UploadedFile, inner: Sequence[UploadedFile], refused: list[RefusedFile]
) -> Iterator[UploadedFile]:
    """The files of a zip in a zip; archives among them are refused."""
    for file in inner:
        kind = archive_format(file.path, file.name)
        if kind:
            words = "a zip in a zip in a zip" if kind == ZIP else kind
            refused.append(_unsupported(replace(file, name=f"{within.name}/{file.name}"), words))
        yield replace(file, name=f"{entry.name}/{file.name}")


def _unpacked(
    archive: UploadedFile, folder: SpoolFolder, limits: Limits, refused: list[RefusedFile]
) -> list[UploadedFile]:
    try:
        return unpack(archive, folder, limits)
    except (BadArchive, UnsupportedArchive) as problem:
        refused += [RefusedFile(**file) for file in problem.extra["files"]]
        return []


def _unsupported(file: UploadedFile, kind: str) -> RefusedFile:
    reason = f"{kind}; only zip is unpacked, and a zip in a zip: unpack it and send its files"
    return RefusedFile(file.name, UnsupportedArchive.code, reason)
