"""An unreadable tag: the problem has the keyword and never the value."""

import pytest

from tests.contracts.conftest import Chain
from tests.preprocess.dicom_files import rewritten
from tests.scans import ct_slice, series

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("count", [3, 9])
@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("RescaleSlope", b"JOHN DOE", "RescaleSlope cannot be read as a number"),
        ("PixelSpacing", b"0.5", "PixelSpacing cannot be read as two numbers"),
        ("ImagePositionPatient", b"0\\0\\1e39", "ImagePositionPatient cannot be read as three numbers"),
        ("InstanceNumber", b"1e400", "InstanceNumber cannot be read as a number"),
    ],
)
async def test_an_unreadable_tag_is_named(
    chain: Chain, keyword: str, value: bytes, words: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    files = series(count)
    answer = await chain.predict({**files, "bad.dcm": rewritten(ct_slice(count), keyword, value)})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "unusable_files")
    assert problem["files"] == [{"file": "bad.dcm", "code": "unreadable_tag", "reason": words}]
    assert problem["detail"].startswith(f"bad.dcm: {words}")
    assert "JOHN" not in answer.text + caplog.text


async def test_decimal_commas_and_nuls_are_read(chain: Chain) -> None:
    plain = (await chain.predict(series(3))).json()
    files = {
        name: rewritten(rewritten(data, "RescaleSlope", b"1,0"), "PixelSpacing", b"0,5\0\\0,5\0")
        for name, data in series(3).items()
    }
    report = (await chain.predict(files)).json()
    assert report["slices"] == plain["slices"]
    assert report["reasons"] == plain["reasons"]
