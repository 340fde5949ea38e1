"""Files of one series that share a SOPInstanceUID, which identifies one instance only (DICOM PS3.3 C.12.1).

Equal files are copies, and one of them counts. Different files are in conflict: their pixels or headers contradict
each other, and neither can be trusted.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.common.schemas import SeriesHeader


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """Pairs of file numbers: the first file of an instance in upload order, and a later file.

    copies : the later file is equal to the first, byte for byte
    conflicts : the later file differs
    """

    copies: tuple[tuple[int, int], ...]
    conflicts: tuple[tuple[int, int], ...]


def files_sharing_instances(series: SeriesHeader) -> list[list[int]]:
    """Groups of files that share a SOPInstanceUID, in upload order. Files without a UID are in no group."""
    files: defaultdict[str, set[int]] = defaultdict(set)
    for item in series.items:
        if item.sop_instance_uid:
            files[item.sop_instance_uid].add(item.file)
    return [sorted(found) for found in files.values() if len(found) > 1]


def classify_shared_files(shared: Sequence[Sequence[int]], equal: Callable[[int, int], bool]) -> SharedFiles:
    """Copies and conflicts in groups of files; `equal` compares the bytes of two files."""
    pairs = [(first, later, equal(first, later)) for first, *others in shared for later in others]
    return SharedFiles(
        copies=tuple((first, later) for first, later, is_copy in pairs if is_copy),
        conflicts=tuple((first, later) for first, later, is_copy in pairs if not is_copy),
    )
