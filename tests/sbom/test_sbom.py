"""Bills of material of one group; `make sbom` writes and checks all."""

import copy
from dataclasses import replace
from email.message import Message
from typing import Any

import pytest

from tests.sbom import audit
from tests.sbom.documents import faults, lock_faults, pins, sbom
from tests.sbom.licences import Licences, expression_of, gnu_libraries

GROUP = "gateway"


@pytest.fixture(scope="module")
def licences() -> Licences:
    return Licences.read()


@pytest.fixture(scope="module")
def document(licences: Licences) -> dict[str, Any]:
    return sbom(GROUP, licences)


@pytest.fixture
def changed(document: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(document)


def test_a_document_lists_its_lock_with_hashes_and_licences(document: dict[str, Any], licences: Licences) -> None:
    assert list(faults(GROUP, document, licences)) == []
    assert len(document["components"]) == len(pins(GROUP)) > 20
    assert document["metadata"]["component"]["name"] == "ich-gateway"


def test_the_same_lock_gives_the_same_document(document: dict[str, Any], licences: Licences) -> None:
    assert sbom(GROUP, licences) == document


def test_a_missing_package_is_a_fault(changed: dict[str, Any], licences: Licences) -> None:
    removed = changed["components"].pop()
    (fault,) = lock_faults(GROUP, changed, licences)
    assert f"{removed['name']} {removed['version']} of the lock is missing" in fault


def test_a_package_beyond_the_lock_is_a_fault(changed: dict[str, Any], licences: Licences) -> None:
    changed["components"].append({**changed["components"][0], "name": "more", "bom-ref": "more"})
    assert any("more" in fault and "not in the lock" in fault for fault in lock_faults(GROUP, changed, licences))


def test_a_hash_that_differs_is_a_fault(changed: dict[str, Any], licences: Licences) -> None:
    changed["components"][0]["externalReferences"][0]["hashes"].pop()
    (fault,) = lock_faults(GROUP, changed, licences)
    assert "differ from the lock" in fault


def test_a_missing_licence_is_a_fault(changed: dict[str, Any], licences: Licences) -> None:
    del changed["components"][0]["licenses"]
    (fault,) = lock_faults(GROUP, changed, licences)
    assert "deploy/licences.toml" in fault


def test_a_document_of_another_form_is_a_fault(changed: dict[str, Any], licences: Licences) -> None:
    changed["components"][0]["type"] = "no type"
    assert any("no valid CycloneDX" in fault for fault in faults(GROUP, changed, licences))


@pytest.mark.parametrize("expression", ["GPL-3.0-only", "MIT AND GPL-2.0-or-later", "AGPL-3.0-only OR LGPL-3.0-only"])
def test_copyleft_needs_a_reason(document: dict[str, Any], licences: Licences, expression: str) -> None:
    copyleft = replace(licences, stated={**licences.stated, "redis": expression})
    (fault,) = lock_faults(GROUP, document, copyleft)
    assert f"redis has {expression}" in fault
    excepted = replace(copyleft, exceptions={"redis": "a reason"})
    assert list(lock_faults(GROUP, document, excepted)) == []


@pytest.mark.parametrize("expression", ["MIT OR GPL-3.0-only", "Apache-2.0 AND (MIT OR AGPL-3.0-only)"])
def test_a_choice_of_a_free_licence_is_allowed(licences: Licences, expression: str) -> None:
    assert not replace(licences, stated={"redis": expression}).refuses("redis")


def test_every_entry_of_the_table_is_a_locked_package(licences: Licences) -> None:
    locked = {pin.name for pin in pins("all")}
    assert {*licences.stated, *licences.exceptions, *licences.bundled} <= locked


def test_gnu_libraries_in_wheels_are_stated(licences: Licences) -> None:
    locked = {pin.name for pin in pins("run")} | {pin.name for pin in pins("training")}
    for package, libraries in gnu_libraries().items():
        if package in locked:
            assert libraries <= {part.split(":")[0].strip() for part in licences.bundled[package].split(";")}, package


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ([("License-Expression", "MIT AND Zlib"), ("License", "another")], "MIT AND Zlib"),
        ([("Classifier", "License :: OSI Approved :: Apache Software License")], "Apache-2.0"),
        ([("License", "Apache 2.0")], "Apache-2.0"),
        ([("License", "MPL-2.0 AND MIT")], "MPL-2.0 AND MIT"),
        ([("License", "BSD")], None),
        ([("Classifier", "License :: OSI Approved :: BSD License")], None),
        ([], None),
    ],
)
def test_licences_in_metadata(fields: list[tuple[str, str]], expression: str | None) -> None:
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    assert expression_of(metadata) == expression


def test_an_answer_without_the_known_vulnerabilities_is_no_audit() -> None:
    skipped = {"dependencies": [{"name": "urllib3", "skip_reason": "not found"}]}
    empty = {"dependencies": [{"name": "urllib3", "version": "1.24", "vulns": []}]}
    real = {"dependencies": [{"name": "urllib3", "version": "1.24", "vulns": [{"id": "X", "fix_versions": ["2"]}]}]}
    assert [audit.answers(report) for report in (None, skipped, empty, real)] == [False, False, False, True]
    assert list(audit.unaudited(skipped)) == ["urllib3 was not audited: not found"]
    assert list(audit.vulnerable(real)) == ["urllib3 1.24: X, fixed in 2"]
    assert list(audit.vulnerable(empty)) == []
