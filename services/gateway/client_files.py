"""Local files to upload: which ones, and as which parts of a request."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from services.common.lazy_file import LazyFile
from services.gateway.client import UsageError
from services.gateway.uploads.archive_formats import is_system_file
from services.gateway.uploads.multipart_form import FORM_FIELD

FilePart = tuple[str, tuple[str, BinaryIO]]


def list_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the files in folders, without hidden ones.

    Raises
    ------
    UsageError
        a path does not exist, or there is no file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and (file == path or not file.name.startswith("."))]
    if not found:
        raise UsageError(f"{', '.join(map(str, paths))}: there are no files to send")
    return found


def list_hidden_files(paths: Sequence[Path]) -> list[Path]:
    """Files in folders that `list_files` leaves out, except files of the operating system."""
    inside = (file for path in paths if path.is_dir() for file in path.rglob(".*"))
    return sorted(file for file in inside if file.is_file() and not is_system_file(file.name))


def file_part(name: str, file: LazyFile) -> FilePart:
    """A file of a multipart request."""
    return FORM_FIELD, (utf8_name(name), cast("BinaryIO", file))  # httpx calls only the methods above


def utf8_name(name: str) -> str:
    """A file's name for the request; bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
