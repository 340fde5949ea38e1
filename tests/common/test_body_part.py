import pytest

from services.common.body_part import names_head, names_other_body_part, other_body_part


@pytest.mark.parametrize(
    "part",
    ["", "HEAD", "BRAIN", "SKULL", "HEADNECK", "HEAD_NECK", "CEREBRUM", "ORBIT", "FACE", "SINUS", "IAC", "EAR", "NEURO",
     "HEAD CHEST", "KOPF", "STROKE", "UNKNOWN", "TRAUMA", "WHOLEBODY", "POSTERIOR FOSSA", "PHARYNX", "HIPPOCAMPUS"],
)  # fmt: skip
def test_parts_that_may_be_a_head(part: str) -> None:
    assert not names_other_body_part(part)


@pytest.mark.parametrize(
    "part",
    ["CHEST", "ABDOMEN", "PELVIS", "CSPINE", "LSPINE", "TSPINE", "NECK", "KNEE", "HIP", "FOOT", "HEART", "LUNG",
     "CHESTABDPELVIS", "THORACO_ABDOMEN", "EXTREMITY", "shoulder", "ARM", "LEGS", "Becken", "PIED", "TORACE", "MANO"],
)  # fmt: skip
def test_other_parts(part: str) -> None:
    assert names_other_body_part(part)


def test_the_other_part_is_named() -> None:
    assert other_body_part("Hals_Thorax") == "HALS"
    assert other_body_part("HEAD") is None


@pytest.mark.parametrize("words", ["CT HEAD_NECK", "Schaedel", "Cranio", "brain 5mm"])
def test_words_that_name_the_head(words: str) -> None:
    assert names_head(words)
