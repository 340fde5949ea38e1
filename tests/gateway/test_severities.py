"""A site's own severities, from a file that must be right."""

from pathlib import Path

import pytest

from services.common.acceptance import is_refused, make_reason
from services.gateway.severities import DEFAULT_SEVERITIES, apply_severities, read_severities

HERE = Path("severities.toml")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_no_file_changes_nothing() -> None:
    reasons = (make_reason("contrast", tags="SeriesDescription"), make_reason("no_rescale"))
    assert apply_severities(reasons, read_severities(None)) == reasons


def test_refusals_become_warnings_and_warnings_refusals() -> None:
    HERE.write_text('[severity]\nother_body_part = "warn"\ncontrast = "refuse"\nresampled = "note"\n')
    severities = read_severities(HERE)
    lowered, raised = apply_severities(
        [
            make_reason("other_body_part", part="NECK", slices=1, total=1),
            make_reason("contrast", tags="SeriesDescription"),
        ],
        severities,
    )
    assert (lowered.severity, raised.severity) == ("warn", "refuse")
    assert is_refused([raised])
    assert not is_refused([lowered])
    assert apply_severities((lowered, raised), severities) == (lowered, raised)


def test_an_empty_file_changes_nothing() -> None:
    HERE.write_text("")
    assert read_severities(HERE) == DEFAULT_SEVERITIES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[severity]\ncontrasts = "warn"', "there is no rule contrasts"),
        ('[severity]\ncontrast = "ignore"', "contrast is 'ignore'; it must be one of refuse, warn, note"),
        ("[severity]\ncontrast = 1", "contrast is 1"),
        ('[severity]\nconstant_image = "warn"', "constant_image cannot be lowered"),
        ('[severities]\ncontrast = "warn"', "the only table is"),
        ("severity = 3", "the only table is"),
        ("[severity", "severities.toml"),
    ],
)
def test_an_invalid_file_raises_with_the_fault(text: str, message: str) -> None:
    HERE.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_severities(HERE)


def test_a_missing_file_raises() -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_severities(HERE)


def test_a_fixed_refusal_may_be_repeated() -> None:
    HERE.write_text('[severity]\nconstant_image = "refuse"')
    assert read_severities(HERE) == {"constant_image": "refuse"}
