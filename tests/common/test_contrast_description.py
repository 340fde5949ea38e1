"""Contrast agent is read from descriptions in several languages; stated absence does not count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.contrast_description import describes_contrast

CONTRAST = {
    "English": "HEAD_CTA_0.6|HeadCTA|CTAHead|HEADCTA|CTP_5mm|CTV|CT PERFUSION|Head +C|HEAD + C|C+|IV+|I+|W CONTRAST|W/C"
    "|CT HEAD W/ CONTRAST|with contrast|POSTCONTRAST|post-con 5mm|CECT HEAD|Contrast enhanced|venous phase|TMAX"
    "|Art. arterial 1.0|Bolus tracking|CBF map|IV CONTRAST|Omnipaque 300|VPCT|NON IONIC CONTRAST|HEAD C-SPINE CTA",
    "English, both": "W/WO|W WO|WO/W CONTRAST|CT Head W & WO CONTRAST|w/o and with contrast|with and without contrast"
    "|C-/C+|+/- C|pre and post contrast",
    "German": "MIT KM|Schädel mit KM|m. KM|n. KM|KM i.v.|KM+|Schädel_KM_5.0|mit Kontrastmittel|CTAngio|Angiographie"
    "|arteriell|venöse Phase|nativ und mit KM|mit und ohne KM|mit/ohne KM|ohne und mit KM|PRE/POST KM",
    "French": "AVEC INJECTION|CRANE AVEC IV|CRANE INJ+|apres injection|après injection|angioscanner|temps veineux|PDC+"
    "|phase portale|carte iode"
    "|sans et avec injection|avec et sans injection",
    "Spanish": "con contraste|con y sin contraste|CRANEO C/C|C/CIV|fase arterial|fase venosa|inyectado|AngioTC"
    "|Perfusión|S/C Y C/C|Polígono de Willis",
    "Italian": "con mdc|con m.d.c.|mdc+|senza e con mdc|TC CRANIO C/MDC|perfusione|fase arteriosa",
}
NONE = {
    "English": "NON CONTRAST|NON-CONTRAST|NONCON|NonCon|NO IV CONTRAST|w/o|W/O CONTRAST|Head_wo_5.0|without|C-|I-|IV-"
    "|without IV contrast|unenhanced|Non-enhanced|NCCT|NECT|HEAD NC|CT HEAD W/OUT CONTRAST|HEAD -C|PRE-CONTRAST|PLAIN"
    "|Contrast: none|contrast-free|brain w-o contrast|W O CONTRAST|contrast none.",
    "German": "ohne KM|ohne|ohneKM|OHNE_KM_5|o. KM|o.KM|oKM|ohne Kontrastmittel|KM-|nativ|Schädel nativ|vor KM"
    "|KM: nein|Kontrast: keines|kontrastmittelfrei",
    "French": "sans injection|SANS INJ|CRANE SANS|SANS IV|sans injection de produit de contraste|non injecté|sans PDC"
    "|avant injection|INJ-|injection : non|contraste: aucun",
    "Spanish": "sin contraste|SIN CTE|S/C|S/CIV|CRANEO SIMPLE|sin inyección de contraste",
    "Italian": "senza mdc|senza m.d.c.|senza contrasto|s/mdc|smdc|basale|senza",
}
SILENT = (
    "HEAD|HEAD C-SPINE|HEAD + C SPINE|Axial 5mm|cráneo con ventana ósea|ORIGINAL AXIAL|High contrast|H31s|Angioma"
    "|EDGE ENHANCED|STD+|Posterior fossa|PRE OP|NON HELICAL|trauma|CCT|Contusion|HEAD INJURY|BASAL GANGLIA|Acta|C1-C2|"
)


def listed(table: dict[str, str]) -> list[str]:
    return [words for each in table.values() for words in each.split("|")]


@pytest.mark.parametrize("words", listed(CONTRAST))
def test_words_that_state_contrast(words: str) -> None:
    assert describes_contrast(words) is True


@pytest.mark.parametrize("words", listed(NONE))
def test_words_that_state_absence(words: str) -> None:
    assert describes_contrast(words) is False


@pytest.mark.parametrize("words", SILENT.split("|"))
def test_words_without_a_statement(words: str) -> None:
    assert describes_contrast(words) is None


@given(st.sampled_from(listed(CONTRAST)), st.sampled_from(["Head {}", "Head_{}_5.0", "CT {} 2mm", "1.{}"]))
def test_surrounding_words_change_nothing(words: str, around: str) -> None:
    assert describes_contrast(around.format(words)) is True


@given(st.text(max_size=2000))
def test_any_text_is_read(words: str) -> None:
    assert describes_contrast(words) in (True, False, None)


def test_a_description_ending_in_with_states_contrast() -> None:
    assert describes_contrast("CT HEAD WITH") is describes_contrast("BRAIN W") is True


def test_utf8_is_decoded() -> None:
    assert describes_contrast("venöse Phase".encode().decode("latin-1")) is True
