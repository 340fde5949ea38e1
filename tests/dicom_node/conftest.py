"""Fixtures of the node's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicom_node.registries import Node


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    opened = Node(tmp_path / "node")
    yield opened
    opened.close()
