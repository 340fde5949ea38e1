"""Checks the accessibility of a page by axe-core."""

from functools import cache
from typing import Any, Final

import pytest
from playwright.sync_api import Page

from tests.javascript import PackagesMissing, packages

# WCAG 2.2 at levels A and AA, and axe's best practices.
_RUN: Final = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => [id, impact, nodes.map(({ target, failureSummary }) =>
        `${target.join(' ')}: ${failureSummary.split('\\n')[1].trim()}`)]);
}"""
_GRAVE: Final = ("serious", "critical")


@cache
def _source() -> str:
    try:
        return (packages() / "axe-core" / "axe.min.js").read_text()
    except PackagesMissing as missing:  # `.ci/run` lists it
        pytest.skip(str(missing))


def violations(page: Page, impacts: tuple[str, ...] = _GRAVE) -> list[str]:
    """Violations of these impacts, one text an element."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_source())  # the page's policy allows no script of others
    found: list[list[Any]] = page.evaluate(_RUN)
    return [f"{rule} ({impact}): {node}" for rule, impact, nodes in found if impact in impacts for node in nodes]
