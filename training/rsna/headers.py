"""Reads the header of one DICOM file of the archive, or the reason to set the file aside."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from services.common.file_codes import SET_ASIDE_FILES, UNUSABLE_FILES
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import read_header
from services.preprocess.patient_id import read_patient_id
from training.rsna.archive import Archive, Damaged

HEAD_BYTES: Final = 8192  # the challenge's headers are shorter than 2,000 bytes
# Slices that participants of the challenge found unusable.
SUSPECT: Final = frozenset(f"ID_{name}" for name in ["e20bf3f8a", "8da38f2e4", "470e639ae", "0e21abf7a", "d91d52bdc"])
# Reasons of the service for which training cannot use a series either.
GEOMETRY_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "implausible_geometry": "the geometry is not that of a head CT",
        "no_order": "no tag orders the slices of the series",
    }
)
REASON_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **SET_ASIDE_FILES,
        **UNUSABLE_FILES,
        "suspect": "known to be unusable",
        "unreadable": "the archive cannot return its bytes",
        "several_frames": "several frames in one file; labels are per file",
        "unidentified": "PatientID or SeriesInstanceUID is missing",
        **GEOMETRY_REASONS,
        "missing_file": "it has labels, but is not in the archive",
    }
)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """A file's header, None where unreadable, and a code of `REASON_TEXTS` where it is set aside."""

    file: str
    header: DicomHeader | None
    patient_id: str = ""
    reason: str | None = None


def read_file_header(archive: Archive, file: str) -> FileHeader:
    """Read a file's header; every fault of the file becomes its reason."""
    try:
        header, head = _read(archive, file)
    except Damaged:
        return FileHeader(file, None, reason="unreadable")
    except UnreadableFile as failure:
        return FileHeader(file, None, reason=failure.code)
    patient_id = read_patient_id(head)
    return FileHeader(file, replace(header, extended_offsets=None), patient_id, _reason(file, header, patient_id))


def stem(file: str) -> str:
    """Return the name of a file in the table of labels."""
    return PurePosixPath(file).stem


def _read(archive: Archive, file: str) -> tuple[DicomHeader, bytes]:
    size = archive.size(file)
    head = archive.read(file, HEAD_BYTES)
    try:
        return read_header(head, size), head
    except IncompleteHeader:
        head = archive.read(file)
        return read_header(head, len(head)), head


def _reason(file: str, header: DicomHeader, patient_id: str) -> str | None:
    if stem(file) in SUSPECT:
        return "suspect"
    if header.number_of_frames > 1:
        return "several_frames"
    return None if patient_id and header.series_instance_uid else "unidentified"
