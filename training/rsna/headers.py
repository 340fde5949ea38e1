"""One DICOM file of the archive as its header tells it, or why it is set aside."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from services.common.acceptance import SET_ASIDE_FILES, UNUSABLE_FILES
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header import DicomHeader, read_header
from services.preprocess.patient_id import read_patient_id
from training.rsna.archive import Archive, Damaged

HEAD_BYTES: Final = 8192  # the challenge's headers have less than two thousand
# Slices that the challenge's solvers found to be of no use.
SUSPECT: Final = frozenset(f"ID_{name}" for name in ["e20bf3f8a", "8da38f2e4", "470e639ae", "0e21abf7a", "d91d52bdc"])
# Refusals of the service whose series cannot be shown, or cannot be put in order, in training either.
GEOMETRY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "implausible_geometry": "the geometry is not that of a head CT",
        "no_order": "no tag orders the slices of the series",
    }
)
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **SET_ASIDE_FILES,
        **UNUSABLE_FILES,
        "suspect": "known to be of no use",
        "unreadable": "the archive cannot give its bytes back",
        "several_frames": "several frames in one file; labels are told for files",
        "unidentified": "PatientID or SeriesInstanceUID is missing",
        **GEOMETRY,
        "missing_file": "labels are told for it, and the archive does not hold it",
    }
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file's header where it could be read, and a code of `WORDS` where it is set aside."""

    file: str
    header: DicomHeader | None
    patient_id: str = ""
    reason: str | None = None


def look(archive: Archive, file: str) -> Seen:
    """Read a file's header; whatever is wrong with the file becomes its reason."""
    try:
        header, head = _read(archive, file)
    except Damaged:
        return Seen(file, None, reason="unreadable")
    except UnreadableFile as failure:
        return Seen(file, None, reason=failure.code)
    patient_id = read_patient_id(head)
    return Seen(file, replace(header, extended_offsets=None), patient_id, _reason(file, header, patient_id))


def stem(file: str) -> str:
    """What the table of labels calls a file."""
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
