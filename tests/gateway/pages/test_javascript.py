"""The JavaScript of the page: its pure modules in Node, its size, and its texts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.javascript import run_node
from tests.running import ROOT

_PAGES: Final = ROOT / "services" / "gateway" / "pages"
_TABLE: Final = _PAGES / "i18n" / "messages.json"
_MOST_LINES: Final = 5520
_PLANNED: Final = {"app.title", "unknown"}  # of modules that are not written yet
# Words in a string, or in an attribute that is read aloud: "The file", title: "File". Not selectors, headers or types.
_TEXT: Final = re.compile(
    r'(?<!import )"([A-Z][a-z]+(?: [a-z]+)+[^"]*)"|(?:aria-label|aria-valuetext|placeholder|title|alt)"?: "([^"]+)"'
)
_NOT_FOR_PEOPLE: Final = re.compile(r"^\s*(//|/?\*)|new (Type)?Error\(")


def _modules() -> list[Path]:
    return sorted(_PAGES.rglob("*.js"))


def _messages() -> dict[str, dict[str, str]]:
    messages: dict[str, dict[str, str]] = json.loads(_TABLE.read_text())
    return messages


def test_pure_modules() -> None:
    """Each file *.test.js of this folder; Node prints what fails."""
    assert run_node("--test", "--test-reporter=dot", *map(str, sorted(Path(__file__).parent.glob("*.test.js")))) == 0


def test_the_page_has_few_lines_of_javascript() -> None:
    lines = {str(path.relative_to(_PAGES)): len(path.read_text().splitlines()) for path in _modules()}
    assert sum(lines.values()) <= _MOST_LINES, lines


def test_messages_are_sorted_and_one_a_line() -> None:
    keys = re.findall(r'^  "([^"]+)": \{"en": ".+", "de": ".+"\},?$', _TABLE.read_text(), re.MULTILINE)
    assert keys == sorted(_messages())


@pytest.mark.parametrize("language", ["en", "de"])
def test_both_languages_have_the_same_values_and_forms(language: str) -> None:
    def shape(text: str) -> tuple[list[str], int]:
        return sorted(set(re.findall(r"\{(\w+)\}", text))), text.count("|")

    differ = [
        key for key, texts in _messages().items() if not texts[language] or shape(texts["en"]) != shape(texts["de"])
    ]
    assert differ == []


def test_no_message_is_unused_and_none_is_missing() -> None:
    source = "\n".join(path.read_text() for path in _modules())
    messages = _messages().keys()
    literal = set(re.findall(r'"([a-z_]+(?:\.[a-z_0-9]+)+)"', source))
    begun = tuple(re.findall(r"`([a-z_]+\.[a-z_]*)\$\{", source))
    assert {key for key in messages if key not in literal and not key.startswith(begun)} - _PLANNED == set()
    asked = set(re.findall(r'\bt\("([^"]+)"', source))
    assert asked - messages == set()


def test_every_text_for_a_person_is_in_the_table() -> None:
    assert [*_texts_outside()] == []


def _texts_outside() -> Iterator[str]:
    for path in _modules():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not _NOT_FOR_PEOPLE.search(line) and (found := _TEXT.search(line)):
                yield f"{path.relative_to(_PAGES)}:{number}: {found[0]}"
