"""Detects contrast agent in a header; `services.common.contrast_description` reads the words.

Each tag states contrast, states its absence, or states neither. Tags of the series come before the protocol's name, and
that before the study's description, which holds for all its series: the first level with a statement decides. Within a
level, contrast outweighs its absence.
"""

from collections.abc import Iterable
from typing import Final

from pydicom.dataset import Dataset

from services.common.contrast_description import describes_contrast, names_agent, names_no_vessel
from services.preprocess.dataset_reader import BoundedReader, sequence_items
from services.preprocess.element_values import readable_number, text, texts

# Of a frame of an enhanced file: YES or NO (PS3.3 C.7.6.16.2.12).
_USE: Final = ("ContrastBolusAgentAdministered", "ContrastBolusAgentDetected")
_LEVELS: Final = (
    (
        *("ContrastBolusAgent", "ContrastBolusAgentSequence", "ContrastBolusVolume", "ContrastBolusRoute"),
        *_USE,
        *("SeriesDescription", "ImageType"),
    ),
    ("ProtocolName",),
    ("StudyDescription",),
)


def contrast_tags(file: BoundedReader, dataset: Dataset) -> tuple[str, ...]:
    """Keywords of the tags that state contrast, if the header as a whole does; never their values."""
    for level in _LEVELS:
        stated = {keyword: _statement(keyword, file, dataset) for keyword in level}
        if True in stated.values():
            return tuple(keyword for keyword, contrast in stated.items() if contrast)
        if False in stated.values():
            return ()
    return ()


def frame_contrast_tags(file: BoundedReader, frames: Iterable[Dataset]) -> tuple[str, ...]:
    """The keywords over the frames of one file; tags that frames share are read from the first frame only."""
    found: set[str] = set()
    for number, frame in enumerate(frames):
        found.update(_used_tags(frame) if number else contrast_tags(file, frame))
    return tuple(sorted(found))


def _statement(keyword: str, file: BoundedReader, dataset: Dataset) -> bool | None:
    if keyword == "ContrastBolusAgentSequence":
        return _strongest(
            names_agent(text(item, "CodeMeaning"), unnamed=True) for item in sequence_items(file, dataset, keyword)
        )
    if keyword == "ContrastBolusVolume":
        return True if (readable_number(dataset, keyword) or 0) > 0 else None
    words = " ".join(texts(dataset, keyword))
    if keyword in _USE:
        return {"YES": True, "NO": False}.get(words.upper())
    if keyword == "ContrastBolusAgent":
        return names_agent(words, unnamed=None)
    if keyword == "ContrastBolusRoute":
        return None if names_no_vessel(words) else names_agent(words, unnamed=None)
    return describes_contrast(words)


def _used_tags(dataset: Dataset) -> tuple[str, ...]:
    """The keywords by which a frame of an enhanced file states the use of an agent."""
    return tuple(keyword for keyword in _USE if text(dataset, keyword).upper() == "YES")


def _strongest(statements: Iterable[bool | None]) -> bool | None:
    found = set(statements)
    return True if True in found else False if False in found else None
