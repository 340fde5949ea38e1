"""Problems of a complete upload. They name the client's files.

UnusableUpload                 422
|- UnusableFiles        422    a file of the series is corrupt; every bad file is named
|- NotACtSlice          422    only localizers, secondary captures or other modalities
|- MixedSeries          422    several series where one is expected
|- ConflictingInstances 422    two files have one SOPInstanceUID and differ
UnsupportedFile         415    neither DICOM, PNG nor zip
TooCostly               413    the series takes too long to decode
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.common.file_codes import describe_file_code
from services.common.problems import ContentTooLarge, Problem, UnsupportedMediaType


class UnusableUpload(Problem):
    status = 422
    code = "unusable_upload"
    title = "Nothing in the upload can be assessed"


class UnusableFiles(UnusableUpload):
    code = "unusable_files"
    title = "A file cannot be read"


class NotACtSlice(UnusableUpload):
    code = "not_a_ct_slice"
    title = "This is not an axial CT slice"


class MixedSeries(UnusableUpload):
    code = "mixed_series"
    title = "The upload holds several series"


class ConflictingInstances(UnusableUpload):
    code = "conflicting_instances"
    title = "Two files have the same SOPInstanceUID and differ"


class TooCostly(ContentTooLarge):
    code = "too_costly"
    title = "Decoding the series takes too long"


class UnsupportedFile(UnsupportedMediaType):
    code = "unsupported_file"
    title = "This is neither DICOM, PNG nor zip"


class RefusedFile(NamedTuple):
    """A file, or a part of a request, for which the whole upload is refused."""

    file: str
    code: str
    reason: str


def refused_files(kind: type[Problem], refused: Sequence[RefusedFile]) -> Problem:
    """A problem with the reason of the first file, and the list of all."""
    first, more = refused[0], len(refused) - 1
    others = f" (and {more} more)" if more else ""
    return kind(f"{first.file}: {first.reason}{others}.", files=[file._asdict() for file in refused])


def bad_file(name: str, code: str, tag: str | None = None) -> RefusedFile:
    """A file with a code of `file_codes`; `tag` is the keyword of the unreadable tag."""
    return RefusedFile(name, code, describe_file_code(code, tag))


def bad_files(kind: type[Problem], files: Iterable[RefusedFile]) -> Problem:
    """As `refused_files`, with advice for the user of the page."""
    problem = refused_files(kind, list(files))
    problem.detail += " Please choose another file and try again."
    return problem


def conflicting_instances(names: Sequence[str]) -> ConflictingInstances:
    """A problem about two or more files that differ from another file with the same SOPInstanceUID."""
    first, second, *others = names
    more = f", as do {len(others)} more files" if others else ""
    reason = "another file with the same SOPInstanceUID differs from it"
    return ConflictingInstances(
        f"{first} and {second} have the same SOPInstanceUID and differ{more}; send one file of each instance",
        files=[RefusedFile(name, ConflictingInstances.code, reason)._asdict() for name in names],
    )
