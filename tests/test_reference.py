"""The stored reference documents are those that the code generates."""

import re

import pytest

from tests.reference import DOCUMENTS, SETTINGS, settings_as_markdown
from tests.running import ROOT


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_generated_document_is_up_to_date(name: str) -> None:
    stored = (ROOT / name).read_text()
    assert stored == DOCUMENTS[name](), f"{name} differs from the code: run `make reference`"


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_is_described(service: str) -> None:
    assert [name for name, info in SETTINGS[service].model_fields.items() if not info.description] == []


def test_variables_of_compose_are_listed() -> None:
    compose = "".join(path.read_text() for path in ROOT.glob("docker-compose*.yml"))
    listed = settings_as_markdown()
    assert [name for name in re.findall(r"\$\{(ICH_[A-Z_]+)", compose) if f"`{name}`" not in listed] == []
