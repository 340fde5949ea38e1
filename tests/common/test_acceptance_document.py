"""docs/reference/acceptance.md against the rules it is generated from."""

from services.common.acceptance_document import rules_as_markdown
from tests.running import ROOT


def test_the_page_is_up_to_date() -> None:
    """`make acceptance` writes it."""
    assert (ROOT / "docs" / "reference" / "acceptance.md").read_text() == rules_as_markdown()
