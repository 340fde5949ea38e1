from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicom_node.send.built import BuiltRegistry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[BuiltRegistry]:
    found = BuiltRegistry(tmp_path)
    yield found
    found.database.close()
