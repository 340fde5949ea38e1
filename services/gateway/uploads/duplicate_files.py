"""Files with the same SOPInstanceUID: an equal file counts once, with a note; files that differ are refused."""

from collections.abc import Sequence
from typing import Final

from services.common.acceptance import make_reason
from services.common.schemas import Reason, SeriesHeader
from services.common.sop_instances import classify_shared_files
from services.common.tensors import FilePart
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_problems import conflicting_instances

_PIECE_BYTES: Final = 1 << 20
Duplicates = dict[int, int]  # index in the upload: a duplicate to the first file of its instance


def find_duplicates(files: Sequence[UploadedFile], shared: Sequence[Sequence[int]]) -> Duplicates:
    """Compare the contents of files that share an instance.

    Raises
    ------
    ConflictingInstances
        two files of one instance differ; all such files are named
    """
    found = classify_shared_files(shared, lambda first, later: _equal(files[first], files[later]))
    if found.conflicts:
        numbers = dict.fromkeys(number for pair in found.conflicts for number in pair)
        raise conflicting_instances([files[number].name for number in numbers])
    return {later: first for first, later in found.copies}


def duplicate_notes(files: Sequence[UploadedFile], duplicates: Duplicates) -> tuple[Reason, ...]:
    """A note for each duplicate."""
    return tuple(
        make_reason("duplicate_file", file=files[later].name, first=files[first].name)
        for later, first in sorted(duplicates.items())
    )


def with_upload_numbers(header: SeriesHeader, kept: Sequence[int]) -> SeriesHeader:
    """The header with file indices of the whole upload; `kept` has them by index among the files without duplicates."""
    items = tuple(item.model_copy(update={"file": kept[item.file]}) for item in header.items)
    return header.model_copy(update={"items": items})


def _equal(first: UploadedFile, later: UploadedFile) -> bool:
    if first.size != later.size:
        return False
    pieces = (FilePart(file.path, file.size).pieces(_PIECE_BYTES) for file in (first, later))
    return all(one == other for one, other in zip(*pieces, strict=True))
