from collections.abc import Iterator
from pathlib import Path

import pytest

from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from services.gateway.worklist.query import Filters, Sorting
from services.gateway.worklist.schemas import WorklistPage
from services.gateway.worklist.service import PageRequest, Worklist
from tests.gateway.jobs.factories import unsynced


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    found = unsynced(tmp_path / "store")
    found.recover()
    return found


@pytest.fixture
def worklist(store: JobStore, tmp_path: Path) -> Iterator[Worklist]:
    """A worklist whose passes a test makes by `look`."""
    found = Worklist.create(Settings(jobs_dir=tmp_path / "store"), store)
    found.index.open()
    yield found
    found.index.close()


def page_of(
    worklist: Worklist, filters: Filters | None = None, sort: str = "received", **options: object
) -> WorklistPage:
    values: dict[str, object] = {"limit": 100, "cursor": None, "offset": 0, "parameters": {}} | options
    order = values.pop("order", None)
    return worklist.page(PageRequest(filters or Filters(), Sorting.parse(sort, order), **values))  # type: ignore[arg-type] # by name
