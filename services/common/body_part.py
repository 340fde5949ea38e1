"""Reads body parts from BodyPartExamined and descriptions, in several languages.

BodyPartExamined is often filled in by habit: only a known other part counts, and only without a part of the head beside
it (CHEST_HEAD, HEADNECK). Words from PS3.16 annex L.
"""

import re
from typing import Final

_HEAD: Final = re.compile(
    r"HEAD|BRAIN|SKULL|CRAN|CEREB|NEURO|ORBIT|FACE|FACIAL|SINUS|TEMPORAL|MAXILL|MANDIB|JAW|PITUIT|SELLA|FOSSA|MASTOID"
    r"|\bIAC|\bEARS?\b|\bEYES?\b|\bNOSE|KOPF|SCHAEDEL|CABEZA|TETE|TESTA"
)
_OTHER: Final = re.compile(
    r"CHEST|THORA|LUNG|HEART|CARDIAC|CORONARY|BREAST|ABDOM|LIVER|KIDNEY|PANCREAS|SPLEEN|COLON|PELVI|BLADDER|PROSTATE"
    r"|SPINE|NECK|SHOULDER|CLAVIC|HUMERUS|ELBOW|FOREARM|WRIST|FEMUR|THIGH|KNEE|TIBIA|ANKLE|CALCAN|EXTREMIT"
    r"|BRUST|BAUCH|BECKEN|WIRBEL|POITRINE|BASSIN|RACHIS|TORACE|TORAX|ADDOME|PECHO|COLUMNA|COLONNA|OBERSCHENKEL"
    r"|\b(HALS|FUSS|PIED|PIEDE|MANO|GENOU|RODILLA|GINOCCHIO|KNIE|SCHULTER|SPALLA|HOMBRO|EPAULE)\b"
    r"|\b(ARM|HAND|FINGER|HIP|LEG|CALF|FOOT|TOE|AORTA|SACRUM|COCCYX|STERNUM|RIBS?)S?\b"
)


def names_head(words: str) -> bool:
    """Whether words name the head or a part of it."""
    return bool(_HEAD.search(_words(words)))


def names_other_body_part(body_part: str) -> bool:
    """Whether BodyPartExamined certainly names another part than the head."""
    words = _words(body_part)
    return bool(_OTHER.search(words)) and not _HEAD.search(words)


def other_body_part(words: str) -> str | None:
    """The first part beside the head that words name; None without one."""
    found = _OTHER.search(_words(words))
    return found[0] if found else None


def _words(body_part: str) -> str:
    return body_part.upper().replace("_", " ")
