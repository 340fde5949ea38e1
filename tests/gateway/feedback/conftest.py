from pathlib import Path

import pytest

from services.gateway.jobs.store import JobStore
from tests.gateway.feedback.counters import CountersInMemory
from tests.gateway.jobs.factories import unsynced


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    found = unsynced(tmp_path / "store")
    found.recover()
    return found


@pytest.fixture
def counters() -> CountersInMemory:
    return CountersInMemory()
