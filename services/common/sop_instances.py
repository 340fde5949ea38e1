"""Files of one series that share a SOPInstanceUID, which names one instance only (DICOM PS3.3 C.12.1).

Files that are equal byte for byte are copies: one of them counts. Files that differ contradict each other, in their
pixels or in the header that says what these mean, and nothing tells which of them is right.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.common.schemas import SeriesHeader


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """Numbers of files, in pairs: the first file of an instance in the order sent, and a later one.

    copies : the later one is equal to the first
    conflicts : it is not
    """

    copies: tuple[tuple[int, int], ...]
    conflicts: tuple[tuple[int, int], ...]


def files_sharing_instances(series: SeriesHeader) -> list[list[int]]:
    """Files that share their SOPInstanceUID, in the order sent. An absent UID is equal to no other."""
    files: defaultdict[str, set[int]] = defaultdict(set)
    for item in series.items:
        if item.sop_instance_uid:
            files[item.sop_instance_uid].add(item.file)
    return [sorted(found) for found in files.values() if len(found) > 1]


def classify_shared_files(shared: Sequence[Sequence[int]], equal: Callable[[int, int], bool]) -> SharedFiles:
    """Copies and conflicts among files that share an instance; `equal` compares the bytes of two of them."""
    pairs = [(first, later, equal(first, later)) for first, *others in shared for later in others]
    return SharedFiles(
        copies=tuple((first, later) for first, later, is_copy in pairs if is_copy),
        conflicts=tuple((first, later) for first, later, is_copy in pairs if not is_copy),
    )
