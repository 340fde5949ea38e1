"""preprocess over HTTP: no identifier of the patient leaves it, but for the texts that jobs keep."""

import json
import logging
import zlib
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from services.common.recipe import DEFAULT_RECIPE
from services.common.schemas import HeadersReport
from services.common.series_description import SeriesDescription
from services.common.tensors import bytes_elements
from services.preprocess import png
from services.preprocess.app import create_app
from services.preprocess.settings import Settings
from services.preprocess.uid_hashing import hash_uid
from services.preprocess.windowing import apply_windows
from tests.preprocess.dicom_files import ct, dataset, encapsulated, head_hu, series, written
from tests.preprocess.infer_requests import files_tensor, frames_tensor, message, post

pytestmark = pytest.mark.anyio

CANARY = "ZEBRA19451231"
TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "DA", "DT", "TM", "AS"}
# A CT slice needs these; none of them holds free text.
STRUCTURE = {"Modality", "ImageType", "PhotometricInterpretation", "ContrastBolusAgent"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(DEFAULT_RECIPE, Settings())


def marked(**changes: str) -> Dataset:
    """A slice with the canary in every text tag of the dictionary, in private ones and in a sequence."""
    found, inner = dataset(), Dataset()
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr in TEXT and keyword and keyword not in STRUCTURE and tag >> 16 > 2:
            setattr(found, keyword, CANARY)
    block = found.private_block(0x0009, CANARY, create=True)
    block.add_new(0x01, "LO", CANARY)
    block.add_new(0x02, "UN", CANARY.encode())
    inner.PatientName = inner.CodeMeaning = CANARY
    found.ReferencedPatientSequence = found.ProcedureCodeSequence = [inner]
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    return found


def without_description(answer: httpx.Response) -> bytes:
    """The report of the headers without `description`, which alone holds texts about the patient: for jobs to keep."""
    (report,) = bytes_elements(message(answer).tensor("report", "BYTES"))
    document = json.loads(bytes(report))
    for found in document["series"]:
        assert set(found.pop("description")) == set(SeriesDescription.model_fields)
    return json.dumps(document).encode()


@pytest.mark.filterwarnings("ignore")  # pydicom warns of values that do not match their tags
@pytest.mark.parametrize(
    "changes",
    [{}, {"BodyPartExamined": f"CHEST {CANARY}", "ConvolutionKernel": f"BONE {CANARY}"}],
    ids=["everywhere", "beside reported words"],
)
async def test_no_identifier_of_the_patient_leaves(
    app: FastAPI, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    file = written(marked(**changes))
    assert file.count(CANARY.encode()) > 1000
    broken = encapsulated(marked(), RLELossless, [b"\0" * 64])
    caplog.clear()  # removes pydicom's records of writing
    caplog.set_level(logging.DEBUG)
    for files in ([file], [file[: len(file) - 100]], [broken], [file[:40_000]]):
        heads = await post(app, "series", files_tensor(files))
        slices = await post(app, "slices", files_tensor(files), frames_tensor((0, 0)), pictures=True)
        whole = await post(app, "slices", files_tensor(files), pictures=True)
        assert (b'"series":[{' in heads.content) == (files in ([file], [broken]))
        for answer in (heads, slices, whole):
            assert answer.status_code == 200
            assert CANARY.encode() not in (without_description(answer) if answer is heads else answer.content)
            assert CANARY not in str(answer.headers)
    assert CANARY not in caplog.text


async def test_text_in_a_png_does_not_leave(app: FastAPI) -> None:
    said = b"tEXtAuthor\0" + CANARY.encode()
    chunk = (len(said) - 4).to_bytes(4) + said + zlib.crc32(said).to_bytes(4)
    plain = png.encode(apply_windows(head_hu(512, 512), DEFAULT_RECIPE))
    answer = await post(app, "slices", files_tensor([plain[:33] + chunk + plain[33:]]), pictures=True)
    (picture,) = bytes_elements(message(answer).tensor("pictures", "BYTES"))
    assert (png.decode(picture) == png.decode(BytesIO(plain).getvalue())).all()
    assert CANARY.encode() not in answer.content


async def test_uids_leave_as_keyed_hashes_with_a_key(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(b"sixteen bytes at least\n")
    keyed = create_app(DEFAULT_RECIPE, Settings(uid_key_file=key_file))
    for model in ("series", "slices"):
        answer = await post(keyed, model, files_tensor(series(3)))
        assert b"1.2.3" not in answer.content
        (document,) = bytes_elements(message(answer).tensor("report", "BYTES"))
        (found,) = HeadersReport.model_validate_json(bytes(document)).series
        key = key_file.read_bytes().strip()
        assert (found.uid, found.study_uid) == (hash_uid("1.2.3", key), hash_uid("1.2", key))
        assert found.items[2].sop_instance_uid == hash_uid("1.2.3.3", key)


async def test_uids_leave_unchanged_without_a_key(app: FastAPI) -> None:
    answer = await post(app, "series", files_tensor([ct()]))
    assert b'"uid":"1.2.3"' in answer.content
