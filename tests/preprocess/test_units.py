"""Hounsfield units of plain attenuation, by RescaleType and by names of images."""

import pytest

from services.preprocess.units import image_kind, read_unit


@pytest.mark.parametrize("said", ["", " ", "HU", "hu", "H.U.", "Hounsfield Units", "HOUNSFIELD"])
def test_hounsfield_units(said: str) -> None:
    assert read_unit(said).kind == "hounsfield"


@pytest.mark.parametrize("said", ["US", "us ", "UNSPECIFIED"])
def test_unspecified_units(said: str) -> None:
    assert read_unit(said).kind == "unspecified"


@pytest.mark.parametrize("said", ["MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "OD"])
def test_other_units_of_the_standard_are_named(said: str) -> None:
    assert read_unit(said) == ("other", said)


@pytest.mark.parametrize("said", ["JOHN DOE", "HUMAN", "HU2", "mg/ml", "1e400"])
def test_free_text_is_not_named(said: str) -> None:
    assert read_unit(said) == ("other", "another unit")


@pytest.mark.parametrize(
    "word",
    ["MAT_SPECIFIC", "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "MAT_MODIFIED", "EFF_ATOMIC_NUM",
     "ELECTRON_DENSITY", "Z_EFF", "DE_IODINE", "IODINE", "IODINE MAP", "VNC", "DE_VNC", "VUE",
     "URIC_ACID", "STD_DEVIATION", "SUBTRACTION"],
)  # fmt: skip
@pytest.mark.parametrize("place", [2, 3])
def test_maps_by_image_type(word: str, place: int) -> None:
    image_type = ["DERIVED", "SECONDARY", "AXIAL", "NONE"]
    image_type[place] = word
    assert image_kind(tuple(image_type), "").kind == "map"


@pytest.mark.parametrize(
    "description",
    ["Iodine map", "HEAD_IODINE_NO_WATER", "VNC Head", "virtual non-contrast 5.0", "Z Effective", "Electron Density",
     "Rho/Z", "Calcium Suppressed Index 25", "Water(Iodine) 5mm", "VIRTUAL UNENHANCED"],
)  # fmt: skip
def test_maps_by_description(description: str) -> None:
    found = image_kind(("ORIGINAL", "PRIMARY", "AXIAL"), description)
    assert (found.kind, found.evidence[:22]) == ("map", "SeriesDescription says")


@pytest.mark.parametrize(
    "word", ["ENERGY_PROP_WT", "MONOENERGETIC", "MONO_E", "VMI", "MONO 70 KEV", "MONO+", "GSI MONO"]
)
def test_monoenergetic_images(word: str) -> None:
    assert image_kind(("DERIVED", "PRIMARY", "AXIAL", word), "").kind == "monoenergetic"
    assert image_kind(("DERIVED",), f"HEAD {word}").kind == "monoenergetic"


@pytest.mark.parametrize(
    ("image_type", "description"),
    [
        (("ORIGINAL", "PRIMARY", "AXIAL"), "HEAD W/O IODINE"),
        (("ORIGINAL", "PRIMARY", "AXIAL", "NONE"), "SUBTRACTION PLANNING"),
        (("DERIVED", "SECONDARY", "MPR"), "Monorail, kevlar helmet, matte"),
        ((), ""),
    ],
)
def test_plain_images(image_type: tuple[str, ...], description: str) -> None:
    assert image_kind(image_type, description) == ("plain", "")
