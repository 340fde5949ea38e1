from pathlib import Path
from uuid import uuid4

import pytest

from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.store import JobStore
from services.gateway.uploads.spool import Spool
from tests.gateway.feedback.counters import CountersInMemory
from tests.gateway.jobs.factories import unsynced


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    found = unsynced(tmp_path / "store")
    found.recover()
    return found


@pytest.fixture
def remote_store(tmp_path: Path) -> JobStore:
    """In an object storage."""
    return JobStore(ObjectStorage(f"memory://{uuid4().hex}", tmp_path / "fetched"), Spool(tmp_path / "incoming"))


@pytest.fixture
def counters() -> CountersInMemory:
    return CountersInMemory()
