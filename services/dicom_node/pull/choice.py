"""Which series of a study are retrieved: the selection rules, by what the peer answers to queries. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from services.dicom_node.query.peer_query import FoundSeries
from services.dicom_node.selection.verdict import SelectionRules, SeriesSummary, Verdict

_MULTI_FRAME: Final = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


def judge_series(
    rules: SelectionRules, found: Sequence[FoundSeries], chosen: Iterable[str]
) -> list[tuple[FoundSeries, Verdict]]:
    """The verdict on each series of a study. What a peer does not answer passes over no series.

    Parameters
    ----------
    chosen : UIDs of series that the node assesses already
    """
    taken = frozenset(chosen)
    study = [summarize(series, ours=True if series.uid in taken else None) for series in found]
    return [(series, rules.judge(own, study)) for series, own in zip(found, study, strict=True)]


def summarize(found: FoundSeries, *, ours: bool | None) -> SeriesSummary:
    """The series as the rules see it. It is incomplete where its number of images is unknown."""
    header = found.header
    if not header.sop_class_uid and header.modality in ("", "CT"):
        header = replace(header, sop_class_uid=CTImageStorage)
    counted = found.instances is not None and (header.number_of_frames > 1 or header.sop_class_uid not in _MULTI_FRAME)
    return SeriesSummary(header, (found.instances or 0) * header.number_of_frames, complete=counted, ours=ours)
