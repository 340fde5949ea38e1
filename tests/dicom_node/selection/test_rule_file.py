from pathlib import Path

import pytest

from services.dicom_node.receive.supported import CT_CLASSES
from services.dicom_node.selection.rule_file import CLASSES, DEFAULT, RuleFileError, read_rules, rules_as_toml


def test_the_built_in_rules_are_read() -> None:
    rules = read_rules(None)
    assert (rules.series.modalities, rules.preference.kernels[0]) == (("CT",), "soft")


def test_the_classes_are_those_that_the_node_receives() -> None:
    assert set(CLASSES.values()) == set(CT_CLASSES)
    assert {uid.name for uid in CT_CLASSES} == set(CLASSES)


def test_a_site_replaces_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    kernels = '["sharp", "soft", "unknown"]'
    path.write_text(f"[series]\nmin_images = 8\n[description]\nexclude = []\n[preference]\nkernels = {kernels}")
    rules, default = read_rules(path), read_rules(None)
    assert (rules.series.min_images, rules.description.exclude) == (8, ())
    assert rules.series.model_copy(update={"min_images": 3}) == default.series
    assert rules.preference.thickness_mm == default.preference.thickness_mm


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[rule]\n", ("unknown table [rule]", "[series], [description], [preference]")),
        ("series = 3", ("series must be a table",)),
        ("[series]\nmin_image = 3", ("[series]: unknown name 'min_image'", "min_images")),
        ("[series]\nmin_images = 0", ("[series] min_images", "greater than or equal to 1", "not 0")),
        ('[series]\nbody_part = "brain"', ("[series] body_part", "'any', 'not other' or 'head'")),
        (
            '[series]\nsop_classes = ["MR Image Storage"]',
            ("'MR Image Storage' is no class of CT", "'CT Image Storage'"),
        ),
        ("[series]\nmodalities = []", ("[series] modalities",)),
        ("[description]\nexclude = ['(']", ("'(' is no regular expression",)),
        ("[description]\ninclude = ['Schädel']", ("'Schädel' has accents",)),
        ('[preference]\nkernels = ["soft"]', ("list each of 'soft', 'unknown' and 'sharp' once",)),
        ("[preference]\nthickness_mm = inf", ("[preference] thickness_mm", "finite")),
        ("[series", ("at end of document",)),
    ],
)
def test_a_fault_stops_the_start_with_name_and_remedy(tmp_path: Path, text: str, named: tuple[str, ...]) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(RuleFileError) as refused:
        read_rules(path)
    assert all(part in str(refused.value) for part in (str(path), *named)), str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match=r"none\.toml"):
        read_rules(tmp_path / "none.toml")


def test_printed_rules_are_a_rule_file(tmp_path: Path) -> None:
    default = read_rules(None)
    patterns = (r"\bCT\b|\"quoted\"", "Schadel", "\t# no comment")
    description = default.description.model_copy(update={"include": patterns})
    for rules in (default, default.model_copy(update={"description": description})):
        path = tmp_path / "rules.toml"
        path.write_text(rules_as_toml(rules))
        assert read_rules(path) == rules


def test_the_page_shows_the_built_in_rules() -> None:
    assert f"```toml\n{DEFAULT.read_text().rstrip()}\n```" in Path("docs/reference/selection.md").read_text()
