"""Whether a frame's values are Hounsfield units, by RescaleType and by the words for dual-energy images.

Words stand in ImageType and FrameType (PS3.3 C.8.2.1.1.1, C.8.15.3.1) and, as most scanners have it, in
SeriesDescription. Underscores end a word. Of what a file says only words of the tables below are shown.
"""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

_HOUNSFIELD: Final = re.compile(r"(?:H\.?U\.?|HOUNSFIELD(?: UNITS?)?)?$")
_UNSPECIFIED: Final = frozenset({"US", "UNSPECIFIED"})
# PS3.3 C.11.1.1.2. HU_MOD, too: what a material was taken out of may have lost blood with it.
_UNITS: Final = frozenset({"OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"})

# Values that measure something else than attenuation, and images from which a material was removed: a virtual
# non-contrast image is on the Hounsfield scale, but a haemorrhage may have been taken for what was removed.
_NAMED_MAP: Final = (
    r"\bMAT (?:SPECIFIC|REMOVED|FRACTIONAL|VALUE BASED|MODIFIED)\b|\bEFF ATOMIC NUM\b|\bEFFECTIVE (?:Z|ATOMIC NUMBER)\b"
    r"|\bZ ?EFF(?:ECTIVE)?\b|\bELECTRON ?DENSITY\b|\bRHO ?/? ?Z\b|\bIODINE (?:MAP|DENSITY|NO WATER|OVERLAY|CONC)"
    r"|\bIODINE ?\(? ?WATER\b|\bWATER ?\(? ?(?:IODINE|CALCIUM|HAP)\b|\bVIRTUAL (?:NON[ -]?CONTRAST|UNENHANCED)\b"
    r"|\bVNC\b|\bVNCA\b|\bVIRTUAL NON[ -]?CALCIUM\b|\bURIC ACID\b|\bCALCIUM SUPP|\bMATERIAL DENSITY\b|\bGSI MD\b"
)
_MAP: Final = re.compile(_NAMED_MAP)
# Words that are beyond doubt in ImageType only.
_MAP_TYPE: Final = re.compile(
    rf"{_NAMED_MAP}|\bIODINE\b|\bVUE\b|\bSUBTRACTION\b|\bDIVISION\b|\bSTD DEVIATION\b|\bQUANTITY\b"
)
_MONOENERGETIC: Final = re.compile(
    r"\bMONO ?(?:E|ENERG\w*|CHROM\w*|PLUS)?\b|\bVMI\b|\bENERGY PROP WT\b|\b(?:\d{2,3} ?)?KEV\b|\bGSI\b"
)


class Unit(NamedTuple):
    """Whether values are Hounsfield units, unspecified, or none; `shown` names another unit as far as it is known."""

    kind: Literal["hounsfield", "unspecified", "other"]
    evidence: str = ""


@lru_cache(maxsize=256)
def read_unit(rescale_type: str) -> Unit:
    """What RescaleType says; absent and empty stand for Hounsfield units, as in most files of CT scanners."""
    said = rescale_type.strip().upper()
    if _HOUNSFIELD.match(said):
        return Unit("hounsfield")
    if said in _UNSPECIFIED:
        return Unit("unspecified")
    return Unit("other", said if said in _UNITS else "another unit")


class ImageKind(NamedTuple):
    """What kind of image a file says it is; `shown` is the tag, and the word of the tables above, that says map."""

    kind: Literal["plain", "map", "monoenergetic"] = "plain"
    evidence: str = ""


@lru_cache(maxsize=256)
def image_kind(image_type: tuple[str, ...], description: str) -> ImageKind:
    """What ImageType (with FrameType, where there is one) and SeriesDescription tell of."""
    types, described = _words(" \\ ".join(image_type)), _words(description)
    for tag, found in (("ImageType", _MAP_TYPE.search(types)), ("SeriesDescription", _MAP.search(described))):
        if found:
            return ImageKind("map", f"{tag} says {found[0]}")
    return ImageKind("monoenergetic" if _MONOENERGETIC.search(f"{types} \\ {described}") else "plain")


def _words(said: str) -> str:
    return said.upper().replace("_", " ")
