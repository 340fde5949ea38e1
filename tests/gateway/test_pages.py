"""What the page's scripts and the services must agree on."""

import json
import re
from pathlib import Path

import services.dicom_node
import services.gateway
from services.common.file_codes import SET_ASIDE_FILES
from services.common.rules import RULES
from services.dicom_node.results.label_colours import LABEL_COLOURS

PAGES = Path(services.gateway.__file__).parent / "pages"


def test_the_page_knows_every_code_of_a_file_that_is_set_aside() -> None:
    """Any other is shown as damage: a series may lack a slice."""
    (listed,) = re.findall(r"const SET_ASIDE_CODES = (\[[^]]*\])", (PAGES / "worklist" / "job_panel.js").read_text())
    assert set(re.findall(r'"(\w+)"', listed)) == set(SET_ASIDE_FILES)


def test_the_page_knows_a_remedy_for_every_refusal_and_warning() -> None:
    messages = json.loads((PAGES / "i18n" / "messages.json").read_text())
    expected = {f"remedy.{rule.code}" for rule in RULES.values() if rule.severity in ("refuse", "warn")}
    assert expected - messages.keys() == set()
    known = {f"remedy.{code}" for code in RULES}
    assert {key for key in messages if key.startswith("remedy.")} - known == set()


def test_the_heat_map_has_the_colours_and_the_threshold_of_the_dicom_results() -> None:
    script = (PAGES / "viewer" / "overlay_layer.js").read_text()
    colours = re.findall(r"^  (\w+): \[(\d+), (\d+), (\d+)\],$", script, re.MULTILINE)
    assert {label: tuple(map(int, colour)) for label, *colour in colours} == LABEL_COLOURS
    (threshold,) = re.findall(r"DEFAULT_THRESHOLD = ([\d.]+);", script)
    blood_map = Path(services.dicom_node.__file__).parent / "results" / "blood_map.py"
    assert f"BLOOD_THRESHOLD: Final = {threshold}\n" in blood_map.read_text()
