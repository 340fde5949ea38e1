"""Reads contrast agent from descriptions, with patterns of words in several languages.

Patterns match capitals without accents. Underscores, digits and camel case end a word ("HEAD_CTA_0.6"). Negated words
are removed first, so that "w/o and with contrast" states contrast.
"""

import re
from functools import lru_cache
from typing import Final
from unicodedata import combining, normalize

_LONGEST: Final = 256  # characters; LO has 64 (PS3.5 6.2)

_WITH: Final = r"(?:WITH|W|MIT|M|AVEC|CON|C|MET|AFTER|POST)"
_WITHOUT: Final = r"(?:WITHOUT|W ?[/-]? ?O(?:UT)?|OHNE|SANS|SENZA|ZONDER|SIN|SEM)"
_BOTH: Final = r"(?: ?[&/+,] ?| AND | UND | U | ET | Y | E | OR | O )"
_AGENT: Final = (
    r"(?:IV|INTRAVEN\w*|INTRAVEIN\w*|ADMINIST\w*|INJ(?:E[CK]\w*)?|INYEC\w*|INIEZ\w*|CONTRAST\w*|CON|KM|KONTRAST\w*"
    r"|PDC|PC|PRODUIT|MDC|MC|MEZZO|MEDIO|MEDIUM|CTE|CIV|AGENT|ENHANC\w*|GIVEN|BOLUS)"
)
_AGENTS: Final = rf"[ /.-]*{_AGENT}\b(?:[ /.'-]*(?:{_AGENT}|DE|DI|D|OF)\b)*"
# In these, the words after the slash or conjunction are not negated.
_EITHER: Final = re.compile(
    rf"\b{_WITH}\b(?:{_BOTH}| )?\b{_WITHOUT}\b|\b{_WITHOUT}\b{_BOTH}{_WITH}\b|\+ ?/ ?- ?(?:C|IV|KM|I|CONTRAST)\b"
)
_NEGATED: Final = re.compile(
    rf"\b{_WITHOUT}{_AGENTS}"
    rf"|\b(?:NON?|NOT|NIL|PRE|BEFORE|VOR|KEINE?|AVANT|AUCUNE?|NINGUNO?|NESSUNO?|PRIMA|ANTES){_AGENTS}|\bO\.? ?KM\b"
    r"|\b(?:WITHOUT|W ?[/-]? ?O(?:UT)?|OHNE|SANS|SENZA|ZONDER)\b"
    rf"|{_AGENT}[ :=]+(?:NONE|NON?|NIL|NEIN|KEINE?S?|AUCUNE?|NINGUNO?|NESSUNO?)(?=$|[ ,;.)]*$)"
    r"|\b(?:CONTRAST|KONTRAST(?:MITTEL)?|KM)[ -]?(?:FREE|FREI\w*)\b"
    r"|\b(?:UN|NON?[ -]?)ENHANC\w*|\bNE?CCT\b|\bNECT\b|\bNC\b|\bNATIV\w*|\bNATIF\b|\bPLAIN\b|\bBLANCO\b|\bSIMPLE\b"
    r"|\bBASALE\b|\bBASAL\b(?! GANG| CIST)|\bDIRETTA\b|\bSPC\b|\bS ?/ ?C(?:TE|IV)?\b|\bS ?[/.]? ?(?:MDC|MC)\b"
    r"|(?<!\w)(?:C|I|IV|KM|PDC|MDC|INJ)-(?!\w)|(?:^| )- ?(?:C|IV|KM|PDC|MDC)(?![\w-])"
)
# Words that resemble the patterns and state nothing about an agent.
_UNRELATED: Final = re.compile(
    r"\b(?:HIGH|HI|LOW)[ -]CONTRAST\b|\bEDGE[ -]?ENHANC\w*|\bANGIOM\w*|[+-] ?C[ -]*SP\w*|\bNON[ -]?IONIC\b"
)
_CONTRAST: Final = re.compile(
    # English, and shared by all languages
    r"CONTRAST|\bENHANCED\b|\bCE(?:CT)?\b|\bCT[APV]\b|\bCTPA\b|(?:HEAD|NECK|BRAIN)CT[APV]\b|\bCT[APV](?:HEAD|NECK|BRAIN)"
    r"|\bW(?:ITH)?$|\bVPCT\b|ANGIO"
    r"|\bPERF\b|PERFUSI|\bR?CB[FV]\b|\bMTT\b|\bT ?MAX\b|\bTTP\b|BOLUS|\bARTERIAL\b|\bVENOUS\b|\bPORTALE?\b|VENOGRA"
    r"|\bWILLIS\b|\b(?:W ?/?|WITH|POST|AFTER|IV) ?-?CON\b|\b(?:W ?/?|WITH|POST|AFTER|MIT|NACH|AVEC|APRES|CON) ?-?IV\b"
    r"|\bW/ ?C\b|(?<!\w)(?:C|I|IV|KM|PDC|MDC|INJ)\+|\+ ?(?:C|CE|IV|KM|PDC|MDC)(?!\w)"
    # German
    r"|KONTRAST|\b(?:MIT|NACH)?KM\b|ARTERIELL|\bVEN.{1,2}S(?:E|ER|EN)?\b"
    # French
    r"|\bINJ(?:E[CK]\w*)?\b|ARTERIEL|VEINEU|\bPDC\b|\bAPC\b"
    # Spanish, Italian
    r"|\bMDC\b|\b(?:CON|C/) ?(?:CIV|CTE|MC)\b|\bC ?/ ?C\b|\bCIV\b|\bARTERIOS[AO]\b|\bVENOS[AO]\b|INYEC|INIEZION"
    # names of agents
    r"|\bI?JOD|\bIOD[EI]|\bYODO\b|OMNIPAQUE|ULTRAVIST|VISIPAQUE|ISOVUE|XENETIX|OPTIRAY|IMERON|IOMERON|ACCUPAQUE|SOLUTRAST|IOPAMIR"
    r"|\bIO(?:HEX|PRO|DIX|PAM|MEP|BIT|VER)"
)
_NO_AGENT: Final = re.compile(
    r"(?:NO|NONE?|NOT|N|NIL|NEG\w*|KEINE?S?|AUCUNE?|NINGUNO?|NESSUNO?|SIN|SEM|N ?/ ?A|NA|FALSE|NEIN)\b"
    r"|[0., -]*(?:ML|CC)?$"
)
_NO_VESSEL: Final = re.compile(r"\b(?:ORAL\w*|PO|PER OS|RECTAL\w*|RETTALE|REKTAL\w*)\b")


@lru_cache(maxsize=256)  # the slices of a series have the same descriptions
def describes_contrast(words: str) -> bool | None:
    """True for contrast, False for its stated absence, None for no statement.

    Parameters
    ----------
    words : a description, such as SeriesDescription
    """
    text = _UNRELATED.sub(" ", normalized(words))
    if _EITHER.search(text):
        return True
    rest, negated = _NEGATED.subn(" ", text)
    return True if _CONTRAST.search(rest) else False if negated else None


def normalized(words: str) -> str:
    """Words in capitals without accents, split at underscores, digits and camel case."""
    letters = normalize("NFKD", _decoded(words[:_LONGEST]).replace("_", " "))
    bare = "".join(letter for letter in letters if not combining(letter))
    split = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " ", bare)
    initials = re.sub(r"\b([A-Z])\.(?=[A-Z]\b)", r"\1", split.upper())
    return " ".join(initials.split())


def names_agent(words: str, *, unnamed: bool | None) -> bool | None:
    """The statement of an agent's name: any name that is not negated states contrast.

    Parameters
    ----------
    unnamed : the statement of an empty name
    """
    if not words.strip():
        return unnamed
    stated = describes_contrast(words)
    none = stated is False or (stated is None and _NO_AGENT.match(_UNRELATED.sub("AGENT", normalized(words))))
    return not none


def names_no_vessel(words: str) -> bool:
    """Whether a route of administration leads to no vessel, such as by mouth."""
    return bool(_NO_VESSEL.search(normalized(words)))


def _decoded(words: str) -> str:
    """Decode text that was read as Latin-1: most of it is UTF-8 or Latin-1."""
    try:
        return words.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return words
