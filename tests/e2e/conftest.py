"""One running product for all end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, Service, running_service


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "samples"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service") / "log") as running:
        yield running
