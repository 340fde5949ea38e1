"""The worklist of jobs that the real preprocess and a worker's code have planned and assessed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.gateway.worklist.service import Worklist
from services.preprocess.header_reader import read_header
from services.preprocess.series import group_into_series
from tests.contracts.test_jobs import Batch, batch, gateway_settings, redis, series  # noqa: F401 - fixtures
from tests.gateway.worklist.conftest import page_of

pytestmark = pytest.mark.anyio
NAME, PATIENT, DESCRIPTION = "Canarini^Cantarella", "CANARY-ID-0815", "Schädel Übersicht"
WORDS = [word.encode() for word in (*NAME.split("^"), PATIENT)]
TAGS = {"SpecificCharacterSet": "ISO_IR 192", "SeriesDescription": DESCRIPTION, "PatientName": NAME}


@pytest.fixture
def worklist(batch: Batch) -> Iterator[Worklist]:  # noqa: F811 - the fixture
    found = Worklist.create(batch.chain.settings, batch.store)
    found.index.open()
    yield found
    found.index.close()


def entries(worklist: Worklist) -> list[Any]:
    worklist.tracker.look()
    return list(page_of(worklist).entries)


def stored(folder: Path) -> bytes:
    """All that a gateway and its workers store of jobs, but for the uploaded files."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "files"]
    return b"".join(path.read_bytes() for path in paths)


async def test_a_series_over_several_requests_has_one_description_and_one_patient(
    batch: Batch,  # noqa: F811 - the fixture
    worklist: Worklist,
    caplog: pytest.LogCaptureFixture,
) -> None:
    long = series(0, 300, **TAGS, PatientID=PATIENT, AcquisitionDate="20260131", AcquisitionTime="081500")
    await batch.send({**long, **series(1, 2, **TAGS, PatientID=PATIENT), **series(2, 2, PatientID="other")})
    await batch.work()
    first, second, third = entries(worklist)
    assert (first.slices, first.number) == (300, 0)
    assert (first.series_description, first.acquired) == (DESCRIPTION, "2026-01-31T08:15:00")
    assert first.patient == second.patient != third.patient
    assert first.patient_name is None
    content = stored(batch.chain.settings.jobs_dir) + caplog.text.encode()
    assert not [word for word in WORDS if word.lower() in content.lower()]


async def test_the_digest_of_preprocess_is_not_stored(batch: Batch) -> None:  # noqa: F811
    files = series(0, 2, PatientID=PATIENT)
    (header,) = group_into_series([read_header(data, len(data)) for data in files.values()]).series
    await batch.send(files)
    await batch.work()
    assert header.patient_digest
    assert header.patient_digest.encode() not in stored(batch.chain.settings.jobs_dir)
