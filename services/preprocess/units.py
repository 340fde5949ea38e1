"""Detects values that are not Hounsfield units, by RescaleType and by names of dual-energy images.

The names are in ImageType and FrameType (PS3.3 C.8.2.1.1.1, C.8.15.3.1) and, for most scanners, in SeriesDescription.
Underscores separate words. Reasons quote only words of the patterns below, never other text of a file.
"""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

_HOUNSFIELD: Final = re.compile(r"(?:H\.?U\.?|HOUNSFIELD(?: UNITS?)?)?$")
_UNSPECIFIED: Final = frozenset({"US", "UNSPECIFIED"})
# PS3.3 C.11.1.1.2. HU_MOD is included: removing a material may have removed blood.
_UNITS: Final = frozenset({"OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"})

# Maps of another quantity than attenuation, and images from which a material was removed: a virtual non-contrast image
# is on the Hounsfield scale, but the removal may have taken a haemorrhage for contrast agent.
_NAMED_MAP: Final = (
    r"\bMAT (?:SPECIFIC|REMOVED|FRACTIONAL|VALUE BASED|MODIFIED)\b|\bEFF ATOMIC NUM\b|\bEFFECTIVE (?:Z|ATOMIC NUMBER)\b"
    r"|\bZ ?EFF(?:ECTIVE)?\b|\bELECTRON ?DENSITY\b|\bRHO ?/? ?Z\b|\bIODINE (?:MAP|DENSITY|NO WATER|OVERLAY|CONC)"
    r"|\bIODINE ?\(? ?WATER\b|\bWATER ?\(? ?(?:IODINE|CALCIUM|HAP)\b|\bVIRTUAL (?:NON[ -]?CONTRAST|UNENHANCED)\b"
    r"|\bVNC\b|\bVNCA\b|\bVIRTUAL NON[ -]?CALCIUM\b|\bURIC ACID\b|\bCALCIUM SUPP|\bMATERIAL DENSITY\b|\bGSI MD\b"
)
_MAP: Final = re.compile(_NAMED_MAP)
# Words that are certain in ImageType only.
_MAP_TYPE: Final = re.compile(
    rf"{_NAMED_MAP}|\bIODINE\b|\bVUE\b|\bSUBTRACTION\b|\bDIVISION\b|\bSTD DEVIATION\b|\bQUANTITY\b"
)
_MONOENERGETIC: Final = re.compile(
    r"\bMONO ?(?:E|ENERG\w*|CHROM\w*|PLUS)?\b|\bVMI\b|\bENERGY PROP WT\b|\b(?:\d{2,3} ?)?KEV\b|\bGSI\b"
)


class Unit(NamedTuple):
    """Hounsfield units, unspecified, or another unit, which `evidence` names if it is known."""

    kind: Literal["hounsfield", "unspecified", "other"]
    evidence: str = ""


@lru_cache(maxsize=256)
def read_unit(rescale_type: str) -> Unit:
    """The unit by RescaleType; absent or empty means Hounsfield units, as in most CT files."""
    stated = rescale_type.strip().upper()
    if _HOUNSFIELD.match(stated):
        return Unit("hounsfield")
    if stated in _UNSPECIFIED:
        return Unit("unspecified")
    return Unit("other", stated if stated in _UNITS else "another unit")


class ImageKind(NamedTuple):
    """The kind of an image; `evidence` is the tag and word that identify a map."""

    kind: Literal["plain", "map", "monoenergetic"] = "plain"
    evidence: str = ""


@lru_cache(maxsize=256)
def image_kind(image_type: tuple[str, ...], description: str) -> ImageKind:
    """The kind by ImageType (with FrameType, where present) and SeriesDescription."""
    types, described = _words(" \\ ".join(image_type)), _words(description)
    for tag, found in (("ImageType", _MAP_TYPE.search(types)), ("SeriesDescription", _MAP.search(described))):
        if found:
            return ImageKind("map", f"{tag} says {found[0]}")
    return ImageKind("monoenergetic" if _MONOENERGETIC.search(f"{types} \\ {described}") else "plain")


def _words(text: str) -> str:
    return text.upper().replace("_", " ")
