"""What the page's scripts and the services must agree on."""

import json
import re
from pathlib import Path

import services.gateway
from services.common.file_codes import SET_ASIDE_FILES
from services.common.rules import RULES

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
