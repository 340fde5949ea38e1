"""The locks match the dependency groups of pyproject.toml; checked without a network."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
LOCKED = [group for group in GROUPS if group not in ("common", "learning", "tensorflow")]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+))?", re.MULTILINE)


def _pins(group: str) -> dict[str, set[str]]:
    """Return the versions of every package of a lock; two where the platforms differ."""
    pins: dict[str, set[str]] = {}
    for name, version, _ in PIN.findall((ROOT / "requirements" / f"{group}.txt").read_text()):
        pins.setdefault(canonicalize_name(name), set()).add(version)
    return pins


def _required(group: str) -> list[Requirement]:
    found: list[Requirement] = []
    for entry in GROUPS[group]:
        found += _required(entry["include-group"]) if isinstance(entry, dict) else [Requirement(entry)]
    return found


@pytest.mark.parametrize("group", LOCKED)
def test_a_lock_holds_every_package_of_its_group(group: str) -> None:
    pins = _pins(group)
    for requirement in _required(group):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in requirements/{group}.txt: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize("group", LOCKED)
def test_all_locks_agree(group: str) -> None:
    together = _pins("all")
    for name, versions in _pins(group).items():
        assert versions <= together[name], f"{name} drifts in requirements/{group}.txt: run `make lock`"


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_every_pin_has_hashes_and_no_lock_names_an_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.split("\n", 2)[2]):
        assert "--hash=sha256:" in block, block


def test_there_is_no_lock_without_a_group() -> None:
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == {*LOCKED, "all"}


def test_the_gateway_has_neither_numpy_nor_pillow_nor_tensorflow() -> None:
    assert not {"numpy", "pillow", "tensorflow", "tensorflow-cpu", "pydicom"} & _pins("gateway").keys()


def test_only_the_light_locks_have_no_tensorflow() -> None:
    light = {"preprocess", "gateway", "openvino", "dicom-node", "run-light"}
    assert {group for group in LOCKED if not {"tensorflow", "tensorflow-cpu"} & _pins(group).keys()} == light
    assert all(_pins("run-light")[name] == versions for name, versions in _pins("openvino").items())
